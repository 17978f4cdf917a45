"""15001: captured connections of the application (red. section b). What is spoken decides: HTTP request by request,
anything else as one stream of bytes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hbone_py.aio.original_dst import original_destination
from hbone_py.aio.tcp import canonical, show
from hbone_py.errors import HboneError
from mesh_py.exchange.downstream import Downstream
from mesh_py.exchange.lifetimes import serve
from mesh_py.http.codec_h1 import H1Server
from mesh_py.http.codec_h2 import H2Server
from mesh_py.http.detect import HTTP1, HTTP2, UNKNOWN, Detection, Protocol
from mesh_py.http.errors import HttpError
from mesh_py.model.address import parse_ip
from mesh_py.model.errors import SelfCall
from mesh_py.model.workload import AppProtocol
from mesh_py.proxy.detection import detect_protocol
from mesh_py.proxy.dial import FOR_TCP, connect
from mesh_py.proxy.first_words import first_words
from mesh_py.proxy.mirrors import Mirrors
from mesh_py.proxy.opaque import carry
from mesh_py.proxy.resolved_routes import ResolvedRoutes
from mesh_py.proxy.tcp_telemetry import TcpConnection
from sidecar_py.outbound_http import OutboundHttp

if TYPE_CHECKING:
    import socket

    from hbone_py.aio.tcp import SocketAddress
    from hbone_py.aio.tcp_stream import TcpStream
    from mesh_py.proxy.clusters import Clusters
    from mesh_py.proxy.connections import Connections
    from mesh_py.proxy.directory import Destination
    from sidecar_py.context import SidecarContext

log = logging.getLogger("proxy")


class Blocked(HboneError):
    """The mesh does not know the destination, and OUTBOUND_TRAFFIC_POLICY=REGISTRY_ONLY lets nobody go there."""

    flag = "-"
    blame = "policy"


class Outbound:
    """Serves captured connections."""

    def __init__(self, context: SidecarContext, connections: Connections, clusters: Clusters) -> None:
        self._context, self._connections, self._clusters = context, connections, clusters
        self._resolved_routes, self._mirrors = ResolvedRoutes(context, clusters), Mirrors(connections)

    def accepted(self, sock: socket.socket, client: SocketAddress) -> None:
        """A connection that redirection brought, or that was dialled here by mistake."""
        destination, _ = original_destination(sock, client)
        if destination == canonical(sock.getsockname()) and destination[1] in self._context.own_ports:
            # Nobody means this port. Conntrack also answers for sockets that nothing redirected (redirection.md d.5).
            self._refuse(sock, client, destination, SelfCall())
            return
        self._connections.begin(sock, lambda stream: self.serve(stream, client, destination))

    def _refuse(self, sock: socket.socket, client: SocketAddress, local: SocketAddress, error: HboneError) -> None:
        sock.close()
        self._context.access.failed("source", show(client), show(local), str(error))

    async def serve(self, stream: TcpStream, client: SocketAddress, address: SocketAddress) -> None:
        """Serve a connection of `client` to `address`, to its end."""
        context = self._context
        try:
            meant = context.directory.destination(context.workload, (parse_ip(address[0]), address[1]))
            if address[1] in context.own_ports and self._is_us(address[0]):
                raise SelfCall
            spoken = await self._detect(stream, meant)
        except HboneError as error:
            stream.abort()
            context.access.failed("source", show(client), show(address), str(error))
            return
        if spoken.protocol in (Protocol.HTTP1, Protocol.HTTP2):
            await self._serve_http(stream, client, meant, spoken.protocol)
        else:
            await self._serve_bytes(stream, client, meant, spoken)

    def _is_us(self, ip: str) -> bool:
        return ip in self._context.workload.workload_ips or ip.startswith("127.")

    async def _detect(self, stream: TcpStream, meant: Destination) -> Detection:
        """What the service says is spoken, else what the first bytes say."""
        match meant.app_protocol:
            case AppProtocol.TCP:
                return UNKNOWN
            case AppProtocol.HTTP2 | AppProtocol.GRPC:
                return HTTP2
            case AppProtocol.HTTP11:
                found = await detect_protocol(stream, self._context.settings.timeouts.detection)
                return HTTP2 if found.protocol is Protocol.HTTP2 else HTTP1
            case _:
                return await detect_protocol(stream, self._context.settings.timeouts.detection)

    async def _serve_http(
        self, stream: TcpStream, client: SocketAddress, meant: Destination, protocol: Protocol
    ) -> None:
        context = self._context
        handler = OutboundHttp(context, self._clusters, self._resolved_routes, self._mirrors, client, meant)
        codec = H2Server() if protocol is Protocol.HTTP2 else H1Server()
        downstream = Downstream(stream, codec, handler, context.reactor.wheel, context.settings.timeouts)
        with self._connections.draining(downstream):
            await serve(downstream)

    async def _serve_bytes(
        self, stream: TcpStream, client: SocketAddress, meant: Destination, spoken: Detection
    ) -> None:
        """TLS goes where its server name says, if that is a service of the mesh; all else where it was sent."""
        context = self._context
        if spoken.hello is not None and spoken.hello.server_name:
            meant = context.directory.by_host(context.workload, spoken.hello.server_name, meant)
        connection, words = TcpConnection(context, "source", client), first_words(context, stream)
        try:
            if not meant.is_known and context.settings.registry_only:
                raise Blocked(f"{show(meant.address)} is nobody the mesh knows (REGISTRY_ONLY)")
            if meant.record is None or not self._clusters.rules.leaves_routes_to_waypoint(meant.record.service):
                meant = context.directory.by_tcp_route(context.workload, meant, context.dice.random)
            endpoint = self._clusters.pick(context.workload, meant, context.now(), client[0]).endpoint
            connection.opened(
                context.parties.of(context.workload),
                context.parties.of_known(endpoint.workload),
                None if meant.record is None else meant.record.service,
                mutual_tls=endpoint.is_mutual_tls,
                principal=context.workload.identity if endpoint.is_mutual_tls else None,
                there=endpoint.address,
                authority=getattr(endpoint.carrier, "authority", None),
            )
            upstream = await connect(context, endpoint.way, FOR_TCP, connection.traceparent, words)
        except (HboneError, HttpError) as error:
            stream.abort()
            connection.failed(meant.address, error)
            return
        connection.closed(await carry(context.reactor, stream, upstream, words=words))
