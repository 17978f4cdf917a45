"""How the reactor waits for the kernel: asleep, or awake for a moment where the next message mostly follows at once.

Whoever sleeps has to be woken: the other core interrupts ours, which comes back from idleness or from another program,
and finds other caches. For a lone message that is more than all the work we do for it. So where the last wait was
short, we look again and again for a while, and offer our core after each look: whoever else is ready runs in between.
The kernel of a virtual machine does the same before it gives back an idle core (`haltpoll`), as long, by the same rule.
"""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    Events = list[tuple[int, int]]
    """Descriptors, and what the kernel reports of each."""

LINGER: Final = 200e-6
"""Seconds that a wait is spent awake at most. One that took no longer has the next one spent so; one that has been and
brought nothing, the next one asleep."""
_TAKEN: Final = 1e-3
"""So much longer than we may linger our core was gone after an offer: a program had it that has enough to do for more.
Whoever sleeps is preferred to that one when woken, and whoever offers its core is not, so we sleep"""
SHORT_REST: Final = 0.01
LONG_REST: Final = 1.0
"""for so many seconds at least and at most: each time twice as long where the last rest is no longer ago than it was
long."""
BATCH: Final = 256
"""What one look brings at most."""
_FEW: Final = 1.3
"""Sockets of a batch of late, at most, for a wait to be spent awake. Of many somebody has mostly spoken by the time we
look, and workers beside each other would take each other's core in vain."""
_CROWD: Final = 2.5
_LATE: Final = 8.0
"""About so many batches are "of late"."""


class Epoll(Protocol):
    """What `select.epoll` is for us."""

    def poll(self, timeout: float, maxevents: int, /) -> Events:
        """Wait at most so many seconds, negative for ever."""


class Watch:
    """One per reactor."""

    __slots__ = ("_clock", "_epoll", "_is_brisk", "_rest", "_rests_until", "_sockets", "may_linger")

    def __init__(self, epoll: Epoll, clock: Callable[[], float] = monotonic) -> None:
        self.may_linger = True
        """Waits may be spent awake; the process's to set."""
        self._epoll = epoll
        self._clock = clock
        self._is_brisk = False  # the last wait was a short one
        self._rest = SHORT_REST  # the last one, in seconds,
        self._rests_until = 0.0  # and its end
        self._sockets = 1.0  # ready at once, of late

    def wait(self, timeout: float) -> Events:
        """What is ready within so many seconds, negative for ever."""
        if not timeout or self._sockets > _FEW or not self.may_linger:
            return self._epoll.poll(timeout, BATCH)
        return self._linger(timeout) if self._is_brisk else self._sleep(timeout)

    def _linger(self, timeout: float) -> Events:
        """Look for a moment, and sleep for what is left."""
        clock, poll = self._clock, self._epoll.poll
        now = clock()
        until = now + LINGER
        end = until if timeout < 0 else now + timeout
        while now < until:
            events = poll(0, BATCH)
            if events:
                return events
            os.sched_yield()
            now = clock()
        self._is_brisk = False
        if now - until > _TAKEN:
            self._rest_from(now)
        return poll(timeout if timeout < 0 else max(0.0, end - now), BATCH)

    def _rest_from(self, now: float) -> None:
        """Our core is wanted by others."""
        was_short = now - self._rests_until < self._rest
        self._rest = min(2 * self._rest, LONG_REST) if was_short else SHORT_REST
        self._rests_until = now + self._rest

    def _sleep(self, timeout: float) -> Events:
        began = self._clock()
        events = self._epoll.poll(timeout, BATCH)
        now = self._clock()
        self._is_brisk = bool(events) and now - began < LINGER and now >= self._rests_until
        return events

    def served(self, sockets: int) -> None:
        """So many were ready in the batch that is over."""
        self._sockets += (sockets - self._sockets) / _LATE

    def moved_bulk(self) -> None:
        """Bulk is what others wait for: its turns give way by themselves."""
        self._sockets = 1.0

    @property
    def is_crowded(self) -> bool:
        """Many talk to us: one who is ready is mostly not the only one."""
        return self._sockets > _CROWD
