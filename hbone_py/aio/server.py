"""serve(): the one call a library user needs to accept tunnels."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Self

from hbone_py.aio.headers import encoded
from hbone_py.aio.peer import Peer
from hbone_py.aio.reactor import Reactor
from hbone_py.aio.tcp import Listener, listening_socket
from hbone_py.aio.transport import TcpTransport
from hbone_py.aio.tunnel_stream import TunnelStream
from hbone_py.errors import HboneError, LocalProtocolError
from hbone_py.header_blocks import STATUS_200
from hbone_py.tls.context import TlsSettings, server_context
from hbone_py.tls.verify import verify_inbound

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from hbone_py import events as ev
    from hbone_py.aio.headers import Headers
    from hbone_py.aio.tcp import SocketAddress, SocketOptions
    from hbone_py.aio.wheel import Timer
    from hbone_py.config import Deadlines, Http2Config, Keepalive
    from hbone_py.connect import ConnectRequest
    from hbone_py.identity import SpiffeId
    from hbone_py.tls.context import TlsContext
    from hbone_py.tls.credentials import Credentials

log = logging.getLogger(__name__)

_LOOK = 0.25
"""Seconds between looks at a connection that drains."""


class IncomingTunnel:
    """A tunnel somebody asks for. Answer it once: `accept` or `reject`. It lives as long as its handler runs."""

    def __init__(self, peer: Peer, event: ev.TunnelRequested) -> None:
        self.request: ConnectRequest = event.request
        self.connection = peer
        self._stream = TunnelStream(peer, event.stream)
        self._raw = event.stream
        self.is_answered = False

    @property
    def peer(self) -> SpiffeId | None:
        """Who asks: the first SPIFFE identity of the client's certificate."""
        return self.connection.identity

    async def accept(self, headers: Headers = ()) -> TunnelStream:
        """Say 200 and carry bytes. Raises LocalProtocolError for headers that cannot be sent, or a second answer."""
        block = STATUS_200 + encoded(headers)
        self._check_unanswered()
        self.is_answered = True
        if self._raw.stream_id in self.connection.engine.streams:
            self.connection.engine.accept_tunnel(self._raw, block)
            self.connection.reactor.touch(self.connection)
        return self._stream

    async def reject(self, status: int) -> None:
        """Say something else. Raises LocalProtocolError when it was answered already."""
        self._check_unanswered()
        self.fail(status)

    def _check_unanswered(self) -> None:
        if self.is_answered:
            raise LocalProtocolError(f"the tunnel to {self.request.authority} is answered already")

    async def finish(self) -> None:
        """The handler is done: what it has not ended by now ends in peace."""
        if self.is_answered:
            await self._stream.aclose()
        else:
            self.fail()

    def fail(self, status: int = HboneError.status) -> None:
        """The handler broke: `status` before the answer, a reset after it."""
        if self.is_answered:
            self._stream.abort()
            return
        self.is_answered = True
        self.connection.engine.reject_tunnel(self._raw, status)
        self.connection.reactor.touch(self.connection)


class Server:
    """Accepts HBONE connections and starts `handler` for every tunnel. An async context manager."""

    def __init__(
        self,
        handler: Callable[[IncomingTunnel], Awaitable[None]],
        listener_socket: socket.socket,
        context: TlsContext,
        *,
        trust_domain: str | None,
        config: Http2Config | None,
        deadlines: Deadlines | None,
        keepalive: Keepalive | None,
    ) -> None:
        self._handler = handler
        self._context = context
        self._trust_domain = trust_domain
        self._config, self._deadlines, self._keepalive = config, deadlines, keepalive
        self._reactor = Reactor.current()
        self._peers: set[Peer] = set()
        self._empty = asyncio.Event()
        self._looking: Timer | None = None
        self._group = asyncio.TaskGroup()
        self._handlers: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None]
        self._listener = Listener(self._reactor, listener_socket, self._accepted)
        self.host, self.port = self._listener.address

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._peers)

    async def drain(self, seconds: float) -> bool:
        """Stop accepting, say GOAWAY, wait for open tunnels at most `seconds`; True if all ended by themselves."""
        self._listener.close()
        for peer in list(self._peers):
            peer.drain()
        self._looking = self._reactor.wheel.after(_LOOK, self._see_off_the_idle)
        try:
            async with asyncio.timeout(seconds):
                while self._peers:
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            await self.aclose()
            return False
        await self.aclose()
        return True

    async def aclose(self) -> None:
        """Close everything now: open tunnels are lost, handlers that still run are cancelled.

        A handler may call it too: it does not wait for its own end, which comes at its next wait.
        """
        self._listener.close()
        if self._looking is not None:
            self._looking.cancel()
        for peer in list(self._peers):
            peer.close()
        self._keeper.cancel()
        if asyncio.current_task() not in self._handlers:
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def _keep_tasks(self, started: asyncio.Event) -> None:
        """The parent of every handler; lives as long as the server."""
        async with self._group:
            started.set()
            await asyncio.get_running_loop().create_future()

    def _accepted(self, sock: socket.socket, address: SocketAddress) -> None:
        peer = Peer(
            self._reactor,
            TcpTransport(self._reactor, sock, address),
            self._context,
            self,
            check=lambda found: verify_inbound(found, self._trust_domain),
            config=self._config,
            deadlines=self._deadlines,
            keepalive=self._keepalive,
        )
        self._peers.add(peer)
        peer.start()

    async def _guarded(self, tunnel: IncomingTunnel) -> None:
        try:
            await self._handler(tunnel)
            await tunnel.finish()
        except asyncio.CancelledError:
            tunnel.fail()
            raise
        except HboneError as error:
            log.info("tunnel to %s failed: %s", tunnel.request.authority, error)
            tunnel.fail(error.status)
        except Exception:
            log.exception("! tunnel to %s: unexpected error", tunnel.request.authority)
            tunnel.fail()

    # PeerOwner

    def peer_secured(self, peer: Peer) -> None:
        """Servers open no tunnels."""

    def peer_up(self, peer: Peer) -> None:
        """A client is there."""

    def peer_closed(self, peer: Peer, error: HboneError | None) -> None:
        """A client is gone, or was never let in."""
        self._peers.discard(peer)
        self._empty.set()
        if error is not None and not peer.is_up:
            log.warning("connection from %s refused: %s", peer.transport, error)

    def request_refused(self, peer: Peer, event: ev.RequestRefused) -> None:
        """Something that is no tunnel was asked for."""
        log.info("request from %s refused: %s", peer.transport, event.reason)

    def peer_draining(self, peer: Peer) -> None:
        """The client says GOAWAY; its tunnels go on."""

    def tunnel_requested(self, peer: Peer, event: ev.TunnelRequested) -> None:
        """Start the handler."""
        tunnel = IncomingTunnel(peer, event)
        task = self._group.create_task(self._guarded(tunnel), name=f"tunnel {event.request.authority}")
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)

    def _see_off_the_idle(self) -> None:
        """While draining: clients without open tunnels are asked to leave, again and again until all have."""
        for peer in list(self._peers):
            if not peer.engine.streams:
                peer.farewell()
        self._looking = self._reactor.wheel.after(_LOOK, self._see_off_the_idle)


async def serve(
    handler: Callable[[IncomingTunnel], Awaitable[None]],
    host: str,
    port: int = 15008,
    *,
    credentials: Credentials,
    trust_domain: str | None = None,
    tls: TlsSettings | None = None,
    config: Http2Config | None = None,
    deadlines: Deadlines | None = None,
    keepalive: Keepalive | None = None,
    options: SocketOptions | None = None,
) -> Server:
    """Accept HBONE on `host`:`port` (0: any free port, see `Server.port`) and run `handler` for every tunnel.

    Clients must show a certificate our roots vouch for, with a SPIFFE identity in `trust_domain` (default: our own
    certificate's). Raises OSError when the address cannot be bound.
    """
    if trust_domain is None and credentials.identity is not None:
        trust_domain = credentials.identity.trust_domain
    context = server_context(credentials, tls or TlsSettings())
    server = Server(
        handler,
        listening_socket(host, port, options=options, keepalive=False),
        context,
        trust_domain=trust_domain,
        config=config,
        deadlines=deadlines,
        keepalive=keepalive,
    )
    started = asyncio.Event()
    loop = asyncio.get_running_loop()
    server._keeper = loop.create_task(server._keep_tasks(started), name=f"server {host}:{server.port}")
    try:
        await started.wait()
    except BaseException:
        await server.aclose()
        raise
    return server
