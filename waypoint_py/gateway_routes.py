"""Routes attached to the waypoint's own Gateway: they hold for every service behind it that has no better word.

The routes of the service are asked first, as the nearer parent; then those of the Gateway, by host name as at any
Gateway. A host that none of them is for goes on plainly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.http.attachments import is_granted, routes_of_gateway
from mesh_py.http.errors import InvalidBackend
from mesh_py.http.router import NO_ROUTES, RouteTable, tcp_backend
from mesh_py.manifests.gateway import Gateway
from waypoint_py.policies import gateway_of

if TYPE_CHECKING:
    from mesh_py.http.attachments import AnyRoute
    from mesh_py.http.messages import HttpRequest
    from mesh_py.http.router import AnyRoute as RequestRoute
    from mesh_py.http.router import Decision
    from mesh_py.manifests.proxy_file import Further
    from mesh_py.manifests.references import BackendReference
    from mesh_py.manifests.routes import TCPRoute
    from mesh_py.model.route import Random
    from waypoint_py.context import WaypointContext


class GatewayRoutes:
    """Made anew when the mesh or the manifests change."""

    def __init__(self, context: WaypointContext) -> None:
        self._context = context
        self._made_for: tuple[int, Further] | None = None
        self._gateway: Gateway | None = None
        self._requests = NO_ROUTES
        self._connections: list[TCPRoute] = []

    @property
    def gateway(self) -> Gateway | None:
        """The waypoint's own, where it is known."""
        self._refresh()
        return self._gateway

    @property
    def requests(self) -> RouteTable:
        """For requests."""
        self._refresh()
        return self._requests

    def backend_of_bytes(self) -> BackendReference | None:
        """Where a connection goes; None where no TCPRoute of the Gateway says so. Raises InvalidBackend."""
        self._refresh()
        if not self._connections:
            return None
        route, chosen = tcp_backend(self._connections, self._context.dice.random)
        if not self.may_refer(route, chosen):
            raise InvalidBackend(f"no ReferenceGrant lets {route.metadata.key} name {chosen.namespace}/{chosen.name}")
        return chosen

    def may_refer(self, route: AnyRoute, backend: BackendReference) -> bool:
        """Whether a route of the Gateway may lead there."""
        return is_granted(self._context.directory.further.manifests.reference_grants, route, backend)

    def _refresh(self) -> None:
        context = self._context
        version, further = context.state.version, context.directory.further
        if self._made_for is not None and self._made_for[0] == version and self._made_for[1] is further:
            return
        own, manifests = context.workload, further.manifests
        name = gateway_of(context.settings.gateway, own, further)
        gateway = self._gateway = manifests.find(Gateway, own.namespace, name)
        self._made_for = version, further
        self._requests, self._connections = NO_ROUTES, []
        if gateway is not None:
            routes: list[RequestRoute] = [*manifests.http_routes, *manifests.grpc_routes]
            attached = routes_of_gateway(routes, gateway, manifests.namespace_labels)
            if attached:
                self._requests = RouteTable(attached, by_hostname=True, may_refer=self.may_refer)
            self._connections = routes_of_gateway(manifests.tcp_routes, gateway, manifests.namespace_labels)


def decide(own: RouteTable, shared: RouteTable, request: HttpRequest, random: Random, port: int) -> Decision | None:
    """What the routes of a service, or else the Gateway's, say; None where none is for the request.

    Raises NoRoute, InvalidBackend.
    """
    if not shared.is_empty and (own.is_empty or own.find(request) is None) and shared.claims(request):
        return shared.route(request, random, port)
    return None if own.is_empty else own.route(request, random, port)
