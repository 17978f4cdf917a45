"""15008: HBONE connections that end here, and the tunnels in them, each given to whoever serves it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hbone_py.aio.peer import Peer
from hbone_py.aio.tcp import Listener, canonical, reset, show
from hbone_py.aio.transport import TcpTransport
from hbone_py.aio.tunnel_stream import TunnelStream
from hbone_py.errors import HboneError, TlsError, TlsTimeout
from hbone_py.header_blocks import STATUS_200
from hbone_py.tls.verify import verify_inbound
from mesh_py.capture.strangers import MOST, Strangers
from mesh_py.model.address import parse_ip
from mesh_py.process.file_limit import share_of_files

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from hbone_py import events as ev
    from hbone_py.aio.tcp import SocketAddress
    from hbone_py.connect import ConnectRequest
    from hbone_py.identity import SpiffeId
    from hbone_py.streams import Stream
    from mesh_py.capture.strangers import Stranger
    from mesh_py.identity.certificates import Contexts
    from mesh_py.proxy.connections import Connections
    from mesh_py.proxy.context import AnyContext
    from mesh_py.telemetry.facts import Reporter

    Serve = Callable[["Incoming"], Awaitable[None]]
    """Serves a tunnel to its end. An HboneError before `accept` is the answer."""

log = logging.getLogger("proxy")

_LOOK_SECONDS = 0.25


class Incoming:
    """A tunnel that is asked for. `accept` once; until then an error is a status, after it a reset."""

    def __init__(self, owner: _Client, event: ev.TunnelRequested) -> None:
        self.request: ConnectRequest = event.request
        self.stream = TunnelStream(owner.peer, event.stream)
        self.client = (parse_ip(owner.client[0]), owner.client[1])
        """Who connects."""
        self.local = (parse_ip(owner.local[0]), owner.local[1])
        """Where: an address of ours."""
        self._peer, self._raw = owner.peer, event.stream

    @property
    def identity(self) -> SpiffeId | None:
        """Who the client proved to be."""
        return self._peer.identity

    def accept(self) -> None:
        """Say 200."""
        if self._raw.stream_id in self._peer.engine.streams:
            self._peer.engine.accept_tunnel(self._raw, STATUS_200)
            self._peer.reactor.touch(self._peer)

    def fail(self, status: int) -> None:
        """Another status in place of the 200; a reset behind it."""
        if self._raw.answered:
            self.stream.abort()
        elif not self._peer.is_closed:
            _refuse(self._peer, self._raw, status)


def _refuse(peer: Peer, stream: Stream, status: int) -> None:
    stream.owner = None
    peer.engine.reject_tunnel(stream, status)
    peer.reactor.touch(peer)


class TunnelServer:
    """Accepts HBONE connections with our workload's certificate."""

    def __init__(
        self, context: AnyContext, connections: Connections, most: int, reporter: Reporter, serve: Serve
    ) -> None:
        """`most`: connections at once; more have the place of the oldest stranger, or are reset."""
        self.context, self.connections, self.serve, self.reporter = context, connections, serve, reporter
        self.clients: set[_Client] = set()
        self.strangers = Strangers(share_of_files(MOST))
        """Those who have not proved yet who they are."""
        self._most = most

    def listen(self, sock: socket.socket) -> Listener:
        """Accept on a bound socket."""
        return Listener(self.context.reactor, sock, self._accepted)

    def _accepted(self, sock: socket.socket, client: SocketAddress) -> None:
        if len(self.clients) >= self._most and not self.strangers.make_room():
            reset(sock)
            return
        place = self.strangers.admit(client[0], self.context.reactor.wheel.now)
        if place is None:
            reset(sock)
            return
        place.cut = lambda _: reset(sock)  # until it is a client's: its certificate is waited for
        self.connections.run(self._begin(sock, client, place))

    async def _begin(self, sock: socket.socket, client: SocketAddress, place: Stranger) -> None:
        context, local = self.context, canonical(sock.getsockname())
        try:
            contexts = await context.contexts()
        except HboneError as error:
            sock.close()
            self.strangers.settled(place)
            context.access.failed(self.reporter, show(client), show(local), str(error))
            return
        if sock.fileno() < 0:
            return
        owner = _Client(self, client, local, place)
        owner.peer = self._peer(owner, sock, contexts)
        place.cut = owner.peer.close
        self.clients.add(owner)
        owner.peer.start()

    def _peer(self, owner: _Client, sock: socket.socket, contexts: Contexts) -> Peer:
        context = self.context
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
        for owner in list(self.clients):
            owner.peer.drain()
            owner.close_when_idle()

    def close(self) -> None:
        """End every connection now."""
        for owner in list(self.clients):
            owner.peer.close()


class _Client:
    """One HBONE connection (PeerOwner)."""

    def __init__(self, server: TunnelServer, client: SocketAddress, local: SocketAddress, place: Stranger) -> None:
        self.client, self.local, self._server, self._place = client, local, server, place
        self.peer: Peer

    def peer_secured(self, peer: Peer) -> None:
        """It has proved who it is. Servers open no tunnels."""
        self._server.strangers.settled(self._place)

    def peer_up(self, peer: Peer) -> None:
        """A client is there."""

    def peer_draining(self, peer: Peer) -> None:
        """It says GOAWAY; its tunnels go on."""

    def peer_closed(self, peer: Peer, error: HboneError | None) -> None:
        """It is gone, or was never let in."""
        self._server.clients.discard(self)
        self._server.strangers.settled(self._place)
        if not peer.is_up and error is not None:
            is_tls = isinstance(error, TlsError | TlsTimeout)
            self._refused(f"tls handshake error: {error}" if is_tls else str(error))

    def request_refused(self, peer: Peer, event: ev.RequestRefused) -> None:
        """The engine has answered what is no CONNECT, or a broken one."""
        self._refused(event.reason)

    def _refused(self, reason: str) -> None:
        server = self._server
        server.context.access.failed(server.reporter, show(self.client), show(self.local), reason)

    def tunnel_requested(self, peer: Peer, event: ev.TunnelRequested) -> None:
        """A CONNECT."""
        self._server.connections.run(self._guarded(Incoming(self, event)))

    async def _guarded(self, tunnel: Incoming) -> None:
        authority = tunnel.request.authority
        try:
            await self._server.serve(tunnel)
        except HboneError as error:
            tunnel.fail(error.status)
            self._refused(f"CONNECT {authority}: {error}")
        except Exception:
            log.exception("! CONNECT %s: unexpected error", authority)
            tunnel.fail(503)

    def close_when_idle(self) -> None:
        """Draining: end the connection once no tunnel is left."""

        def look() -> None:
            if not self.peer.is_closed:
                if self.peer.engine.streams:
                    self.peer.reactor.wheel.after(_LOOK_SECONDS, look)
                else:
                    self.peer.farewell()

        self.peer.reactor.wheel.after(_LOOK_SECONDS, look)
