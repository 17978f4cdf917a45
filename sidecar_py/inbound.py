"""15006: connections to the application. TLS or plain is told by the first bytes; mutual TLS ends here, or is demanded;
what is inside is HTTP or bytes; policies judge; the application sees 127.0.0.6 (red. section b)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hbone_py.aio.original_dst import original_destination
from hbone_py.aio.tcp import show
from hbone_py.aio.tcp_stream import TcpStream
from hbone_py.aio.tls_handshake import shake_hands
from hbone_py.errors import HboneError
from hbone_py.tls.verify import verify_inbound
from mesh_py.discovery.inbound import guess_service
from mesh_py.exchange.downstream import Downstream
from mesh_py.exchange.lifetimes import serve
from mesh_py.http.codec_h1 import H1Client, H1Server
from mesh_py.http.codec_h2 import H2Client, H2Server
from mesh_py.http.detect import Detection, Protocol
from mesh_py.manifests.security import MutualTls
from mesh_py.model.address import parse_ip
from mesh_py.model.errors import PolicyChanged, SelfCall
from mesh_py.model.workload import AppProtocol
from mesh_py.proxy.context import NoWorkload
from mesh_py.proxy.detection import detect_protocol
from mesh_py.proxy.dial import connect_socket
from mesh_py.proxy.istio_tls import is_istio
from mesh_py.proxy.opaque import Knife, carry
from mesh_py.proxy.tcp_telemetry import TcpConnection
from sidecar_py.inbound_http import InboundHttp, application_key, application_limits

if TYPE_CHECKING:
    import socket

    from hbone_py.aio.tls_stream import TlsStream
    from hbone_py.aio.tunnel_stream import TunnelStream
    from hbone_py.identity import SpiffeId
    from mesh_py.model.address import SocketAddress
    from mesh_py.model.workload import Service
    from mesh_py.proxy.authorizers import Authorizers
    from mesh_py.proxy.connections import Connections
    from sidecar_py.context import SidecarContext
    from sidecar_py.inbound_rules import InboundRules

    AnyStream = TcpStream | TlsStream | TunnelStream

log = logging.getLogger("proxy")

HTTP = (AppProtocol.HTTP11, AppProtocol.HTTP2, AppProtocol.GRPC)

LOOPBACK_SOURCE = "127.0.0.6"
"""Whom the application sees: redirection lets connections from here pass."""


class PlaintextRefused(HboneError):
    """PeerAuthentication demands mutual TLS, and this is none."""

    flag = "-"
    blame = "policy"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as far as it is proved, and what it called."""

    client: SocketAddress
    local: SocketAddress
    """The application's address and port that were dialled."""
    identity: SpiffeId | None = None
    leaf: bytes = b""
    """The certificate that proved it, DER; empty where there was none, or where a tunnel brought the identity."""
    server_name: str = ""
    traceparent: str = ""
    """Of the tunnel, for requests that bring none."""

    @property
    def is_mutual_tls(self) -> bool:
        """Whether the caller proved who it is."""
        return self.identity is not None


class Inbound:
    """Serves connections to the application."""

    def __init__(
        self, context: SidecarContext, connections: Connections, rules: InboundRules, authorizers: Authorizers
    ) -> None:
        self.context, self.connections, self.rules, self.authorizers = context, connections, rules, authorizers
        self._carried: dict[Knife, Caller] = {}
        """Connections of bytes under way."""

    def accepted(self, sock: socket.socket, client: tuple[str, int]) -> None:
        """A connection that redirection brought."""
        destination, _ = original_destination(sock, client)
        self.connections.begin(sock, lambda stream: self.serve(stream, client, destination))

    async def serve(self, stream: TcpStream, client: tuple[str, int], destination: tuple[str, int]) -> None:
        """Serve a connection of `client` to `destination`, to its end."""
        local = (parse_ip(destination[0]), destination[1])
        await self._serve(stream, Caller((parse_ip(client[0]), client[1]), local))

    async def _serve(self, stream: TcpStream, caller: Caller) -> None:
        try:
            if caller.local[1] in self.context.own_ports:
                raise SelfCall
            spoken = await detect_protocol(stream, self.context.settings.timeouts.detection)
            found, caller, spoken = await self._opened(stream, caller, spoken)
        except HboneError as error:
            stream.abort()
            self.context.access.failed("destination", show(caller.client), show(caller.local), str(error))
            return
        await self.serve_inside(found, caller, spoken)

    async def _opened(
        self, stream: TcpStream, caller: Caller, spoken: Detection
    ) -> tuple[AnyStream, Caller, Detection]:
        """Mutual TLS ended, where it is spoken to us; what is inside, and from whom. Raises PlaintextRefused."""
        context = self.context
        mode = self.rules.mode(context.workload, caller.local[1])
        offered = () if spoken.hello is None else spoken.hello.alpn
        is_for_us = spoken.protocol is Protocol.TLS and (mode is MutualTls.STRICT or is_istio(offered))
        if mode is MutualTls.DISABLE or not is_for_us:
            if mode is MutualTls.STRICT:
                raise PlaintextRefused(f"port {caller.local[1]} takes mutual TLS only (PeerAuthentication STRICT)")
            return stream, caller, spoken
        contexts = await context.contexts()
        own = contexts.credentials.identity
        trust_domain = None if own is None else own.trust_domain
        tls = await shake_hands(
            stream.release(),
            context.istio_tls.sides(contexts).server,
            check=lambda found: verify_inbound(found, trust_domain),
            seconds=context.settings.deadlines.tls,
        )
        proved = Caller(caller.client, caller.local, tls.identity, tls.tls.peer_leaf_der, tls.tls.server_name)
        return tls, proved, await self._inside(tls, offered)

    async def _inside(self, tls: TlsStream, offered: tuple[str, ...]) -> Detection:
        """What Istio's ALPN says is inside, else what the first bytes say."""
        if "istio-h2" in offered:
            return Detection(Protocol.HTTP2)
        if "istio-http/1.1" in offered or "istio-http/1.0" in offered:
            return Detection(Protocol.HTTP1)
        if "istio-peer-exchange" in offered:
            return Detection(Protocol.UNKNOWN)
        return await detect_protocol(tls, self.context.settings.timeouts.detection)

    # Behind TLS, or without it, or out of a tunnel ----------------------------------------------------------

    async def serve_inside(self, stream: AnyStream, caller: Caller, spoken: Detection) -> None:
        """HTTP request by request, anything else as bytes.

        Where the service says that HTTP is spoken, nothing else passes: what is no HTTP to us might be to the
        application, with headers that nobody has looked at.
        """
        said = self.http_of(caller.local[1])
        if spoken.protocol in (Protocol.HTTP1, Protocol.HTTP2):
            await self.serve_http(stream, caller, spoken.protocol)
        elif spoken.protocol is Protocol.UNKNOWN and said is not None:
            await self.serve_http(stream, caller, said)
        else:
            await self._serve_bytes(stream, caller)

    async def serve_http(self, stream: AnyStream, caller: Caller, protocol: Protocol) -> None:
        """Requests, each judged by itself."""
        context = self.context
        handler = InboundHttp(self, caller)
        scheme = "https" if caller.leaf else "http"
        codec = H2Server() if protocol is Protocol.HTTP2 else H1Server(scheme=scheme)
        downstream = Downstream(stream, codec, handler, context.reactor.wheel, context.settings.timeouts)
        with self.connections.draining(downstream):
            await serve(downstream)

    async def _serve_bytes(self, stream: AnyStream, caller: Caller) -> None:
        connection = self.begin_bytes(caller)
        try:
            self.judge(caller)
            upstream = await self.connect_application(caller.local)
        except HboneError as error:
            stream.abort()
            connection.failed(caller.local, error)
            return
        await self.carry(stream, upstream, caller, connection)

    async def carry(self, stream: AnyStream, upstream: TcpStream, caller: Caller, connection: TcpConnection) -> None:
        """Carry bytes to their end, for as long as policies allow it."""
        knife = Knife()
        try:
            self.judge(caller)  # again where connecting took its time: policies may have changed
        except HboneError as error:
            stream.abort()
            upstream.abort()
            connection.failed(caller.local, error)
            return
        self._carried[knife] = caller
        try:
            connection.closed(await carry(self.context.reactor, stream, upstream, knife))
        finally:
            del self._carried[knife]

    def recheck(self) -> None:
        """Something has changed: connections of bytes that policies no longer allow end (hbone-dataplane 3.8)."""
        try:
            if not self.rules.is_changed(self.context.workload):
                return
        except NoWorkload:
            return  # nobody new is let in; who is here has done nothing
        for knife, caller in list(self._carried.items()):
            try:
                self.judge(caller)
            except HboneError as error:
                log.info(
                    "connection %s closed: no longer allowed after a policy update: %s", show(caller.client), error
                )
                knife.cut(PolicyChanged())

    def begin_bytes(self, caller: Caller) -> TcpConnection:
        """Count and log a connection of bytes."""
        context = self.context
        connection = TcpConnection(context, "destination", caller.client, caller.traceparent)
        connection.opened(
            context.parties.of_known(context.state.workloads.at(context.state.network, caller.client[0])),
            context.parties.of(context.workload),
            self.service_at(caller.local[1]),
            mutual_tls=caller.is_mutual_tls,
            principal=caller.identity,
            there=caller.local,
        )
        return connection

    def judge(self, caller: Caller) -> None:
        """Raise PolicyDenied, AuthorizerDenied, unless the connection may come in."""
        self.rules.judge_connection(self.context.workload, caller.client, caller.local, caller.identity)

    def service_at(self, port: int, host: str | None = None) -> Service | None:
        """The service a caller meant by a port of ours."""
        context = self.context
        services = [record.service for record in context.state.services_of(context.workload)]
        return guess_service(services, context.workload, port, host)

    def http_of(self, port: int) -> Protocol | None:
        """The HTTP that our services say is spoken on a port of ours; None where they do not say it."""
        context = self.context
        for record in context.state.services_of(context.workload):
            ports = context.workload.services.get(record.service.key) or record.service.ports
            for service_port, protocol in record.service.app_protocols.items():
                if protocol in HTTP and ports.get(service_port, service_port) == port:
                    return Protocol.HTTP1 if protocol is AppProtocol.HTTP11 else Protocol.HTTP2
        return None

    def application(self, local: SocketAddress) -> SocketAddress:
        """Where the application listens that was dialled as `local`."""
        wanted = self.context.settings.app_address
        return (local[0] if wanted is None else parse_ip(wanted), local[1])

    async def connect_application(self, local: SocketAddress) -> TcpStream:
        """TCP to the application. Raises ConnectionFailed, ConnectTimeout."""
        address = self.application(local)
        source = LOOPBACK_SOURCE if ":" not in address[0] else None
        return TcpStream(self.context.reactor, await connect_socket(self.context, address, source))

    def hand_over(self, stream: TcpStream, local: SocketAddress, *, http2: bool) -> None:
        """A connection to the application, opened before anybody knew that it is for requests, serves them."""
        codec = H2Client() if http2 else H1Client()
        key = application_key(self.application(local), http2=http2)
        if not self.context.http.adopt(key, stream, codec, application_limits(self.context)):
            stream.abort()
