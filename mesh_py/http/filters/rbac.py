"""AuthorizationPolicy as a filter [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.http.filters.base import CONTINUE, Ask, BlindToAnswers, Step
from mesh_py.http.rbac_facts import RequestFacts

if TYPE_CHECKING:
    from mesh_py.http.filters.stream_info import StreamInfo
    from mesh_py.http.http_rbac import HttpPolicies
    from mesh_py.http.messages import HttpRequest


class Rbac(BlindToAnswers):
    """Set `policies` anew when they change. Stands behind `Tokens`, whose claims it judges by.

    A request that its policies allow and that external authorizers have to agree to gives an `Ask`.
    """

    def __init__(self, policies: HttpPolicies) -> None:
        self.policies = policies

    def on_request(self, request: HttpRequest, info: StreamInfo) -> Step:
        """403 `RBAC: access denied` where policies say so."""
        if self.policies.is_empty:
            return CONTINUE
        verdict = self.policies.judge(request_facts(request, info))
        if verdict.notes:
            info.notes += verdict.notes
        if not verdict.allowed:
            info.details = verdict.details
            verdict.enforce()
        return Ask(verdict.ask) if verdict.ask else CONTINUE


def request_facts(request: HttpRequest, info: StreamInfo) -> RequestFacts:
    """A request as policies see it."""
    return RequestFacts(
        request,
        info.source_ip,
        info.destination_ip,
        info.destination_port,
        info.identity,
        info.remote_ip,
        info.claims,
        info.sni,
    )
