"""IstioCertificateService: signs a caller's key for the caller, or for a pod that a node proxy speaks for.

As Citadel does it (hbone-controlplane 3.1). Names in the request count for nothing: the identity is the caller's own,
or the one it may impersonate. Only the accounts of node proxies may, and only for pods of their own node, which their
token names; istiod looks the caller's pod up for that, but our node proxies need not be in the folder.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError

from hbone_py.identity import InvalidSpiffeIdError, SpiffeId
from istiod_py.rate import Rate, RateLimit
from istiod_py.signing_request import SigningRequestError, granted_lifetime, read_signing_request
from mesh_py.identity.certificate_facts import certificates_of
from mesh_py.identity.signing import CaError, to_pem
from mesh_py.telemetry.log_format import fields
from mesh_py.xds.proto import citadel_pb2
from mesh_py.xds.types import CREATE_CERTIFICATE
from mesh_py.xds.wire_values import DEFAULT_CLUSTER

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable

    from istiod_py.authority import FolderAuthority
    from istiod_py.guard import Guard
    from istiod_py.metrics import IstiodMetrics
    from mesh_py.identity.signing import Leaf
    from mesh_py.identity.tokens import Caller

    RunsOn = Callable[[str, str, str], bool]
    """Whether a pod of this namespace and service account runs on this node of our cluster: (node, ns, account)."""

log = logging.getLogger("ca")

IMPERSONATED = "ImpersonatedIdentity"
LONGEST_IDENTITY = 2048
"""Characters; the SPIFFE standard's own bound."""

RATE = Rate(per_second=100, burst=1000)
"""Certificates for one caller: a node proxy fetches one for each account of its node when it starts."""


@dataclass(frozen=True, slots=True)
class CaPolicy:
    """Who gets what."""

    trust_domain: str
    node_accounts: frozenset[str]
    """`namespace/service-account` of node proxies (CA_TRUSTED_NODE_ACCOUNTS)."""
    lifetime: datetime.timedelta
    longest: datetime.timedelta
    cluster_id: str = DEFAULT_CLUSTER
    """Ours: nodes are told apart within it."""


class CaService:
    """The service. `clock` is seconds of a clock that only goes forward."""

    def __init__(
        self,
        authority: FolderAuthority,
        guard: Guard,
        policy: CaPolicy,
        runs_on: RunsOn,
        metrics: IstiodMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._authority = authority
        self._guard = guard
        self._policy = policy
        self._runs_on = runs_on
        self._metrics = metrics
        self._clock = clock
        self._limit = RateLimit(RATE)

    def __mapping__(self) -> dict[str, Handler]:
        kinds = (citadel_pb2.IstioCertificateRequest, citadel_pb2.IstioCertificateResponse)
        return {CREATE_CERTIFICATE: Handler(self.create_certificate, Cardinality.UNARY_UNARY, *kinds)}

    async def create_certificate(self, stream: Any) -> None:
        """Sign one certificate. Raises GRPCError with the reason where the caller may not have it."""
        caller = self._guard.caller_of(stream)
        request = await stream.recv_message()
        if request is None:
            raise GRPCError(Status.INVALID_ARGUMENT, "no request")
        self._metrics.csrs.increase()
        if not self._limit.allows(f"{caller.account} {caller.node}", self._clock()):
            raise GRPCError(Status.RESOURCE_EXHAUSTED, f"{caller.account} asks for too many certificates: wait")
        identity = self._identity(caller, request, (stream.metadata or {}).get("clusterid", ""))
        leaf = self._signed(identity, request)
        self._metrics.certificates.increase((str(identity != self._own(caller)).lower(),))
        log.info("signed", extra=fields(identity=str(identity), caller=caller.account, node=caller.node or None))
        await stream.send_message(citadel_pb2.IstioCertificateResponse(cert_chain=self._chain(leaf)))

    def _own(self, caller: Caller) -> SpiffeId:
        return SpiffeId(self._policy.trust_domain, caller.namespace, caller.service_account)

    def _identity(self, caller: Caller, request: Any, cluster: str) -> SpiffeId:
        wanted = request.metadata.fields[IMPERSONATED].string_value if IMPERSONATED in request.metadata.fields else ""
        if not wanted:
            return self._own(caller)
        if len(wanted) > LONGEST_IDENTITY:
            self._refuse_impersonation("malformed", caller, f"an identity of {len(wanted)} characters")
        try:
            identity = SpiffeId.parse(wanted)
        except InvalidSpiffeIdError as error:
            self._refuse_impersonation("malformed", caller, str(error))
        if cluster not in ("", self._policy.cluster_id):
            text = f"cluster {cluster[:80]!r} is not ours, {self._policy.cluster_id}: set CLUSTER_ID alike"
            self._refuse_impersonation("cluster", caller, text)
        if (refusal := self._why_not(caller, identity)) is not None:
            self._refuse_impersonation(*refusal[:1], caller, refusal[1])
        return identity

    def _why_not(self, caller: Caller, identity: SpiffeId) -> tuple[str, str] | None:
        """Reason and text why the caller may not speak for `identity`; None if it may."""
        if caller.account not in self._policy.node_accounts:
            return "account", f"{caller.account} is no node proxy's account (CA_TRUSTED_NODE_ACCOUNTS)"
        if identity.trust_domain != self._policy.trust_domain:
            return "trust domain", f"{identity} is not of our trust domain {self._policy.trust_domain}"
        if not caller.node:
            return "node", "the token names no node: mint it with --node"
        if not self._runs_on(caller.node, identity.namespace, identity.service_account):
            return "node", f"no pod of {identity} runs on node {caller.node}"
        return None

    def _refuse_impersonation(self, reason: str, caller: Caller, text: str) -> NoReturn:
        self._metrics.impersonation_failures.increase((reason,))
        log.warning("impersonation refused: %s", text, extra=fields(caller=caller.account, node=caller.node or None))
        raise GRPCError(Status.UNAUTHENTICATED, f"request impersonation authentication failure: {text}")

    def _signed(self, identity: SpiffeId, request: Any) -> Leaf:
        try:
            csr = read_signing_request(request.csr)
            lifetime = granted_lifetime(request.validity_duration, self._policy.lifetime, self._policy.longest)
        except SigningRequestError as error:
            self._metrics.csr_faults.increase()
            raise GRPCError(Status.INVALID_ARGUMENT, f"CSR signing error: {error}") from error
        try:
            return self._authority.issue(
                identity, lifetime, csr.public_key, _common_name(csr.wants_common_name, identity)
            )
        except CaError as error:
            self._metrics.sign_faults.increase(("CA_NOT_READY",))
            log.error("cannot sign: %s", error)
            raise GRPCError(Status.UNAVAILABLE, f"CSR signing error: {error}") from error

    def _chain(self, leaf: Leaf) -> list[str]:
        """The leaf, each intermediate by itself, and all roots as the last element (3.1)."""
        certificates = certificates_of(leaf.chain_pem)
        return [*(to_pem(one).decode() for one in certificates), self._authority.roots_pem.decode()]


def _common_name(is_wanted: bool, identity: SpiffeId) -> str:
    """Who wants a subject gets its identity as one, if there is room for it."""
    return str(identity) if is_wanted and len(str(identity)) <= 64 else ""
