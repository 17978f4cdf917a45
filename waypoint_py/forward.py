"""A request that may pass: its route, its backend, and one upstream call."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mesh_py.exchange.passage import Limits, Plan
from mesh_py.http.authorizer import Provider
from mesh_py.http.balancing import NO_WISH, Wish
from mesh_py.http.errors import AuthorizerDenied, InvalidBackend
from mesh_py.http.hash_key import NO_KEY, key_of
from mesh_py.http.retry import DEFAULT_POLICY
from mesh_py.http.router import NO_ROUTES
from mesh_py.http.session import wanted_endpoint
from mesh_py.model.workload import AppProtocol
from mesh_py.proxy.backends import OneEndpoint, ServiceBackend
from mesh_py.proxy.resolved_routes import ResolvedRoutes
from waypoint_py.gateway_routes import decide

if TYPE_CHECKING:
    from mesh_py.exchange.exchange import Exchange
    from mesh_py.http.filters.chain import FilterChain
    from mesh_py.http.messages import HttpRequest
    from mesh_py.http.router import Decision, Forward, RouteTable
    from mesh_py.manifests.route_filters import ExternalAuth
    from mesh_py.proxy.authorizers import Authorizers
    from mesh_py.proxy.cluster import Cluster, Pick
    from mesh_py.proxy.clusters import Clusters
    from mesh_py.proxy.connections import Connections
    from mesh_py.proxy.journal import Journal
    from mesh_py.proxy.mirrors import Mirrors
    from mesh_py.proxy.resolved_routes import ResolvedRoute
    from waypoint_py.attached import Target
    from waypoint_py.chains import Chains
    from waypoint_py.context import WaypointContext
    from waypoint_py.gateway_routes import GatewayRoutes


log = logging.getLogger("proxy")


class Rules:
    """What stands between a request and its backend."""

    __slots__ = ("chain", "own", "shared")

    def __init__(self, chain: FilterChain, own: RouteTable, shared: RouteTable) -> None:
        """The routes are those of the service, and of our Gateway."""
        self.chain, self.own, self.shared = chain, own, shared


class Forwarding:
    """What all requests share."""

    def __init__(
        self,
        context: WaypointContext,
        connections: Connections,
        clusters: Clusters,
        chains: Chains,
        authorizers: Authorizers,
        mirrors: Mirrors,
        gateway_routes: GatewayRoutes,
    ) -> None:
        self.context, self.connections, self.clusters = context, connections, clusters
        self.chains, self.authorizers, self.mirrors = chains, authorizers, mirrors
        self.gateway_routes = gateway_routes
        self.resolved_routes = ResolvedRoutes(context, clusters)

    def rules(self, target: Target) -> Rules:
        """What requests for a destination pass, until the mesh or the manifests change.

        Raises AccessDenied while nothing is known yet.
        """
        chain = self.chains.of(target)
        record, context = target.meant.record, self.context
        if record is None:
            return Rules(chain, NO_ROUTES, NO_ROUTES)
        own = context.directory.routes(context.workload, record, target.address[1])
        return Rules(chain, own, self.gateway_routes.requests)

    def route(self, request: HttpRequest, target: Target, rules: Rules) -> Decision | None:
        """What the routes of the service or of our Gateway say; None where none is for it.

        Raises NoRoute, InvalidBackend.
        """
        return decide(rules.own, rules.shared, request, self.context.dice.random, target.meant.address[1])

    def plan(
        self,
        exchange: Exchange,
        journal: Journal,
        target: Target,
        decision: Forward | None,
        client_ip: str,
        wanted: str | None,
        told: list[tuple[str, str]],
    ) -> Plan[Pick]:
        """Where the request goes, and how; `wanted`: an endpoint by name, if that will do. Raises HttpError.

        `told` gets the headers that the client is to be told with the answer.
        """
        meant = target.meant
        if decision is None and (meant.record is None or target.pod is not None):
            return self._plan_to_pod(exchange, journal, target)
        assert meant.record is not None, "only services have routes"
        resolved = self.resolved_routes.of(meant.record, meant.address[1], decision)
        if decision is not None and decision.filters:
            decision.prepare(exchange.request)
            self._mirror(exchange, decision, meant.port)
        return self._plan_to_cluster(exchange, journal, resolved, client_ip, wanted, told)

    def _mirror(self, exchange: Exchange, decision: Forward, port: int) -> None:
        """A mirror that is no backend is passed over: the request itself has done nothing wrong."""
        for reference in decision.mirrors:
            try:
                record, its_port = self.resolved_routes.backend(decision, reference, port)
            except InvalidBackend as error:
                log.warning("mirror: %s", error)
                continue
            cluster = self.clusters.of(self.context.workload, record, its_port)
            http2 = speaks_http2(exchange.request, cluster)
            self.mirrors.send(exchange, ServiceBackend(self.context, cluster, NO_WISH, http2=http2), cluster.name)

    def provider_of(self, asked: ExternalAuth, route: str) -> Provider:
        """The authorizer that a route names. Raises AuthorizerDenied where it cannot be asked."""
        context, reference = self.context, asked.backend_ref
        found = context.directory.backend(context.workload, reference)
        if asked.protocol != "HTTP" or found is None:
            raise AuthorizerDenied(f"route {route}: its authorizer {reference.name} is none that is asked over HTTP")
        port = reference.port or next(iter(found.service.ports), 0)
        return Provider(
            f"{reference.namespace}/{reference.name}",
            found.service.hostname,
            port,
            path_prefix=asked.path,
            include_request_headers=asked.allowed_headers,
            headers_to_upstream_on_allow=asked.allowed_response_headers,
        )

    def _plan_to_cluster(
        self,
        exchange: Exchange,
        journal: Journal,
        resolved: ResolvedRoute,
        client_ip: str,
        wanted: str | None,
        told: list[tuple[str, str]],
    ) -> Plan[Pick]:
        context, request = self.context, exchange.request
        cluster = resolved.cluster
        journal.record.cluster = cluster.name
        by = cluster.traffic.hash_by
        wish = NO_WISH
        if by is not None or wanted is not None:
            key = NO_KEY if by is None else key_of(request, by, client_ip, context.dice.random)
            wish = Wish(key.text, wanted)
            if key.set_cookie:
                told.append(("set-cookie", key.set_cookie))
        backend = journal.traced(
            ServiceBackend(context, cluster, wish, http2=speaks_http2(request, cluster), request=request)
        )
        return Plan(request, backend, resolved.limits, journal.outcome, context.dice.random)

    def _plan_to_pod(self, exchange: Exchange, journal: Journal, target: Target) -> Plan[Pick]:
        context, request = self.context, exchange.request
        pick = self.clusters.pick_pod(context.workload, target.pod or target.meant, target.meant)
        journal.record.cluster = "encap"
        backend = journal.traced(OneEndpoint(context, pick, http2=request.version == "HTTP/2", request=request))
        return Plan(request, backend, Limits(DEFAULT_POLICY), journal.outcome, context.dice.random)


def session_endpoint(request: HttpRequest, decision: Forward | None) -> str | None:
    """The endpoint that the client was sent to before, where the route keeps clients with one."""
    session = None if decision is None else decision.rule.session
    return None if session is None else wanted_endpoint(request, session)


def speaks_http2(request: HttpRequest, cluster: Cluster) -> bool:
    """As a rule says; else what the service port says it speaks; where it says nothing, what the client speaks. gRPC is
    HTTP/2 always."""
    traffic = cluster.traffic
    if traffic.says_version and (told := traffic.is_http2(request)) is not None:
        return told
    spoken = cluster.app_protocol
    if spoken is AppProtocol.HTTP11:
        return (request.headers.get("content-type") or "").startswith("application/grpc")
    return spoken in (AppProtocol.HTTP2, AppProtocol.GRPC) or request.version == "HTTP/2"
