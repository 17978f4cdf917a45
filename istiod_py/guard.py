"""Who may come in: the caller of every gRPC call, by its bearer token or by its client certificate."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from mesh_py.identity.tokens import Caller, TokenError, bearer
from mesh_py.rpc.peer import peer_of
from mesh_py.telemetry.log_format import fields
from mesh_py.telemetry.log_text import Bare

if TYPE_CHECKING:
    from collections.abc import Callable

    from istiod_py.metrics import IstiodMetrics
    from istiod_py.node import ProxyNode
    from mesh_py.identity.tokens import TokenKey

log = logging.getLogger("security")


class Guard:
    """Tells callers apart. `now` gives seconds since the epoch."""

    def __init__(
        self,
        tokens: TokenKey,
        trust_domain: str,
        metrics: IstiodMetrics,
        now: Callable[[], float],
        *,
        checks_identity: bool = True,
    ) -> None:
        self._tokens = tokens
        self._trust_domain = trust_domain
        self._metrics = metrics
        self._now = now
        self._checks_identity = checks_identity

    def caller_of(self, stream: Any) -> Caller:
        """Who makes the call. Raises GRPCError (UNAUTHENTICATED) for whoever cannot prove it.

        A token is asked first: a node proxy may show the certificate of one workload and speak for the node.
        """
        header = (stream.metadata or {}).get("authorization")
        if header is None and (caller := self._certified(stream)) is not None:
            return caller
        try:
            return self._tokens.check(bearer(header), self._now())
        except TokenError as error:
            self._metrics.authentication_failures.increase((error.reason,))
            log.warning("refused %s: %s", peer_of(stream), error, extra=fields(reason=Bare(error.reason)))
            raise GRPCError(Status.UNAUTHENTICATED, f"request authenticate failure: {error}") from error

    def visitor_of(self, stream: Any) -> Caller | None:
        """Who opens a discovery stream; None: somebody of this machine, in plaintext and without a token.

        The plaintext port lets in whoever reaches it, as istiod's does; a token that is shown is checked there too.
        """
        is_open = not peer_of(stream).is_secure and "authorization" not in (stream.metadata or {})
        return None if is_open else self.caller_of(stream)

    def check_node(self, node: ProxyNode, caller: Caller | None) -> None:
        """A proxy is what its token says. Raises GRPCError (PERMISSION_DENIED) for one that claims otherwise."""
        if caller is None or not self._checks_identity:
            return
        claimed = node.service_account
        if node.namespace == caller.namespace and claimed in ("", caller.service_account):
            return
        text = f"node {node.id!r} (service account {claimed or 'not said'}) with the identity of {caller.account}"
        self._metrics.identity_mismatches.increase()
        log.warning("refused %s", text)
        raise GRPCError(Status.PERMISSION_DENIED, f"authorization failed: {text}")

    def _certified(self, stream: Any) -> Caller | None:
        """The one whom a verified client certificate names, in our trust domain."""
        for identity in peer_of(stream).identities:
            if identity.trust_domain == self._trust_domain:
                return Caller(identity.namespace, identity.service_account)
        return None
