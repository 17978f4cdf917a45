"""Deadlines for many, cheap to set and cheap to forget: one coarse wheel, not a `call_later` each (hot-path 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

TICK = 0.25
"""Seconds between looks at the wheel: a deadline is kept within this much, always late and never early."""
_CALLS_A_TURN = 16
"""So many calls, then whoever else waits for the loop: hundreds of idle connections may fall due in one tick."""


class Cancellable(Protocol):
    """A call to come."""

    def cancel(self) -> None:
        """Forget it."""


class Clock(Protocol):
    """What the wheel needs of an event loop; a test's clock stands still until it is told to move."""

    def time(self) -> float:
        """Seconds since some beginning."""

    def call_later(self, delay: float, callback: Callable[[], None], /) -> Cancellable:
        """Call `callback` once `delay` seconds have passed."""

    def call_exception_handler(self, context: dict[str, Any], /) -> None:
        """Report what nobody else can."""


def _nothing() -> None:
    """What is left to call once a timer has fired or was cancelled: it must not keep its owner alive."""


class Timer:
    """One pending call; `cancel` is cheap and may be repeated."""

    __slots__ = ("_bucket", "callback")

    def __init__(self, callback: Callable[[], object], bucket: dict[Timer, None]) -> None:
        self.callback = callback
        self._bucket = bucket
        bucket[self] = None

    def cancel(self) -> None:
        """Forget the call."""
        self._bucket.pop(self, None)
        self.callback = _nothing


class TimerWheel:
    """Calls things late by at most one tick. Ticks only while something is pending."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.time = clock.time
        """As `now`, for who asks with every request."""
        self._buckets: dict[int, dict[Timer, None]] = {}
        self._tick_to_come: Cancellable | None = None

    @property
    def now(self) -> float:
        """The clock's time, in seconds."""
        return self._clock.time()

    @property
    def pending(self) -> int:
        """How many calls are to come."""
        return sum(map(len, self._buckets.values()))

    def after(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` once `seconds` have passed."""
        slot = int((self._clock.time() + seconds) / TICK) + 1
        bucket = self._buckets.get(slot)
        if bucket is None:
            bucket = self._buckets[slot] = {}
        if self._tick_to_come is None:
            self._tick_to_come = self._clock.call_later(TICK, self._tick)
        return Timer(callback, bucket)

    def close(self) -> None:
        """Forget everything."""
        for bucket in self._buckets.values():
            bucket.clear()
        self._buckets.clear()
        if self._tick_to_come is not None:
            self._tick_to_come.cancel()
            self._tick_to_come = None

    def _tick(self) -> None:
        self._tick_to_come = None
        now = int(self._clock.time() / TICK)
        left = _CALLS_A_TURN
        for slot in sorted(slot for slot in self._buckets if slot <= now):
            left = self._call_some(self._buckets.get(slot, {}), left)
            if not left:
                break
            self._buckets.pop(slot, None)
        self._go_on(TICK if left else 0.0)

    def _go_on(self, delay: float) -> None:
        """Tick again if there is something to wait for; a call may have seen to that, but not to what is due now."""
        if self._buckets and self._tick_to_come is not None and not delay:
            self._tick_to_come.cancel()
            self._tick_to_come = None
        if self._buckets and self._tick_to_come is None:
            self._tick_to_come = self._clock.call_later(delay, self._tick)

    def _call_some(self, bucket: dict[Timer, None], left: int) -> int:
        """One by one, since each call may cancel those behind it; how many of `left` calls were not needed."""
        while bucket and left:
            left -= 1
            timer = next(iter(bucket))
            del bucket[timer]
            callback, timer.callback = timer.callback, _nothing
            try:
                callback()
            except Exception as error:  # one bad call must not stop the others
                self._clock.call_exception_handler({"message": "a deadline's call failed", "exception": error})
        return left
