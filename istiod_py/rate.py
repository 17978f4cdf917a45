"""How often somebody may do something: a bucket that fills by time, one for each caller [pure]."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

MOST_CALLERS = 4_096
"""Callers remembered. The one seen longest ago is forgotten, which only gives it a full bucket."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_second` on the average, and up to `burst` at once."""

    per_second: float
    burst: int


class RateLimit:
    """Buckets by caller. `now` is seconds of a clock that only goes forward."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, caller: str, now: float) -> bool:
        """Whether the caller may, now; counts it if so."""
        level, since = self._buckets.pop(caller, (float(self._rate.burst), now))
        level = min(float(self._rate.burst), level + (now - since) * self._rate.per_second)
        is_allowed = level >= 1
        self._buckets[caller] = (level - 1 if is_allowed else level, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        return is_allowed
