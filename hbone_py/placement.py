"""Which connection a new tunnel goes on: a small stream must not stand behind another one's bulk [pure].

The tunnels of a connection share one TCP stream. What one of them has in the kernel's buffers lies before whatever the
others say: megabytes, tens of milliseconds, and no priority helps once bytes are encrypted. So a new tunnel goes on a
connection that carries no bulk, and one more is made where all do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LARGE: Final = 16 * 1024
"""Bytes from which on a read may be one of bulk."""
SPAN: Final = 0.1
"""Seconds over which bytes are counted together."""
BULK_BYTES: Final = 1024 * 1024
"""So many in one span are bulk: 80 Mbit/s."""
LINGER: Final = 0.5
"""Seconds that bulk is expected to go on after it was seen last."""
MAX_CONNECTIONS: Final = 4
"""To one destination, where it is only for bulk that there is more than one."""


class BulkMeter:
    """What one connection moved lately, both ways, as far as it came in large pieces."""

    __slots__ = ("_bytes", "_since", "bulk_until")

    def __init__(self) -> None:
        self._since = 0.0
        self._bytes = 0
        self.bulk_until = 0.0
        """When bulk is no longer expected; 0 where there never was any."""

    def moved(self, count: int, now: float) -> None:
        """`count` bytes went in one piece, at `now` (seconds of a clock that does not go back)."""
        if now - self._since > SPAN:
            self._since = now
            self._bytes = 0
        self._bytes += count
        if self._bytes >= BULK_BYTES:
            self.bulk_until = now + LINGER

    def is_bulk(self, now: float) -> bool:
        """Whether bulk is flowing, or has just paused."""
        return now < self.bulk_until


class Candidate(Protocol):
    """A connection with room for one more tunnel."""

    meter: BulkMeter
    is_stalled: bool
    """Its socket is full: there is more to send than the way takes."""


AnyCandidate = TypeVar("AnyCandidate", bound=Candidate)


def choose(
    candidates: Sequence[AnyCandidate], now: float, tunnels: Callable[[AnyCandidate], int], *, may_connect: bool
) -> AnyCandidate | None:
    """Where the next tunnel goes; None asks for a new connection. `tunnels` says how many one has.

    The first without bulk, so that later ones fall idle. Where all carry bulk, a new one if there may be one more, else
    the one with the fewest tunnels.
    """
    for candidate in candidates:
        if not (candidate.is_stalled or candidate.meter.is_bulk(now)):
            return candidate
    if may_connect or not candidates:
        return None
    return min(candidates, key=tunnels)
