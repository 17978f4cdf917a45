"""Requests of the application: whom they mean by host, where they go by route, and one upstream call each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.aio.tcp import show
from hbone_py.errors import HboneError
from mesh_py.exchange.attempts import Limits, forward
from mesh_py.exchange.pool import PoolLimits
from mesh_py.http.codec_h1 import H1Client
from mesh_py.http.codec_h2 import H2Client
from mesh_py.http.errors import HttpError, InvalidBackend, UpstreamFailure
from mesh_py.http.forwarding import ClientCertRule, forward_client_cert, mark_request
from mesh_py.http.paths import normalize
from mesh_py.http.retry import DEFAULT_POLICY, NO_RETRIES
from mesh_py.http.router import Forward, Respond
from mesh_py.model.errors import RouteError
from mesh_py.model.workload import AppProtocol
from mesh_py.telemetry.facts import ConnectionFacts, ServiceFacts
from sidecar_py.dial import FOR_HTTP1, FOR_HTTP2, connect
from sidecar_py.requests import Journal, as_http_error
from sidecar_py.ways import Endpoint, Plain

if TYPE_CHECKING:
    from hbone_py.aio.tcp import SocketAddress
    from mesh_py.exchange.downstream import Exchange
    from mesh_py.exchange.upstream import Upstream
    from mesh_py.exchange.wire import WireStream
    from mesh_py.http.codec import ClientCodec
    from mesh_py.http.messages import HttpResponse
    from mesh_py.model.workload import Service
    from sidecar_py.clusters import Cluster, Clusters
    from sidecar_py.context import SidecarContext
    from sidecar_py.directory import Destination


class BlackHole(HttpError):
    """Nobody the mesh knows, and OUTBOUND_TRAFFIC_POLICY=REGISTRY_ONLY: Istio answers 502."""

    status = 502
    blame = "policy"
    body = ""


class ServiceBackend:
    """The endpoints of a cluster, over the pool."""

    def __init__(self, context: SidecarContext, cluster: Cluster, *, http2: bool) -> None:
        self._context, self._cluster, self._http2 = context, cluster, http2

    def choose(self, tried: frozenset[Endpoint]) -> Endpoint:
        """See `Backend`."""
        try:
            return self._cluster.choose(tried)
        except RouteError as error:
            raise as_http_error(error) from error

    async def lease(self, target: Endpoint) -> Upstream:
        """See `Backend`."""
        return await lease(self._context, target, http2=self._http2)

    def begun(self, target: Endpoint) -> None:
        """See `Backend`."""

    def ended(self, target: Endpoint, status: int | None) -> None:
        """See `Backend`."""


class OneEndpoint(ServiceBackend):
    """Somebody who is not behind a service."""

    def __init__(self, context: SidecarContext, endpoint: Endpoint, *, http2: bool) -> None:
        self._context, self._endpoint, self._http2 = context, endpoint, http2

    def choose(self, tried: frozenset[Endpoint]) -> Endpoint:
        """See `Backend`."""
        return self._endpoint


async def lease(context: SidecarContext, target: Endpoint, *, http2: bool) -> Upstream:
    """A connection to an endpoint. Raises HttpError."""

    async def dial() -> tuple[WireStream, ClientCodec]:
        stream = await connect(context, target.way, FOR_HTTP2 if http2 else FOR_HTTP1)
        return stream, H2Client() if http2 else H1Client()

    limits = PoolLimits(idle=context.settings.http_pool_idle)
    try:
        return await context.http.lease((target.way, http2), dial, limits, multiplexed=http2)
    except HttpError:
        raise
    except HboneError as error:
        raise UpstreamFailure(str(error)) from error


class OutboundHttp:
    """Handles the requests of one connection."""

    def __init__(self, context: SidecarContext, clusters: Clusters, client: SocketAddress, meant: Destination) -> None:
        self._context, self._clusters, self._client, self._meant = context, clusters, client, meant

    async def handle(self, exchange: Exchange) -> None:
        """One request."""
        context = self._context
        journal = Journal(context.requests, "source", exchange, self._client, show(self._meant.address))
        try:
            await self._forward(exchange, journal)
        except HboneError as error:
            failure = as_http_error(error)
            journal.failed(failure)
            exchange.fail(failure)
        finally:
            journal.close()

    async def _forward(self, exchange: Exchange, journal: Journal) -> None:
        context, request = self._context, exchange.request
        source = context.workload
        meant = context.directory.by_host(source, request.authority, self._meant)
        request.path = normalize(request.path)
        mark_request(request, "")
        forward_client_cert(request, ClientCertRule.SANITIZE, None)  # who we are is proved, not said
        if meant.record is None:
            await self._to_one(exchange, journal, meant)
            return
        record, port, decision = meant.record, meant.port, None
        table = context.directory.routes(source, record, port)
        if table:
            journal.record.facts = self._facts(record.service, None)
            decision = table.route(request, context.dice.random, port)
        if isinstance(decision, Respond):
            journal.record.route = decision.rule.name
            exchange.send_response(decision.response, ended=True)
            return
        if isinstance(decision, Forward):
            journal.record.route = decision.rule.name
            found = context.directory.backend(source, decision.backend)
            if found is None:
                raise InvalidBackend(f"route {decision.rule.name}: no backend {decision.backend.name}")
            record, port = found, decision.backend.port or port
            decision.prepare(request)
        cluster = self._clusters.of(source, record, port)
        journal.record.cluster = cluster.name

        def seen(response: HttpResponse, target: Endpoint) -> None:
            journal.answered(response)
            if isinstance(decision, Forward):
                decision.finish(request, response)

        spoken = record.service.app_protocols.get(port)
        is_http2 = request.version == "HTTP/2" or spoken in (AppProtocol.HTTP2, AppProtocol.GRPC)
        backend = ServiceBackend(context, cluster, http2=is_http2)
        try:
            await forward(exchange, request, backend, _limits(decision), context.dice.random, seen, journal.outcome)
        finally:
            journal.record.facts = self._facts(record.service, journal.outcome.target)

    async def _to_one(self, exchange: Exchange, journal: Journal, meant: Destination) -> None:
        """A workload by its own address, or somebody outside."""
        context, request = self._context, exchange.request
        if not meant.is_known and context.settings.registry_only:
            journal.record.cluster = "BlackHoleCluster"
            raise BlackHole(f"{show(meant.address)} is nobody the mesh knows (REGISTRY_ONLY)")
        endpoint = self._clusters.endpoint(context.workload, meant)
        journal.record.cluster = "PassthroughCluster"
        journal.record.facts = self._facts(None, endpoint)
        backend = OneEndpoint(context, endpoint, http2=request.version == "HTTP/2")

        def seen(response: HttpResponse, target: Endpoint) -> None:
            journal.answered(response)

        limits = Limits(NO_RETRIES if isinstance(endpoint.way, Plain) else DEFAULT_POLICY)
        await forward(exchange, request, backend, limits, context.dice.random, seen, journal.outcome)

    def _facts(self, service: Service | None, target: Endpoint | None) -> ConnectionFacts:
        context = self._context
        there = None if target is None or target.workload is None else context.parties.of(target.workload)
        meant = None if service is None else ServiceFacts.of_service(service)
        is_mutual = target is not None and target.is_mutual_tls
        principal = str(context.workload.identity) if is_mutual else ""
        return ConnectionFacts("source", context.parties.of(context.workload), there, meant, is_mutual, principal)


def _limits(decision: Forward | Respond | None) -> Limits:
    if not isinstance(decision, Forward):
        return Limits(DEFAULT_POLICY)
    timeouts = decision.timeouts
    return Limits(decision.retry, timeouts.request or None, timeouts.backend_request or None)
