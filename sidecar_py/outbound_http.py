"""Requests of the application: whom they mean by host, where they go by route, and one upstream call each."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hbone_py.aio.tcp import show
from mesh_py.exchange.passage import Limits, Plan
from mesh_py.http.balancing import NO_WISH, Wish
from mesh_py.http.errors import AuthorizerDenied, HttpError, InvalidBackend
from mesh_py.http.forwarding import ClientCertRule, count_attempts, forward_client_cert, mark_request
from mesh_py.http.hash_key import NO_KEY, key_of
from mesh_py.http.paths import normalize
from mesh_py.http.retry import DEFAULT_POLICY, NO_RETRIES
from mesh_py.http.router import NO_ROUTES, Decision, Forward, Respond, RouteTable
from mesh_py.http.session import remember_endpoint, wanted_endpoint
from mesh_py.model.workload import AppProtocol
from mesh_py.proxy.backends import OneEndpoint, ServiceBackend
from mesh_py.proxy.journal import Journal, as_http_error
from mesh_py.proxy.mesh_cache import MeshCache
from mesh_py.proxy.ways import Endpoint, Plain
from mesh_py.telemetry.facts import ConnectionFacts, ServiceFacts

if TYPE_CHECKING:
    from hbone_py.aio.tcp import SocketAddress
    from hbone_py.errors import HboneError
    from mesh_py.exchange.exchange import Exchange
    from mesh_py.http.messages import HttpRequest, HttpResponse
    from mesh_py.manifests.routes import SessionPersistence
    from mesh_py.model.workload import Service
    from mesh_py.proxy.cluster import Cluster, Pick
    from mesh_py.proxy.clusters import Clusters
    from mesh_py.proxy.directory import Destination
    from mesh_py.proxy.mirrors import Mirrors
    from mesh_py.proxy.resolved_routes import ResolvedRoute, ResolvedRoutes
    from sidecar_py.context import SidecarContext


log = logging.getLogger("proxy")


class BlackHole(HttpError):
    """Nobody the mesh knows, and OUTBOUND_TRAFFIC_POLICY=REGISTRY_ONLY: Istio answers 502."""

    status = 502
    blame = "policy"
    body = ""


class _Meant:
    """Whom a host means, and the routes that are asked here."""

    __slots__ = ("routes", "to")

    def __init__(self, to: Destination, routes: RouteTable) -> None:
        self.to, self.routes = to, routes


_HOSTS_KEPT = 16
_PICKS_KEPT = 64


class OutboundHttp:
    """Handles the requests of one connection."""

    def __init__(
        self,
        context: SidecarContext,
        clusters: Clusters,
        resolved_routes: ResolvedRoutes,
        mirrors: Mirrors,
        client: SocketAddress,
        meant: Destination,
    ) -> None:
        self.context, self.clusters, self.resolved_routes, self.mirrors = context, clusters, resolved_routes, mirrors
        self.client_ip = client[0]
        self.client, self.local = show(client), show(meant.address)
        """Who calls, and where it meant to go, for the log."""
        self._meant = meant
        self._hosts: MeshCache[str, _Meant] = MeshCache(context, _HOSTS_KEPT)
        self._facts: MeshCache[Pick, ConnectionFacts] = MeshCache(context, _PICKS_KEPT)

    def passage(self, exchange: Exchange) -> _Passage:
        """One request."""
        return _Passage(self, exchange)

    def meant_by(self, authority: str) -> _Meant:
        """Whom a request means by its host. Raises NoWorkload."""
        return self._hosts.get(authority) or self._hosts.keep(authority, self._find(authority))

    def _find(self, authority: str) -> _Meant:
        context = self.context
        to = context.directory.by_host(context.workload, authority, self._meant)
        if to.record is None or self.clusters.rules.leaves_routes_to_waypoint(to.record.service):
            return _Meant(to, NO_ROUTES)
        return _Meant(to, context.directory.routes(context.workload, to.record, to.port))

    def facts(self, service: Service, pick: Pick) -> ConnectionFacts:
        """Who talks to whom, where a request for a service went to an endpoint."""
        return self._facts.get(pick) or self._facts.keep(pick, self.facts_of(service, pick.endpoint))

    def facts_of(self, service: Service | None, target: Endpoint | None) -> ConnectionFacts:
        """The same, of anybody."""
        context = self.context
        there = None if target is None or target.workload is None else context.parties.of(target.workload)
        meant = None if service is None else ServiceFacts.of_service(service)
        is_mutual = target is not None and target.is_mutual_tls
        principal = str(context.workload.identity) if is_mutual else ""
        return ConnectionFacts("source", context.parties.of(context.workload), there, meant, is_mutual, principal)


class _Passage:
    """One request on its way out."""

    __slots__ = (
        "_asked_for",
        "_clusters",
        "_context",
        "_decision",
        "_exchange",
        "_handler",
        "_journal",
        "_session",
        "_set_cookie",
        "_to",
        "_wanted",
    )

    def __init__(self, handler: OutboundHttp, exchange: Exchange) -> None:
        self._handler, self._exchange = handler, exchange
        self._context, self._clusters = handler.context, handler.clusters
        self._journal = Journal(self._context.requests, "source", exchange, handler.client, handler.local)
        if (tracer := self._context.tracer) is not None:
            self._journal.join(tracer)
        self._decision: Forward | None = None
        self._asked_for: Service | None = None
        self._to: Cluster | None = None
        self._session: SessionPersistence | None = None
        self._wanted: str | None = None
        self._set_cookie = ""

    def decide(self) -> Plan[Pick] | None:
        """See `Passage`."""
        context, request = self._context, self._exchange.request
        known = self._handler.meant_by(request.authority)
        meant, routes = known.to, known.routes
        request.path = normalize(request.path, context.settings.path_normalization)
        mark_request(request)
        count_attempts(request)
        forward_client_cert(request, ClientCertRule.SANITIZE, "")  # who we are is proved, not said
        if meant.record is None:
            return self._plan_to_one(meant)
        decision = None if routes.is_empty else self._route(routes, meant)
        if isinstance(decision, Respond):
            self._exchange.send_response(decision.response, ended=True)
            return None
        if decision is not None and decision.authorizer is not None:
            raise AuthorizerDenied(f"route {decision.rule.name} wants an authorizer asked, which nobody here does")
        resolved = self._handler.resolved_routes.of(meant.record, meant.port, decision)
        if decision is not None and decision.filters:
            decision.prepare(request)
            self._mirror(decision, meant.port)
        return self._plan_to_cluster(resolved)

    def seen(self, response: HttpResponse, target: Pick) -> None:
        """See `Passage`."""
        self._journal.answered(response)
        if self._decision is not None and self._decision.filters:
            self._decision.finish(self._exchange.request, response)
        if self._session is not None and self._wanted != target.name:
            remember_endpoint(response, self._session, target.name)
        if self._set_cookie:
            response.headers.add("set-cookie", self._set_cookie)

    def failed(self, error: HboneError) -> None:
        """See `Passage`."""
        failure = as_http_error(error)
        self._journal.failed(failure)
        self._exchange.fail(failure)

    def close(self) -> None:
        """See `Passage`."""
        journal, handler = self._journal, self._handler
        meant = self._asked_for if self._to is None else self._to.record.service
        if meant is not None:
            pick = journal.outcome.target
            journal.record.facts = handler.facts_of(meant, None) if pick is None else handler.facts(meant, pick)
        journal.close()

    def _mirror(self, decision: Forward, port: int) -> None:
        """A mirror that is no backend is passed over: the request itself has done nothing wrong."""
        context = self._context
        for reference in decision.mirrors:
            try:
                record, there = self._handler.resolved_routes.backend(decision, reference, port)
            except InvalidBackend as error:
                log.warning("mirror: %s", error)
                continue
            cluster = self._clusters.of(context.workload, record, there)
            backend = ServiceBackend(context, cluster, NO_WISH, http2=is_http2(self._exchange.request, cluster))
            self._handler.mirrors.send(self._exchange, backend, cluster.name)

    def _route(self, routes: RouteTable, meant: Destination) -> Decision:
        """What the routes of a service say."""
        assert meant.record is not None, "only services have routes"
        self._asked_for = meant.record.service
        decision = routes.route(self._exchange.request, self._context.dice.random, meant.port)
        self._journal.record.route = decision.rule.name
        return decision

    def _plan_to_cluster(self, resolved: ResolvedRoute) -> Plan[Pick]:
        context, request = self._context, self._exchange.request
        decision, cluster = resolved.decision, resolved.cluster
        self._journal.record.cluster = cluster.name
        self._to, self._decision = cluster, decision
        self._session = None if decision is None else decision.rule.session
        self._wanted = None if self._session is None else wanted_endpoint(request, self._session)
        by = cluster.traffic.hash_by
        wish = NO_WISH
        if by is not None or self._wanted is not None:
            key = NO_KEY if by is None else key_of(request, by, self._handler.client_ip, context.dice.random)
            wish, self._set_cookie = Wish(key.text, self._wanted), key.set_cookie
        backend = self._journal.traced(
            ServiceBackend(context, cluster, wish, http2=is_http2(request, cluster), request=request)
        )
        return Plan(request, backend, resolved.limits, self._journal.outcome, context.dice.random)

    def _plan_to_one(self, meant: Destination) -> Plan[Pick]:
        """A workload by its own address, or somebody outside."""
        context, request, record = self._context, self._exchange.request, self._journal.record
        if not meant.is_known and context.settings.registry_only:
            record.cluster = "BlackHoleCluster"
            raise BlackHole(f"{show(meant.address)} is nobody the mesh knows (REGISTRY_ONLY)")
        pick = self._clusters.pick(context.workload, meant, context.now())
        record.cluster = "PassthroughCluster"
        record.facts = self._handler.facts_of(None, pick.endpoint)
        backend = self._journal.traced(OneEndpoint(context, pick, http2=request.version == "HTTP/2", request=request))
        limits = Limits(NO_RETRIES if isinstance(pick.endpoint.carrier, Plain) else DEFAULT_POLICY)
        return Plan(request, backend, limits, self._journal.outcome, context.dice.random)


def is_http2(request: HttpRequest, cluster: Cluster) -> bool:
    """What a server is spoken to in: as a rule says; else as the client spoke, or as its service says."""
    traffic = cluster.traffic
    if traffic.says_version and (told := traffic.is_http2(request)) is not None:
        return told
    return request.version == "HTTP/2" or cluster.app_protocol in (AppProtocol.HTTP2, AppProtocol.GRPC)
