"""Which failures are tried again, and after how long [pure]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh_py.http.errors import HttpError, UpstreamFailure, UpstreamRefused, UpstreamReset, UpstreamTimeout

if TYPE_CHECKING:
    from mesh_py.http.messages import HttpResponse
    from mesh_py.manifests.routes import Retry
    from mesh_py.model.route import Random

DEFAULT_ATTEMPTS = 2
"""Retries of a route that says nothing, as Istio sets them."""
DEFAULT_BACKOFF = 0.025
"""Seconds; Envoy's base interval."""
MOST_BODY_BYTES = 64 * 1024
"""A request whose body is longer than this is not kept, and so not sent again (Envoy's buffer limit is 1 MiB)."""
_GRPC_RETRIED = frozenset({"1", "14"})  # cancelled, unavailable


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and on what a route tries again.

    Whatever the policy, a failure to connect and a refused stream are tried again: upstream has done nothing yet.
    """

    attempts: int = DEFAULT_ATTEMPTS
    """Further tries; 0 switches them off."""
    codes: frozenset[int] = frozenset()
    resets: bool = False
    """Also where upstream broke off or let its own time pass: it may have acted already."""
    backoff: float = DEFAULT_BACKOFF

    @staticmethod
    def of(retry: Retry | None) -> RetryPolicy:
        """What a route says. One that names codes also wants broken connections tried again (Gateway API)."""
        if retry is None:
            return DEFAULT_POLICY
        attempts = DEFAULT_ATTEMPTS if retry.attempts is None else retry.attempts
        backoff = DEFAULT_BACKOFF if retry.backoff is None else retry.backoff
        return RetryPolicy(attempts, frozenset(retry.codes), resets=True, backoff=backoff)

    def retries_error(self, error: HttpError, tries: int) -> bool:
        """Whether to try again after `tries` tries, the last of which ended in `error`."""
        if tries > self.attempts:
            return False
        if isinstance(error, UpstreamFailure | UpstreamRefused):
            return True
        return self.resets and isinstance(error, UpstreamReset | UpstreamTimeout)

    def retries_response(self, response: HttpResponse, tries: int) -> bool:
        """Whether to try again instead of passing this answer on."""
        if tries > self.attempts:
            return False
        return response.status in self.codes or response.headers.get("grpc-status") in _GRPC_RETRIED

    def delay(self, tries: int, random: Random) -> float:
        """Seconds to wait after `tries` tries: by chance up to a bound that doubles, at most ten times the base."""
        return random() * self.backoff * min((1 << min(tries, 8)) - 1, 10)


DEFAULT_POLICY = RetryPolicy()
NO_RETRIES = RetryPolicy(attempts=0)
