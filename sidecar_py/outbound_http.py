"""Requests of the application: whom they mean by host, where they go by route, and one upstream call each."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hbone_py.aio.tcp import show
from hbone_py.errors import HboneError
from mesh_py.exchange.attempts import Limits, forward
from mesh_py.http.balancing import NO_WISH, Wish
from mesh_py.http.errors import AuthorizerDenied, HttpError, InvalidBackend
from mesh_py.http.forwarding import ClientCertRule, forward_client_cert, mark_request
from mesh_py.http.hash_key import hash_key
from mesh_py.http.paths import normalize
from mesh_py.http.retry import DEFAULT_POLICY, NO_RETRIES
from mesh_py.http.router import Decision, Forward, Respond
from mesh_py.http.session import remember_endpoint, wanted_endpoint
from mesh_py.model.workload import AppProtocol
from mesh_py.proxy.backends import OneEndpoint, ServiceBackend, limits_of
from mesh_py.proxy.journal import Journal, as_http_error
from mesh_py.proxy.ways import Endpoint, Plain
from mesh_py.telemetry.facts import ConnectionFacts, ServiceFacts

if TYPE_CHECKING:
    from hbone_py.aio.tcp import SocketAddress
    from mesh_py.discovery.record import ServiceRecord
    from mesh_py.exchange.downstream import Exchange
    from mesh_py.http.messages import HttpRequest, HttpResponse
    from mesh_py.manifests.references import BackendReference
    from mesh_py.model.workload import Service
    from mesh_py.proxy.clusters import Cluster, Clusters, Pick
    from mesh_py.proxy.directory import Destination
    from mesh_py.proxy.mirrors import Mirrors
    from sidecar_py.context import SidecarContext


log = logging.getLogger("proxy")


class BlackHole(HttpError):
    """Nobody the mesh knows, and OUTBOUND_TRAFFIC_POLICY=REGISTRY_ONLY: Istio answers 502."""

    status = 502
    blame = "policy"
    body = ""


class OutboundHttp:
    """Handles the requests of one connection."""

    def __init__(
        self,
        context: SidecarContext,
        clusters: Clusters,
        mirrors: Mirrors,
        client: SocketAddress,
        meant: Destination,
    ) -> None:
        self._context, self._clusters, self._mirrors = context, clusters, mirrors
        self._client, self._meant = client, meant

    async def handle(self, exchange: Exchange) -> None:
        """One request."""
        context = self._context
        journal = Journal(context.requests, "source", exchange, self._client, show(self._meant.address))
        journal.join(context.tracer)
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
        request.path = normalize(request.path, context.settings.path_normalization)
        mark_request(request, "")
        forward_client_cert(request, ClientCertRule.SANITIZE, None)  # who we are is proved, not said
        if meant.record is None:
            await self._to_one(exchange, journal, meant)
            return
        decision = self._route(exchange, journal, meant.record, meant.port)
        if isinstance(decision, Respond):
            exchange.send_response(decision.response, ended=True)
            return
        record, port = meant.record, meant.port
        if decision is not None:
            if decision.authorizer is not None:
                raise AuthorizerDenied(f"route {decision.rule.name} wants an authorizer asked, which nobody here does")
            record, port = self._backend(decision, decision.backend, port)
            decision.prepare(request)
            self._mirror(exchange, decision, meant.port)
        subset = "" if decision is None else decision.subset
        await self._to_cluster(exchange, journal, self._clusters.of(source, record, port, subset), decision)

    def _mirror(self, exchange: Exchange, decision: Forward, port: int) -> None:
        """A mirror that is no backend is passed over: the request itself has done nothing wrong."""
        context = self._context
        for reference in decision.mirrors:
            try:
                record, there = self._backend(decision, reference, port)
            except InvalidBackend as error:
                log.warning("mirror: %s", error)
                continue
            cluster = self._clusters.of(context.workload, record, there)
            backend = ServiceBackend(context, cluster, NO_WISH, http2=is_http2(exchange.request, cluster))
            self._mirrors.send(exchange, backend, cluster.name)

    def _route(self, exchange: Exchange, journal: Journal, record: ServiceRecord, port: int) -> Decision | None:
        """What the routes of a service say; None where there are none, or its waypoint has them."""
        context = self._context
        if self._clusters.rules.leaves_routes_to_waypoint(record.service):
            return None
        table = context.directory.routes(context.workload, record, port)
        if not table:
            return None
        journal.record.facts = self._facts(record.service, None)
        decision = table.route(exchange.request, context.dice.random, port)
        journal.record.route = decision.rule.name
        return decision

    def _backend(self, decision: Forward, reference: BackendReference, port: int) -> tuple[ServiceRecord, int]:
        """The service that a route's reference means. Raises InvalidBackend."""
        found = self._context.directory.backend(self._context.workload, reference)
        port = reference.port or port
        if found is None or port not in found.service.ports:
            where = f"{reference.namespace}/{reference.name}:{port}"
            raise InvalidBackend(f"route {decision.rule.name}: there is no backend {where}")
        return found, port

    async def _to_cluster(
        self, exchange: Exchange, journal: Journal, cluster: Cluster, decision: Forward | None
    ) -> None:
        context, request = self._context, exchange.request
        journal.record.cluster = cluster.name
        session = None if decision is None else decision.session
        wanted = None if session is None else wanted_endpoint(request, session)

        def seen(response: HttpResponse, target: Pick) -> None:
            journal.answered(response)
            if decision is not None:
                decision.finish(request, response)
            if session is not None and wanted != target.name:
                remember_endpoint(response, session, target.name)

        by = cluster.traffic.hash_by
        wish = Wish(None if by is None else hash_key(request, by, self._client[0]), wanted)
        backend = ServiceBackend(context, cluster, wish, http2=is_http2(request, cluster), request=request)
        traced = journal.traced(backend)
        try:
            await forward(exchange, request, traced, limits_of(decision), context.dice.random, seen, journal.outcome)
        finally:
            journal.record.facts = self._facts(cluster.record.service, journal.upstream)

    async def _to_one(self, exchange: Exchange, journal: Journal, meant: Destination) -> None:
        """A workload by its own address, or somebody outside."""
        context, request = self._context, exchange.request
        if not meant.is_known and context.settings.registry_only:
            journal.record.cluster = "BlackHoleCluster"
            raise BlackHole(f"{show(meant.address)} is nobody the mesh knows (REGISTRY_ONLY)")
        pick = self._clusters.pick(context.workload, meant, context.now())
        journal.record.cluster = "PassthroughCluster"
        journal.record.facts = self._facts(None, pick.endpoint)
        backend = journal.traced(OneEndpoint(context, pick, http2=request.version == "HTTP/2", request=request))

        def seen(response: HttpResponse, target: Pick) -> None:
            journal.answered(response)

        limits = Limits(NO_RETRIES if isinstance(pick.endpoint.way, Plain) else DEFAULT_POLICY)
        await forward(exchange, request, backend, limits, context.dice.random, seen, journal.outcome)

    def _facts(self, service: Service | None, target: Endpoint | None) -> ConnectionFacts:
        context = self._context
        there = None if target is None or target.workload is None else context.parties.of(target.workload)
        meant = None if service is None else ServiceFacts.of_service(service)
        is_mutual = target is not None and target.is_mutual_tls
        principal = str(context.workload.identity) if is_mutual else ""
        return ConnectionFacts("source", context.parties.of(context.workload), there, meant, is_mutual, principal)


def is_http2(request: HttpRequest, cluster: Cluster) -> bool:
    """What a server is spoken to in: as the client spoke, or as its service says."""
    spoken = cluster.record.service.app_protocols.get(cluster.port)
    return request.version == "HTTP/2" or spoken in (AppProtocol.HTTP2, AppProtocol.GRPC)
