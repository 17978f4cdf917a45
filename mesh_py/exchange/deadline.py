"""A deadline that is kept to the millisecond, and costs no more than a coarse one while it is far."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hbone_py.aio.wheel import TICK

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.aio.wheel import Cancellable, TimerWheel

NEAR = 2 * TICK
"""Seconds that the wheel may be late, and the tick that it is late by at most: before them it waits there."""


class Deadline:
    """Calls once, unless it is cancelled before. Nearly all are, long before: those never meet the event loop."""

    __slots__ = ("_at", "_callback", "_pending", "_wheel")

    def __init__(self, wheel: TimerWheel, at: float, callback: Callable[[], None]) -> None:
        """`at`: by the wheel's clock."""
        self._wheel, self._at, self._callback = wheel, at, callback
        self._pending: Cancellable
        left = at - wheel.now
        if left > NEAR:
            self._pending = wheel.after(left - NEAR, self._come_near)
        else:
            self._come_near()

    def _come_near(self) -> None:
        left = max(0.0, self._at - self._wheel.now)
        self._pending = asyncio.get_running_loop().call_later(left, self._callback)

    def cancel(self) -> None:
        """Forget it."""
        self._pending.cancel()
