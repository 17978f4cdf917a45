"""15008: HBONE to the application. A tunnel's bytes are served as those of 15006 are, less the mutual TLS, which the
tunnel was (hbone-controlplane 9.3)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hbone_py.aio.peer import Peer
from hbone_py.aio.stream import TunnelStream
from hbone_py.aio.tcp import Listener, canonical, reset, show
from hbone_py.aio.transport import TcpTransport
from hbone_py.errors import HboneError, TlsError, TlsTimeout
from hbone_py.header_blocks import STATUS_200
from hbone_py.tls.verify import verify_inbound
from mesh_py.discovery.inbound import find_inbound_upstream, parse_authority, validate_destination
from mesh_py.http.detect import Protocol
from mesh_py.model.address import parse_ip
from mesh_py.model.workload import AppProtocol
from mesh_py.proxy.detection import detect_protocol
from mesh_py.proxy.opaque import carry
from sidecar_py.inbound import Caller

if TYPE_CHECKING:
    import socket

    from hbone_py import events as ev
    from hbone_py.aio.tcp import SocketAddress
    from hbone_py.streams import Stream
    from mesh_py.identity.certificates import Contexts
    from sidecar_py.inbound import Inbound

log = logging.getLogger("proxy")

_LOOK_SECONDS = 0.25
_HTTP = (AppProtocol.HTTP11, AppProtocol.HTTP2, AppProtocol.GRPC)


class InboundHbone:
    """Accepts HBONE connections to our workload."""

    def __init__(self, inbound: Inbound) -> None:
        self.inbound = inbound
        self.peers: set[InboundPeer] = set()

    def listen(self, sock: socket.socket) -> Listener:
        """Accept on a bound socket."""
        return Listener(self.inbound.context.reactor, sock, self.accepted)

    def accepted(self, sock: socket.socket, client: SocketAddress) -> None:
        """Somebody dialled 15008."""
        if len(self.peers) >= self.inbound.context.settings.max_connections:
            reset(sock)
            return
        self.inbound.connections.run(self._begin(sock, client))

    async def _begin(self, sock: socket.socket, client: SocketAddress) -> None:
        context, local = self.inbound.context, canonical(sock.getsockname())
        try:
            contexts = await context.contexts()
        except HboneError as error:
            sock.close()
            context.access.failed("destination", show(client), show(local), str(error))
            return
        owner = InboundPeer(self, client, local)
        owner.peer = self._peer(owner, sock, contexts)
        self.peers.add(owner)
        owner.peer.start()

    def _peer(self, owner: InboundPeer, sock: socket.socket, contexts: Contexts) -> Peer:
        context = self.inbound.context
        own = contexts.credentials.identity
        trust_domain = None if own is None else own.trust_domain
        return Peer(
            context.reactor,
            TcpTransport(context.reactor, sock, owner.client),
            contexts.server,
            owner,
            check=lambda found: verify_inbound(found, trust_domain),
            config=context.settings.http2,
            deadlines=context.settings.deadlines,
        )

    def drain(self) -> None:
        """Say GOAWAY to every client; open tunnels go on."""
        for owner in list(self.peers):
            owner.peer.drain()
            owner.close_when_idle()

    def close(self) -> None:
        """End every connection now."""
        for owner in list(self.peers):
            owner.peer.close()


class InboundPeer:
    """One HBONE connection (PeerOwner)."""

    def __init__(self, hbone: InboundHbone, client: SocketAddress, local: SocketAddress) -> None:
        self.client, self._hbone, self._local = client, hbone, local
        self.peer: Peer

    def peer_up(self, peer: Peer) -> None:
        """A client is there."""

    def peer_draining(self, peer: Peer) -> None:
        """It says GOAWAY; its tunnels go on."""

    def peer_closed(self, peer: Peer, error: HboneError | None) -> None:
        """It is gone, or was never let in."""
        self._hbone.peers.discard(self)
        if not peer.is_up and error is not None:
            is_tls = isinstance(error, TlsError | TlsTimeout)
            self._refused(f"tls handshake error: {error}" if is_tls else str(error))

    def request_refused(self, peer: Peer, event: ev.RequestRefused) -> None:
        """The engine has answered what is no CONNECT, or a broken one."""
        self._refused(event.reason)

    def _refused(self, reason: str) -> None:
        access = self._hbone.inbound.context.access
        access.failed("destination", show(self.client), show(self._local), reason)

    def tunnel_requested(self, peer: Peer, event: ev.TunnelRequested) -> None:
        """A CONNECT."""
        tunnel = TunnelStream(peer, event.stream)
        self._hbone.inbound.connections.run(self._guarded(tunnel, event.stream, event.request.authority))

    async def _guarded(self, tunnel: TunnelStream, stream: Stream, authority: str) -> None:
        try:
            await self._serve(tunnel, stream, authority)
        except HboneError as error:
            self._refuse(stream, error.status)
            self._refused(f"CONNECT {authority}: {error}")
        except Exception:
            log.exception("! CONNECT %s: unexpected error", authority)
            self._refuse(stream, 503)

    def _refuse(self, stream: Stream, status: int) -> None:
        """Instead of the 200."""
        if not self.peer.is_closed and not stream.answered:
            stream.owner = None
            self.peer.engine.reject_tunnel(stream, status)
            self.peer.reactor.touch(self.peer)

    def _accept(self, stream: Stream) -> None:
        if stream.stream_id in self.peer.engine.streams:
            self.peer.engine.accept_tunnel(stream, STATUS_200)
            self.peer.reactor.touch(self.peer)

    async def _serve(self, tunnel: TunnelStream, stream: Stream, authority: str) -> None:
        """Understand, judge, answer, serve. HTTP gets its 200 at once; bytes get theirs from the application."""
        inbound = self._hbone.inbound
        caller = self._understand(authority)
        service = inbound.service_at(caller.local[1])
        spoken = () if service is None else (service.app_protocols.get(port) for port in service.ports)
        if any(protocol in _HTTP for protocol in spoken):
            self._accept(stream)
            found = await detect_protocol(tunnel, inbound.context.settings.patience.detection)
            await inbound.serve_inside(tunnel, caller, found)
            return
        inbound.rules.judge_layer_4(inbound.context.workload, caller.client, caller.local, caller.identity)
        upstream = await inbound.connect_application(caller.local)
        self._accept(stream)
        found = await detect_protocol(tunnel, inbound.context.settings.patience.detection)
        if found.protocol in (Protocol.HTTP1, Protocol.HTTP2):
            await upstream.aclose()
            await inbound.serve_http(tunnel, caller, found.protocol)
            return
        connection = inbound.begin_bytes(caller)
        try:
            inbound.judge(caller)
        except HboneError as error:
            tunnel.abort()
            upstream.abort()
            connection.failed(caller.local, error)
            return
        connection.closed(await carry(inbound.context.reactor, tunnel, upstream))

    def _understand(self, text: str) -> Caller:
        """Raises MeshError where it asks for what is not ours."""
        context = self._hbone.inbound.context
        workload, local_ip = context.workload, parse_ip(self._local[0])
        authority = parse_authority(text)
        validate_destination(context.state, local_ip, workload, authority)
        upstream = find_inbound_upstream(context.state, local_ip, workload, authority, context.own_ports)
        client = (parse_ip(self.client[0]), self.client[1])
        return Caller(client, upstream.address, self.peer.identity)

    def close_when_idle(self) -> None:
        """Draining: end the connection once no tunnel is left."""

        def look() -> None:
            if not self.peer.is_closed:
                if self.peer.engine.streams:
                    self.peer.reactor.wheel.after(_LOOK_SECONDS, look)
                else:
                    self.peer.farewell()

        self.peer.reactor.wheel.after(_LOOK_SECONDS, look)
