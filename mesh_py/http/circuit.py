"""How much one backend may be asked at once: Envoy's circuit breakers [pure]."""

from __future__ import annotations

from dataclasses import dataclass

from mesh_py.http.errors import UpstreamOverflow

NO_LIMIT = 2**32 - 1


@dataclass(frozen=True, slots=True)
class CircuitLimits:
    """Of DestinationRule's `connectionPool`; connections, and who waits for one, are the pool's to limit.

    Istio sets none of them by itself.
    """

    max_requests: int = NO_LIMIT
    """Requests under way, waiting ones included."""
    max_retries: int = NO_LIMIT
    """Retries under way."""


NO_LIMITS = CircuitLimits()


class Circuit:
    """What is under way at one backend. Everything that was taken has to be given back."""

    __slots__ = ("limits", "overflows", "requests", "retries")

    def __init__(self, limits: CircuitLimits = NO_LIMITS) -> None:
        self.limits = limits
        self.requests = 0
        self.retries = 0
        self.overflows = 0
        """Refused so far, for the statistics."""

    def take_request(self) -> None:
        """One more request. Raises UpstreamOverflow."""
        if self.requests >= self.limits.max_requests:
            self._overflow(self.limits.max_requests, "requests")
        self.requests += 1

    def take_retry(self) -> bool:
        """One more retry, if there is room: without, the failure stands."""
        if self.retries >= self.limits.max_retries:
            self.overflows += 1
            return False
        self.retries += 1
        return True

    def _overflow(self, most: int, what: str) -> None:
        self.overflows += 1
        raise UpstreamOverflow(f"no more than {most} {what} at once")
