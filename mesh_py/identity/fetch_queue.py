"""Whose certificate is to be fetched next: the most urgent of those that are due (hbone-controlplane 3.3) [pure]."""

from __future__ import annotations

import heapq
import itertools
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import datetime

    from hbone_py.identity import SpiffeId


class Priority(IntEnum):
    """How urgent; smaller goes first."""

    REAL_TIME = 0
    """A connection waits."""
    WARMUP = 1
    """A workload is there, and will want it."""
    BACKGROUND = 2
    """A renewal, or a further try."""


class _Wish(NamedTuple):
    """One place in a heap. It is void once the identity's newest wish is another."""

    order: tuple[int, datetime.datetime]
    number: int
    identity: SpiffeId


class _Wanted(NamedTuple):
    priority: Priority
    due: datetime.datetime
    number: int


class FetchQueue:
    """Each identity at most once; among equals the one that has been due longest goes first."""

    def __init__(self) -> None:
        self._wanted: dict[SpiffeId, _Wanted] = {}
        self._later: list[tuple[datetime.datetime, int, SpiffeId]] = []
        self._now: list[_Wish] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._wanted)

    def want(self, identity: SpiffeId, priority: Priority, due: datetime.datetime) -> None:
        """Ask for it from `due` on. What was asked before is raised by this, never lowered."""
        before = self._wanted.get(identity)
        if before is not None:
            if before.priority <= priority and before.due <= due:
                return
            priority, due = min(before.priority, priority), min(before.due, due)
        self._put(identity, priority, due)

    def discard(self, identity: SpiffeId) -> None:
        """Nobody wants it any more."""
        self._wanted.pop(identity, None)

    def take(self, now: datetime.datetime) -> SpiffeId | None:
        """The next one that is due, which leaves the queue; None if nothing is."""
        while self._later and self._later[0][0] <= now:
            due, number, identity = heapq.heappop(self._later)
            if self._is_newest(identity, number):
                heapq.heappush(self._now, _Wish((self._wanted[identity].priority, due), number, identity))
        while self._now:
            wish = heapq.heappop(self._now)
            if self._is_newest(wish.identity, wish.number):
                del self._wanted[wish.identity]
                return wish.identity
        return None

    def next_due(self) -> datetime.datetime | None:
        """When `take` will have something; a moment that has passed: now. None: nothing is asked for."""
        while self._now and not self._is_newest(self._now[0].identity, self._now[0].number):
            heapq.heappop(self._now)
        if self._now:
            return self._now[0].order[1]
        while self._later and not self._is_newest(self._later[0][2], self._later[0][1]):
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else None

    def _put(self, identity: SpiffeId, priority: Priority, due: datetime.datetime) -> None:
        number = next(self._numbers)
        self._wanted[identity] = _Wanted(priority, due, number)
        heapq.heappush(self._later, (due, number, identity))

    def _is_newest(self, identity: SpiffeId, number: int) -> bool:
        wanted = self._wanted.get(identity)
        return wanted is not None and wanted.number == number
