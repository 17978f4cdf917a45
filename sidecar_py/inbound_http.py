"""Requests to the application: judged one by one, told who calls, and handed over."""

from __future__ import annotations

import hashlib
import time
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from cryptography import x509

from hbone_py.aio.tcp import show
from hbone_py.errors import HboneError
from mesh_py.exchange.passage import Limits, Plan
from mesh_py.exchange.pool import PoolLimits
from mesh_py.http.authorizer import Denied, as_answer
from mesh_py.http.authorizer import refusal as authorizer_refusal
from mesh_py.http.client_cert import ClientCert
from mesh_py.http.codec_h1 import H1Client
from mesh_py.http.codec_h2 import H2Client
from mesh_py.http.errors import AccessDenied, BadToken, HttpError, UpstreamFailure
from mesh_py.http.forwarding import ClientCertRule, forward_client_cert, mark_request, refuse_connect, remove_internal
from mesh_py.http.grpc_reply import is_grpc
from mesh_py.http.jwt_auth import refusal
from mesh_py.http.paths import normalize
from mesh_py.http.rbac_facts import RequestFacts
from mesh_py.http.retry import NO_RETRIES
from mesh_py.model.errors import PolicyDenied
from mesh_py.proxy.cluster import Pick
from mesh_py.proxy.journal import Journal, as_http_error
from mesh_py.proxy.ways import Endpoint, Plain
from mesh_py.telemetry.facts import ConnectionFacts, ServiceFacts

if TYPE_CHECKING:
    from mesh_py.exchange.exchange import Exchange
    from mesh_py.exchange.passage import Later
    from mesh_py.exchange.upstream import Upstream
    from mesh_py.exchange.wire import WireStream
    from mesh_py.http.codec import ClientCodec
    from mesh_py.http.messages import HttpRequest, HttpResponse
    from mesh_py.model.address import SocketAddress
    from sidecar_py.context import SidecarContext
    from sidecar_py.inbound import Caller, Inbound


def application_key(address: SocketAddress, *, http2: bool) -> tuple[str, SocketAddress, bool]:
    """What the pool calls connections to the application at an address."""
    return ("application", address, http2)


def application_limits(context: SidecarContext) -> PoolLimits:
    """How many of those there may be."""
    return PoolLimits(idle=context.settings.http_pool_idle)


_LIMITS = Limits(NO_RETRIES)
_HOSTS_KEPT = 16


class ApplicationBackend:
    """The application, over the pool."""

    def __init__(self, inbound: Inbound, caller: Caller, *, http2: bool) -> None:
        self._inbound, self._local, self._http2 = inbound, caller.local, http2
        self._pick = Pick(Endpoint(Plain(inbound.application(caller.local)), inbound.context.workload))
        self._key = application_key(self._pick.endpoint.address, http2=http2)

    def choose(self, tried: frozenset[Pick]) -> Pick:
        """See `Backend`."""
        return self._pick

    def lease_now(self, target: Pick) -> Upstream | None:
        """See `Backend`."""
        return self._inbound.context.http.lease_now(self._key)

    async def lease(self, target: Pick) -> Upstream:
        """See `Backend`."""
        inbound = self._inbound

        async def dial() -> tuple[WireStream, ClientCodec]:
            stream = await inbound.connect_application(self._local)
            return stream, H2Client() if self._http2 else H1Client()

        limits = application_limits(inbound.context)
        try:
            return await inbound.context.http.lease(self._key, dial, limits, multiplexed=self._http2)
        except HttpError:
            raise
        except HboneError as error:
            raise UpstreamFailure(str(error)) from error

    def begun(self, target: Pick) -> None:
        """See `Backend`."""

    def ended(self, target: Pick, status: int | None) -> None:
        """See `Backend`."""

    def may_retry(self) -> bool:
        """See `Backend`."""
        return True

    def retried(self) -> None:
        """See `Backend`."""


class InboundHttp:
    """Handles the requests of one connection."""

    def __init__(self, inbound: Inbound, caller: Caller) -> None:
        self.inbound, self.caller = inbound, caller
        self.client, self.local = show(caller.client), show(caller.local)
        self.cluster = f"inbound|{caller.local[1]}||"
        self._backends: dict[bool, ApplicationBackend] = {}
        self._version = -1
        """Of the mesh, for which the following holds."""
        self._facts: dict[str, ConnectionFacts] = {}
        self._element = ""

    def passage(self, exchange: Exchange) -> _Passage:
        """One request."""
        return _Passage(self, exchange)

    def backend(self, *, http2: bool) -> ApplicationBackend:
        """The application, asked by either version."""
        found = self._backends.get(http2)
        if found is None:
            found = self._backends[http2] = ApplicationBackend(self.inbound, self.caller, http2=http2)
        return found

    def facts(self, host: str) -> ConnectionFacts:
        """Who talks to whom, where a request means `host`. Raises NoWorkload."""
        self._refresh()
        found = self._facts.get(host)
        if found is None:
            if len(self._facts) >= _HOSTS_KEPT:
                self._facts.clear()
            found = self._facts[host] = self._find_facts(host)
        return found

    def certificate(self) -> str:
        """Who has proved to be calling, as `x-forwarded-client-cert` has it; empty for nobody."""
        self._refresh()
        return self._element

    def _refresh(self) -> None:
        context, identity = self.inbound.context, self.caller.identity
        if self._version == context.state.version:
            return
        own = str(context.workload.identity)
        self._facts.clear()
        self._element = "" if identity is None else _client_cert(own, str(identity), self.caller.leaf).element()
        self._version = context.state.version

    def _find_facts(self, host: str) -> ConnectionFacts:
        context, caller = self.inbound.context, self.caller
        found = context.state.workloads.at(context.state.network, caller.client[0])
        service = self.inbound.service_at(caller.local[1], host)
        return ConnectionFacts(
            "destination",
            None if found is None else context.parties.of(found),
            context.parties.of(context.workload),
            None if service is None else ServiceFacts.of_service(service),
            caller.is_mutual_tls,
            "" if caller.identity is None else str(caller.identity),
        )


class _Passage:
    """One request on its way in."""

    __slots__ = ("_caller", "_exchange", "_handler", "_inbound", "_journal", "_told")

    def __init__(self, handler: InboundHttp, exchange: Exchange) -> None:
        inbound, caller = handler.inbound, handler.caller
        self._handler, self._inbound, self._caller, self._exchange = handler, inbound, caller, exchange
        journal = Journal(inbound.context.requests, "destination", exchange, handler.client, handler.local)
        self._journal = journal
        journal.record.cluster = handler.cluster
        journal.record.server_name = caller.server_name
        journal.record.route = "default"
        if (tracer := inbound.context.tracer) is not None:
            journal.join(tracer, caller.traceparent)
        self._told: list[tuple[str, str]] = []  # what authorizers want the client to be told

    def decide(self) -> Plan[Pick] | Later | None:
        """See `Passage`."""
        request = self._exchange.request
        self._journal.record.facts = self._handler.facts(request.authority.partition(":")[0])
        refuse_connect(request)
        request.path = normalize(request.path, self._inbound.context.settings.path_normalization)
        mark_request(request)
        if self._caller.identity is None:
            remove_internal(request)
        # Before anybody judges: policies and authorizers are not to believe what a caller says of itself.
        forward_client_cert(request, ClientCertRule.APPEND_FORWARD, self._handler.certificate())
        asked = self._judge(request)
        return partial(self._asked, asked) if asked else self._plan()

    async def _asked(self, names: tuple[str, ...]) -> Plan[Pick] | None:
        """The plan, once external authorizers agree."""
        exchange = self._exchange
        for name in names:
            provider, decision = await self._inbound.authorizers.ask(name, exchange.request)
            if isinstance(decision, Denied):
                self._journal.failed(authorizer_refusal(provider, decision))
                response, body = as_answer(decision, exchange.request)
                exchange.trailers = response.headers if "grpc-status" in response.headers else None
                exchange.answer(response.status, body, response.headers)
                return None
            decision.apply(exchange.request)
            self._told += decision.response_headers.fields
        return self._plan()

    def _plan(self) -> Plan[Pick]:
        request = self._exchange.request
        backend = self._journal.traced(self._handler.backend(http2=request.version == "HTTP/2"))
        return Plan(request, backend, _LIMITS, self._journal.outcome, self._inbound.context.dice.random)

    def seen(self, response: HttpResponse, target: Pick) -> None:
        """See `Passage`."""
        self._journal.answered(response)
        for field in self._told:
            response.headers.set(*field)

    def failed(self, error: HboneError) -> None:
        """See `Passage`."""
        failure = AccessDenied(str(error)) if isinstance(error, PolicyDenied) else as_http_error(error)
        self._journal.failed(failure)
        exchange = self._exchange
        if isinstance(failure, BadToken) and not is_grpc(exchange.request):
            exchange.answer(failure.answer, failure.text, refusal(failure, exchange.request).headers)
        exchange.fail(failure)

    def close(self) -> None:
        """See `Passage`."""
        self._journal.close()

    def _judge(self, request: HttpRequest) -> tuple[str, ...]:
        """Who is to be asked yet. Raises BadToken, PolicyDenied, AccessDenied."""
        caller = self._caller
        facts = RequestFacts(
            request, caller.client[0], caller.local[0], caller.local[1], caller.identity, sni=caller.server_name
        )
        return self._inbound.rules.judge_request(self._inbound.context.workload, facts, time.time())


@lru_cache(maxsize=1024)
def _client_cert(own: str, peer: str, leaf: bytes) -> ClientCert:
    """What Envoy tells of a certificate; a tunnel brings the identity alone."""
    if not leaf:
        return ClientCert(peer, own)
    subject = x509.load_der_x509_certificate(leaf).subject.rfc4514_string()
    return ClientCert(peer, own, hashlib.sha256(leaf).hexdigest(), subject)
