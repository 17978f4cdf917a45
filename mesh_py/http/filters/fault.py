"""Faults that configuration asks for: delays and aborts for a share of the requests [pure]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh_py.http.errors import DELAY_FLAG, FaultInjected
from mesh_py.http.filters.base import CONTINUE, BlindToAnswers, Delay, Step

if TYPE_CHECKING:
    from mesh_py.http.filters.stream_info import StreamInfo
    from mesh_py.http.messages import HttpRequest


@dataclass(frozen=True, slots=True)
class FaultRules:
    """VirtualService's `fault`. Percentages are 0 to 100, and each fault is drawn by itself."""

    delay: float = 0.0
    """Seconds."""
    delay_percent: float = 0.0
    abort_status: int = 503
    abort_percent: float = 0.0


class DelayFault(BlindToAnswers):
    """Holds requests up. Stands in front of `AbortFault`: a request may meet both."""

    def __init__(self, rules: FaultRules) -> None:
        self.rules = rules

    def on_request(self, request: HttpRequest, info: StreamInfo) -> Step:
        """A delay for its share."""
        rules = self.rules
        if rules.delay <= 0 or not _is_drawn(rules.delay_percent, info):
            return CONTINUE
        info.flags.append(DELAY_FLAG)
        return Delay(rules.delay)


class AbortFault(BlindToAnswers):
    """Refuses requests."""

    def __init__(self, rules: FaultRules) -> None:
        self.rules = rules

    def on_request(self, request: HttpRequest, info: StreamInfo) -> Step:
        """The configured status for its share."""
        if _is_drawn(self.rules.abort_percent, info):
            info.details = "fault_filter_abort"
            raise FaultInjected(self.rules.abort_status)
        return CONTINUE


def _is_drawn(percent: float, info: StreamInfo) -> bool:
    return percent >= 100 or (percent > 0 and info.random() * 100 < percent)
