"""Time that moves only when a test says so: what stands under a `TimerWheel` in the place of the event loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True, eq=False)
class PendingCall:
    """One call to come; `cancel` forgets it."""

    when: float
    callback: Callable[..., object]
    arguments: tuple[object, ...]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


class VirtualClock:
    """`advance` runs what falls due, in order, and nothing else does. Problems that a loop would log are kept."""

    def __init__(self, now: float = 1000.0) -> None:
        self._now = now
        self._calls: list[PendingCall] = []
        self.problems: list[dict[str, Any]] = []

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[..., object], *arguments: object) -> PendingCall:
        call = PendingCall(self._now + delay, callback, arguments)
        self._calls.append(call)
        return call

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.problems.append(context)

    @property
    def pending(self) -> int:
        """Calls that have neither run nor been cancelled."""
        return sum(not call.is_cancelled for call in self._calls)

    def jump(self, seconds: float) -> None:
        """Let `seconds` pass with nobody called, as when the process was busy elsewhere."""
        self._now += seconds

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, and with them every call that falls due on the way."""
        end = self._now + seconds
        while (call := self._next_until(end)) is not None:
            self._calls.remove(call)
            self._now = max(self._now, call.when)
            call.callback(*call.arguments)
        self._now = end

    def _next_until(self, end: float) -> PendingCall | None:
        self._calls = [call for call in self._calls if not call.is_cancelled]
        due = [call for call in self._calls if call.when <= end]
        return min(due, key=lambda call: call.when, default=None)
