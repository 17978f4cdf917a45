"""The data plane: the listeners and what serves them, started together and drained together."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from hbone_py.aio.tcp import Listener
from mesh_py.proxy.authorizers import Authorizers
from mesh_py.proxy.clusters import Clusters
from mesh_py.proxy.connections import Connections
from mesh_py.proxy.key_sets import KeySets
from mesh_py.proxy.plane import Layer7Plane
from mesh_py.proxy.tunnels import TunnelServer
from mesh_py.proxy.ways import WayRules
from sidecar_py.capture import ProxyProtocol, Socks5
from sidecar_py.context import SidecarContext
from sidecar_py.inbound import Inbound
from sidecar_py.inbound_hbone import InboundHbone
from sidecar_py.inbound_rules import InboundRules
from sidecar_py.listening import CAPTURED
from sidecar_py.outbound import Outbound

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from mesh_py.proxy.foundation import Foundation
    from sidecar_py.config import Settings


log = logging.getLogger("proxy")


@dataclass(slots=True)
class DataPlane(Layer7Plane[SidecarContext]):
    """The listeners and what serves them."""

    rules: InboundRules
    outbound: Outbound
    inbound: Inbound
    _sockets: Mapping[str, socket.socket]

    @staticmethod
    def build(foundation: Foundation[Settings]) -> DataPlane:
        """To be served by `background`."""
        settings, state, directory = foundation.settings, foundation.state, foundation.directory
        context = foundation.context(_own_ports(settings, foundation.sockets))
        connections = Connections(context.reactor, settings.max_connections)
        form = WayRules(settings.waypoint_form, settings.prefers_hbone)
        clusters = Clusters(state, directory, form, context.dice.random, settings.http_pool_idle)
        key_sets = KeySets(settings.key_sets, settings.socket_options, directory, context.dice.random)
        rules = InboundRules(
            state,
            directory,
            settings.root_namespace,
            settings.inbound_mtls,
            layer_4=settings.discovery is None,
            fetched=key_sets.of,
            report=partial(log.warning, "a policy cannot be kept as it is written: %s"),
        )
        outbound = Outbound(context, connections, clusters)
        inbound = Inbound(context, connections, rules, Authorizers(context, clusters))
        state.watch(inbound.recheck)
        directory.watch(inbound.recheck)
        most = settings.max_connections
        tunnels = TunnelServer(context, connections, most, "destination", InboundHbone(inbound).serve)
        return DataPlane(
            context, connections, clusters, key_sets, tunnels, rules, outbound, inbound, foundation.sockets
        )

    def listen(self) -> None:
        """Each socket by its name, and by how connections are captured."""
        context, connections = self.context, self.connections
        for name, sock in self._sockets.items():
            match name:
                case "outbound" if context.settings.proxy_protocol_capture:
                    capture = ProxyProtocol(context, connections, self.outbound.serve, "source")
                    self.listeners[name] = capture.listen(sock)
                case "plaintext" if context.settings.proxy_protocol_capture:
                    capture = ProxyProtocol(context, connections, self.inbound.serve, "destination")
                    self.listeners[name] = capture.listen(sock)
                case "outbound":
                    self.listeners[name] = Listener(context.reactor, sock, self.outbound.accepted, near=True)
                case "inbound":
                    self.listeners[name] = self.tunnels.listen(sock)
                case "socks5":
                    self.listeners[name] = Socks5(context, connections, self.outbound.serve).listen(sock)
                case _:  # 15006, and the application's own ports
                    self.listeners[name] = Listener(context.reactor, sock, self.inbound.accepted)


def _own_ports(settings: Settings, sockets: Mapping[str, socket.socket]) -> frozenset[int]:
    """The proxy's own ports; not those where it stands in the application's place.

    15000 is one of them: it trusts this machine, and we are on it. With APP_ADDRESS on loopback a stranger's connection
    to the pod's 15000 would come out there.
    """
    listening = {sock.getsockname()[1] for name, sock in sockets.items() if not name.startswith(CAPTURED)}
    return frozenset(listening | {settings.ports.admin})
