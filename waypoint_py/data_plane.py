"""The data plane: the listener and what serves it, started together and drained together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hbone_py.aio.pool import Pool as PeerPool
from hbone_py.aio.reactor import Reactor
from mesh_py.exchange.pool import Pool as HttpPool
from mesh_py.proxy.authorizers import Authorizers
from mesh_py.proxy.clusters import Clusters
from mesh_py.proxy.connections import Connections
from mesh_py.proxy.istio_tls import IstioTls
from mesh_py.proxy.key_sets import KeySets
from mesh_py.proxy.mirrors import Mirrors
from mesh_py.proxy.originate import OriginatedTls
from mesh_py.proxy.plane import Layer7Plane
from mesh_py.proxy.tunnels import TunnelServer
from mesh_py.proxy.ways import WayRules
from mesh_py.telemetry.requests import RequestTelemetry
from waypoint_py.byte_proxy import ByteProxy
from waypoint_py.chains import Chains
from waypoint_py.context import WaypointContext
from waypoint_py.forward import Forwarding
from waypoint_py.gateway_routes import GatewayRoutes
from waypoint_py.terminate import Terminate

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from mesh_py.discovery.state import MeshState
    from mesh_py.identity.certificates import Certificates
    from mesh_py.proxy.directory import Directory
    from mesh_py.telemetry.logs import Logs
    from mesh_py.telemetry.metrics import Metrics
    from waypoint_py.config import Settings
    from waypoint_py.user_filters import UserFilters


@dataclass(slots=True)
class DataPlane(Layer7Plane[WaypointContext]):
    """The listener and what serves it."""

    chains: Chains
    gateway_routes: GatewayRoutes
    _sockets: Mapping[str, socket.socket]

    @staticmethod
    def build(
        settings: Settings,
        sockets: Mapping[str, socket.socket],
        state: MeshState,
        directory: Directory,
        certificates: Certificates,
        logs: Logs,
        write: Callable[[str], None],
        metrics: Metrics,
        user_filters: UserFilters,
    ) -> DataPlane:
        """To be served by `background` on bound sockets, by name as in `listening`. `write` takes lines for the log."""
        reactor = Reactor.current()
        reactor.ledger.set_limit(settings.unread_budget)
        context = WaypointContext(
            reactor=reactor,
            settings=settings,
            state=state,
            directory=directory,
            certificates=certificates,
            istio_tls=IstioTls(settings.tls),
            originated=OriginatedTls(settings.tls, settings.credentials_folder),
            peers=PeerPool(reactor, idle=settings.pool_idle),
            http=HttpPool(reactor.wheel),
            metrics=metrics,
            access=logs.access,
            requests=RequestTelemetry(metrics, logs.access, write, json=settings.log_json),
            own_ports=frozenset(sock.getsockname()[1] for sock in sockets.values()),
        )
        connections = Connections(reactor, settings.max_connections)
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
        return DataPlane(context, connections, clusters, key_sets, tunnels, chains, gateway_routes, sockets)

    def listen(self) -> None:
        """For tunnels, whatever the socket's name."""
        self.listeners.update((name, self.tunnels.listen(sock)) for name, sock in self._sockets.items())


def cluster_name(port: int, subset: str, host: str) -> str:
    """As Istio's waypoints name their clusters (hbone-controlplane 9.5)."""
    return f"inbound-vip|{port}|http{subset and f'/{subset}'}|{host}"
