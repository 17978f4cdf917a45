"""RequestAuthentication as a filter: checks tokens and leaves their claims in `info.claims` [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.http.errors import BadToken
from mesh_py.http.filters.base import CONTINUE, BlindToAnswers, Respond, Step
from mesh_py.http.jwt_auth import Issuer, authenticate, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesh_py.http.filters.stream_info import StreamInfo
    from mesh_py.http.messages import HttpRequest


class Tokens(BlindToAnswers):
    """Set `issuers` anew when policies or key sets change."""

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        self.issuers = tuple(issuers)

    def on_request(self, request: HttpRequest, info: StreamInfo) -> Step:
        """401 for a token that cannot be believed, with Envoy's text and challenge."""
        if self.issuers:
            try:
                info.claims = authenticate(request, self.issuers, info.clock())
            except BadToken as error:
                info.details = "jwt_authn_access_denied{" + str(error).replace(" ", "_") + "}"
                return Respond(refusal(error, request), str(error).encode())
        return CONTINUE
