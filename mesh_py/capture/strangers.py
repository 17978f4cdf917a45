"""Connections whose TLS handshake is not over: how many may wait, of one source and in all, and who makes room.

Anybody may connect and say nothing, and each who does costs a socket and a TLS session. Whoever has had its time makes
room: of a source that has its share its own oldest, in all the oldest of the source that has most, so that no stranger
keeps out those of another source. Where a source's own oldest has only just come, that is a burst and no siege: the
newcomer goes, since to drop those who are shaking hands would let nobody through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.errors import HboneError

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 2048
"""In all."""
MOST_OF_ONE = 256
"""Of one address."""
PATIENCE = 1.0
"""Seconds: a handshake that has been given time takes no longer between machines of a mesh."""


class TooManyStrangers(HboneError):
    """A connection gave its place to another before it had proved who it is."""

    flag = "-"

    def __init__(self, source: str) -> None:
        super().__init__(f"too many connections wait for their TLS handshake: this one of {source} had to go")


class Stranger:
    """The place of one of them. `cut(error)` ends whoever has it: he says how as soon as he has it."""

    __slots__ = ("cut", "since", "source")

    def __init__(self, source: str, since: float) -> None:
        self.source, self.since = source, since
        self.cut: Callable[[HboneError], None] = _nobody_yet


def _nobody_yet(error: HboneError) -> None:
    pass


class Strangers:
    """Those at one port."""

    def __init__(self, most: int = MOST, most_of_one: int = MOST_OF_ONE, patience: float = PATIENCE) -> None:
        self._most, self._most_of_one, self._patience = most, most_of_one, patience
        self._by_source: dict[str, dict[Stranger, None]] = {}  # each in the order in which they came
        self._crowds: dict[int, dict[str, None]] = {}
        """Sources by how many they have: to look through thousands at each accept would be an attack of its own."""
        self._largest = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def admit(self, source: str, now: float) -> Stranger | None:
        """A place for who comes from `source`, if need be that of another, who is cut; None: there is none."""
        waiting = self._crowd(source)
        if waiting:
            oldest = next(iter(waiting))
            if now - oldest.since < self._patience and oldest.source == source:
                return None
            self._cut(oldest)
        stranger = Stranger(source, now)
        own = self._by_source.setdefault(source, {})
        own[stranger] = None
        self._moved(source, len(own) - 1, len(own))
        return stranger

    def _crowd(self, source: str) -> dict[Stranger, None] | None:
        """Of whom one must go before one more of `source` comes; None: there is room."""
        own = self._by_source.get(source)
        if own is not None and len(own) >= self._most_of_one:
            return own
        return self._largest_crowd() if self._count >= self._most else None

    def _largest_crowd(self) -> dict[Stranger, None]:
        """Of the source that has most; of several, that which has had so many for longest."""
        return self._by_source[next(iter(self._crowds[self._largest]))]

    def _moved(self, source: str, before: int, now: int) -> None:
        """A source has one more, or one less."""
        if before:
            crowd = self._crowds[before]
            del crowd[source]
            if not crowd:
                del self._crowds[before]
        if now:
            self._crowds.setdefault(now, {})[source] = None
        if now > self._largest or self._largest not in self._crowds:
            self._largest = now
        self._count += now - before

    def settled(self, stranger: Stranger) -> None:
        """It has proved who it is, or is gone."""
        own = self._by_source.get(stranger.source)
        if own is not None and stranger in own:
            del own[stranger]
            self._moved(stranger.source, len(own) + 1, len(own))
            if not own:
                del self._by_source[stranger.source]

    def make_room(self) -> bool:
        """Cut the oldest of the source that has most, however young it is; False: there is none."""
        if not self._count:
            return False
        self._cut(next(iter(self._largest_crowd())))
        return True

    def _cut(self, stranger: Stranger) -> None:
        self.settled(stranger)
        stranger.cut(TooManyStrangers(stranger.source))
