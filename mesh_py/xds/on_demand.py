"""Addresses that are asked for one by one (hbone-controlplane 2.7): who waits for which name, and for how long.

Unlike ztunnel's, a wait ends with whatever answers it: the name itself, an alias, or a resource that has the address
or host name asked for; a second asker shares the first one's wait; and each wait has a deadline. That a name is
nobody's is remembered for a while, so that connections to the rest of the world do not wait each time. That nobody
answered is remembered as something else: it tells nothing about the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mesh_py.model.address import NetworkAddress
from mesh_py.model.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mesh_py.model.workload import Service

    Done = Callable[[], None]

MOST_WAITING = 4096
"""Names waited for at the same time; one more is not asked for, and so unanswered."""
MOST_ABSENT = 4096
"""Names remembered as nobody's; the oldest is given up for one more."""
ABSENT_SECONDS = 10.0
"""How long a name counts as nobody's without being asked for again."""


class Timer(Protocol):
    """What a clock's `call_later` gives."""

    def cancel(self) -> None:
        """Do not call."""


class Clock(Protocol):
    """The event loop, or what stands for it in tests."""

    def time(self) -> float:
        """Seconds, from whenever."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Call once, after `delay` seconds."""


class _Wait:
    """A name that was asked for, and who is to hear of the answer."""

    __slots__ = ("done", "timer")

    def __init__(self, timer: Timer) -> None:
        self.timer = timer
        self.done: list[Done] = []


class OnDemand:
    """Names under way and names that are nobody's.

    Args:
        ask: called with names to subscribe to.
        forget: called with names to unsubscribe from.
        clock: tells the time and calls back.
        seconds: the deadline of a wait.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[str]], None],
        forget: Callable[[Sequence[str]], None],
        clock: Clock,
        seconds: float,
    ) -> None:
        self._ask, self._forget, self._clock, self._seconds = ask, forget, clock, seconds
        self._waiting: dict[str, _Wait] = {}
        self._absent: dict[str, float] = {}
        """Until when a name is not asked for again."""
        self._denied: set[str] = set()
        """Those of them that the control plane itself has said to be nobody's."""

    @property
    def waiting(self) -> tuple[str, ...]:
        """Names under way; a new stream asks for them again."""
        return tuple(self._waiting)

    def is_known_absent(self, name: str) -> bool:
        """Whether asking is pointless: the control plane said lately that the name is nobody's, or said nothing."""
        until = self._absent.get(name)
        return until is not None and self._clock.time() < until

    def is_unanswered(self, name: str) -> bool:
        """Whether nobody has told yet if the name is somebody's: there was no answer in time, or no room to ask."""
        return name not in self._denied

    def find(self, names: Iterable[str], done: Done) -> None:
        """Ask for names; `done` is called once all of them have answered, or are not waited for any longer.

        It may be called before this returns: when there is nothing to wait for.
        """
        wanted = [name for name in dict.fromkeys(names) if not self.is_known_absent(name)]
        fresh = [name for name in wanted if name not in self._waiting][: MOST_WAITING - len(self._waiting)]
        for name in fresh:
            self._waiting[name] = _Wait(self._clock.call_later(self._seconds, self._deadline_of(name)))
        waits = [self._waiting[name] for name in wanted if name in self._waiting]
        if not waits:
            done()
            return
        countdown = _Countdown(len(waits), done)
        for wait in waits:
            wait.done.append(countdown)
        if fresh:
            self._ask(fresh)

    def brought(self, resource: Workload | Service, names: Iterable[str]) -> None:
        """A resource has been applied, which is called `names`: whoever waits for it under any name goes on."""
        if self._waiting or self._absent:
            for name in (*names, *_names_of(resource), *self._in_blocks_of(resource)):
                self._absent.pop(name, None)
                self._denied.discard(name)
                self._settle(name)

    def removed(self, names: Iterable[str]) -> None:
        """The control plane says that nobody has these names (any more)."""
        for name in names:
            if name in self._waiting or name in self._absent:
                self._remember_absent(name)
                self._denied.add(name)
                self._settle(name)

    def _deadline_of(self, name: str) -> Done:
        def too_late() -> None:
            self._remember_absent(name)
            self._denied.discard(name)
            self._settle(name)

        return too_late

    def _settle(self, name: str) -> None:
        wait = self._waiting.pop(name, None)
        if wait is not None:
            wait.timer.cancel()
            for done in wait.done:
                done()

    def _remember_absent(self, name: str) -> None:
        self._absent.pop(name, None)
        if len(self._absent) >= MOST_ABSENT:
            oldest = next(iter(self._absent))
            del self._absent[oldest]
            self._denied.discard(oldest)
            self._forget([oldest])
        self._absent[name] = self._clock.time() + ABSENT_SECONDS

    def _in_blocks_of(self, resource: Workload | Service) -> Iterator[str]:
        """Addresses waited for that lie in a block of virtual addresses."""
        if isinstance(resource, Workload) or not resource.cidr_vips:
            return
        for name in tuple(self._waiting):
            try:
                network, ip = NetworkAddress.parse(name)
            except ValueError:
                continue
            if any(block.network == network and block.cidr.contains(ip) for block in resource.cidr_vips):
                yield name


class _Countdown:
    """Calls `done` when it has been called as often as was said."""

    __slots__ = ("_done", "_left")

    def __init__(self, count: int, done: Done) -> None:
        self._left, self._done = count, done

    def __call__(self) -> None:
        self._left -= 1
        if not self._left:
            self._done()


def _names_of(resource: Workload | Service) -> Iterator[str]:
    """What somebody may have asked for to get this."""
    if isinstance(resource, Workload):
        yield resource.uid
        yield from (f"{resource.network}/{ip}" for ip in resource.workload_ips)
        if resource.hostname:
            yield f"{resource.namespace}/{resource.hostname}"
    else:
        yield str(resource.key)
        yield from map(str, resource.vips)
