"""The data plane: the listener and what serves it, started together and drained together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh_py.proxy.authorizers import Authorizers
from mesh_py.proxy.clusters import Clusters
from mesh_py.proxy.connections import Connections
from mesh_py.proxy.key_sets import KeySets
from mesh_py.proxy.mirrors import Mirrors
from mesh_py.proxy.plane import Layer7Plane
from mesh_py.proxy.tunnels import TunnelServer
from mesh_py.proxy.ways import WayRules
from waypoint_py.byte_proxy import ByteProxy
from waypoint_py.chains import Chains
from waypoint_py.context import WaypointContext
from waypoint_py.forward import Forwarding
from waypoint_py.gateway_routes import GatewayRoutes
from waypoint_py.terminate import Terminate

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from mesh_py.proxy.foundation import Foundation
    from waypoint_py.config import Settings
    from waypoint_py.user_filters import UserFilters


@dataclass(slots=True)
class DataPlane(Layer7Plane[WaypointContext]):
    """The listener and what serves it."""

    chains: Chains
    gateway_routes: GatewayRoutes
    _sockets: Mapping[str, socket.socket]

    @staticmethod
    def build(foundation: Foundation[Settings], user_filters: UserFilters) -> DataPlane:
        """To be served by `background`."""
        settings, state, directory = foundation.settings, foundation.state, foundation.directory
        context = foundation.context(frozenset(sock.getsockname()[1] for sock in foundation.sockets.values()))
        connections = Connections(context.reactor, settings.max_connections)
        # Straight to pods, as Istio's: HBONE to who takes it, else Istio's mutual TLS, else plain TCP.
        straight = WayRules("today", prefers_hbone=True, may_insist=False)
        idle = settings.http_pool_idle
        clusters = Clusters(state, directory, straight, context.dice.random, idle, cluster_name)
        key_sets = KeySets(settings.key_sets, settings.socket_options, directory, context.dice.random)
        chains = Chains(context, user_filters, key_sets)
        gateway_routes = GatewayRoutes(context)
        authorizers, mirrors = Authorizers(context, clusters), Mirrors(connections)
        forwarding = Forwarding(context, connections, clusters, chains, authorizers, mirrors, gateway_routes)
        terminate = Terminate(context, connections, forwarding, ByteProxy(forwarding))
        tunnels = TunnelServer(context, connections, settings.max_connections, "waypoint", terminate.serve)
        return DataPlane(context, connections, clusters, key_sets, tunnels, chains, gateway_routes, foundation.sockets)

    def listen(self) -> None:
        """For tunnels, whatever the socket's name."""
        self.listeners.update((name, self.tunnels.listen(sock)) for name, sock in self._sockets.items())


def cluster_name(port: int, subset: str, host: str) -> str:
    """As Istio's waypoints name their clusters (hbone-controlplane 9.5)."""
    return f"inbound-vip|{port}|http{subset and f'/{subset}'}|{host}"
