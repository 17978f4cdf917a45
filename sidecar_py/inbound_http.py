"""Requests to the application: judged one by one, told who calls, and handed over."""

from __future__ import annotations

import hashlib
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography import x509

from hbone_py.aio.tcp import show
from hbone_py.errors import HboneError
from mesh_py.exchange.attempts import Limits, forward
from mesh_py.exchange.pool import PoolLimits
from mesh_py.http.authorizer import Denied
from mesh_py.http.authorizer import refusal as authorizer_refusal
from mesh_py.http.codec_h1 import H1Client
from mesh_py.http.codec_h2 import H2Client
from mesh_py.http.errors import AccessDenied, BadToken, HttpError, UpstreamFailure
from mesh_py.http.forwarding import (
    ClientCert,
    ClientCertRule,
    forward_client_cert,
    mark_request,
    refuse_connect,
    remove_internal,
)
from mesh_py.http.jwt_auth import refusal
from mesh_py.http.paths import normalize
from mesh_py.http.rbac_facts import RequestFacts
from mesh_py.http.retry import NO_RETRIES
from mesh_py.model.errors import PolicyDenied
from mesh_py.proxy.clusters import Pick
from mesh_py.proxy.journal import Journal, as_http_error
from mesh_py.proxy.ways import Endpoint, Plain
from mesh_py.telemetry.facts import ConnectionFacts, ServiceFacts

if TYPE_CHECKING:
    from mesh_py.exchange.downstream import Exchange
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


class ApplicationBackend:
    """The application, over the pool."""

    def __init__(self, inbound: Inbound, caller: Caller, *, http2: bool) -> None:
        self._inbound, self._local, self._http2 = inbound, caller.local, http2
        self._pick = Pick(Endpoint(Plain(inbound.application(caller.local)), inbound.context.workload))

    def choose(self, tried: frozenset[Pick]) -> Pick:
        """See `Backend`."""
        return self._pick

    async def lease(self, target: Pick) -> Upstream:
        """See `Backend`."""
        inbound = self._inbound

        async def dial() -> tuple[WireStream, ClientCodec]:
            stream = await inbound.connect_application(self._local)
            return stream, H2Client() if self._http2 else H1Client()

        limits = application_limits(inbound.context)
        key = application_key(target.endpoint.address, http2=self._http2)
        try:
            return await inbound.context.http.lease(key, dial, limits, multiplexed=self._http2)
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
        self._inbound, self._caller = inbound, caller

    async def handle(self, exchange: Exchange) -> None:
        """One request."""
        context, caller = self._inbound.context, self._caller
        journal = Journal(context.requests, "destination", exchange, caller.client, show(caller.local))
        journal.record.cluster = f"inbound|{caller.local[1]}||"
        journal.record.server_name = caller.server_name
        journal.record.route = "default"
        journal.join(context.tracer, caller.traceparent)
        try:
            journal.record.facts = self._facts(exchange.request)
            await self._forward(exchange, journal)
        except HboneError as error:
            failure = AccessDenied(str(error)) if isinstance(error, PolicyDenied) else as_http_error(error)
            journal.failed(failure)
            if isinstance(failure, BadToken):
                exchange.answer(failure.answer, failure.text, refusal(failure, exchange.request).headers)
            exchange.fail(failure)
        finally:
            journal.close()

    async def _forward(self, exchange: Exchange, journal: Journal) -> None:
        request, caller = exchange.request, self._caller
        refuse_connect(request)
        request.path = normalize(request.path, self._inbound.context.settings.path_normalization)
        mark_request(request, "")
        if caller.identity is None:
            remove_internal(request)
        # Before anybody judges: policies and authorizers are not to believe what a caller says of itself.
        forward_client_cert(request, ClientCertRule.APPEND_FORWARD, self._certificate())
        told: list[tuple[str, str]] = []
        for name in self._judge(request):
            provider, decision = await self._inbound.authorizers.ask(name, request)
            if isinstance(decision, Denied):
                journal.failed(authorizer_refusal(provider, decision))
                exchange.answer(decision.response.status, decision.body, decision.response.headers)
                return
            decision.apply(request)
            told += decision.response_headers.fields
        backend = journal.traced(ApplicationBackend(self._inbound, caller, http2=request.version == "HTTP/2"))

        def seen(response: HttpResponse, target: Pick) -> None:
            journal.answered(response)
            for field in told:
                response.headers.set(*field)

        random = self._inbound.context.dice.random
        await forward(exchange, request, backend, Limits(NO_RETRIES), random, seen, journal.outcome)

    def _judge(self, request: HttpRequest) -> tuple[str, ...]:
        """Who is to be asked yet. Raises BadToken, PolicyDenied, AccessDenied."""
        caller = self._caller
        facts = RequestFacts(
            request, caller.client[0], caller.local[0], caller.local[1], caller.identity, sni=caller.server_name
        )
        return self._inbound.rules.judge_request(self._inbound.context.workload, facts, time.time())

    def _certificate(self) -> ClientCert | None:
        """Who has proved to be calling."""
        caller = self._caller
        if caller.identity is None:
            return None
        return _client_cert(str(self._inbound.context.workload.identity), str(caller.identity), caller.leaf)

    def _facts(self, request: HttpRequest) -> ConnectionFacts:
        context, caller = self._inbound.context, self._caller
        found = context.state.workloads.at(context.state.network, caller.client[0])
        service = self._inbound.service_at(caller.local[1], request.authority.partition(":")[0])
        return ConnectionFacts(
            "destination",
            None if found is None else context.parties.of(found),
            context.parties.of(context.workload),
            None if service is None else ServiceFacts.of_service(service),
            caller.is_mutual_tls,
            "" if caller.identity is None else str(caller.identity),
        )


@lru_cache(maxsize=1024)
def _client_cert(own: str, peer: str, leaf: bytes) -> ClientCert:
    """What Envoy tells of a certificate; a tunnel brings the identity alone."""
    if not leaf:
        return ClientCert(peer, own)
    subject = x509.load_der_x509_certificate(leaf).subject.rfc4514_string()
    return ClientCert(peer, own, hashlib.sha256(leaf).hexdigest(), subject)
