"""A local rate limit: so many requests in a while, by one proxy [pure]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh_py.http.errors import RateLimited
from mesh_py.http.filters.base import CONTINUE, BlindToAnswers, Step

if TYPE_CHECKING:
    from mesh_py.http.filters.stream_info import StreamInfo
    from mesh_py.http.messages import HttpRequest


@dataclass(frozen=True, slots=True)
class RateRules:
    """Envoy's token bucket."""

    max_tokens: int
    """Of the bucket, which begins full."""
    tokens_per_fill: int = 1
    fill_interval: float = 1.0
    """Seconds."""


class TokenBucket:
    """Filled by whole intervals, as Envoy's is."""

    __slots__ = ("_filled_at", "_tokens", "rules")

    def __init__(self, rules: RateRules, now: float) -> None:
        self.rules = rules
        self._tokens = rules.max_tokens
        self._filled_at = now

    def take(self, now: float) -> bool:
        """One token, if there is one."""
        rules = self.rules
        # A clock that was set back begins anew.
        elapsed = max(now - self._filled_at, 0.0) if now >= self._filled_at else 0.0
        fills = int(elapsed / rules.fill_interval)
        if fills:
            self._tokens = min(self._tokens + fills * rules.tokens_per_fill, rules.max_tokens)
            self._filled_at += fills * rules.fill_interval
        elif now < self._filled_at:
            self._filled_at = now
        if not self._tokens:
            return False
        self._tokens -= 1
        return True


class RateLimit(BlindToAnswers):
    """429 for what is over the limit."""

    def __init__(self, rules: RateRules) -> None:
        self._rules = rules
        self._bucket: TokenBucket | None = None

    def on_request(self, request: HttpRequest, info: StreamInfo) -> Step:
        """One token for each request."""
        now = info.clock()
        if self._bucket is None:
            self._bucket = TokenBucket(self._rules, now)
        if not self._bucket.take(now):
            info.details = "local_rate_limited"
            raise RateLimited(f"more than {self._rules.max_tokens} requests at once")
        return CONTINUE
