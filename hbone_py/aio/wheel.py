"""Deadlines for many, cheap to set and cheap to forget: one coarse wheel, not a `call_later` each (hot-path 7)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TICK = 0.25
"""Seconds between looks at the wheel: a deadline is kept within this much, always late and never early."""


class Timer:
    """One pending call; `cancel` is cheap and may be repeated."""

    __slots__ = ("_bucket", "callback")

    def __init__(self, callback: Callable[[], None], bucket: dict[Timer, None]) -> None:
        self.callback = callback
        self._bucket = bucket
        bucket[self] = None

    def cancel(self) -> None:
        """Forget the call."""
        self._bucket.pop(self, None)


class TimerWheel:
    """Calls things late by at most one tick. Ticks only while something is pending."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buckets: dict[int, dict[Timer, None]] = {}
        self._handle: asyncio.TimerHandle | None = None

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` once `seconds` have passed."""
        slot = int((self._loop.time() + seconds) / TICK) + 1
        bucket = self._buckets.get(slot)
        if bucket is None:
            bucket = self._buckets[slot] = {}
        if self._handle is None:
            self._handle = self._loop.call_later(TICK, self._tick)
        return Timer(callback, bucket)

    def close(self) -> None:
        """Forget everything."""
        self._buckets.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _tick(self) -> None:
        self._handle = None
        now = int(self._loop.time() / TICK)
        for slot in [slot for slot in self._buckets if slot <= now]:
            for timer in list(self._buckets.pop(slot)):
                try:
                    timer.callback()
                except Exception as error:  # one bad call must not stop the others
                    self._loop.call_exception_handler({"message": "a deadline's call failed", "exception": error})
        if self._buckets and self._handle is None:
            self._handle = self._loop.call_later(TICK, self._tick)
