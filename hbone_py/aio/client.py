"""connect(): the one call a library user needs to open a tunnel; `open_connection` for many over one connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Self

from hbone_py.aio.headers import encoded
from hbone_py.aio.peer import Peer
from hbone_py.aio.reactor import Reactor
from hbone_py.aio.tcp import SocketOptions, canonical, connect_soon, outgoing_socket, show
from hbone_py.aio.transport import TcpTransport, TunnelTransport
from hbone_py.aio.tunnel_stream import TunnelStream
from hbone_py.config import Deadlines, Http2Config, Keepalive
from hbone_py.connect import parse_authority
from hbone_py.errors import (
    ConnectionFailed,
    ConnectionLost,
    ConnectReplyTimeout,
    ConnectTimeout,
    ErrorCode,
    HboneError,
)
from hbone_py.header_blocks import connect_block
from hbone_py.tls.context import TlsSettings, client_context
from hbone_py.tls.verify import verify_outbound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hbone_py import events as ev
    from hbone_py.aio.headers import Headers
    from hbone_py.aio.owners import IdentityCheck, PeerOwner
    from hbone_py.aio.tcp import Connecting, SocketAddress
    from hbone_py.aio.transport import Transport
    from hbone_py.identity import SpiffeId
    from hbone_py.tls.context import TlsContext
    from hbone_py.tls.credentials import Credentials


class Dial:
    """TCP, then a peer over it: one attempt, reported to `owner` (its `connect_failed` when TCP fails)."""

    def __init__(
        self, reactor: Reactor, make: Callable[[Transport], Peer], failed: Callable[[HboneError], None]
    ) -> None:
        self._reactor, self._make, self._failed = reactor, make, failed
        self._connecting: Connecting | None = None
        self._peer: Peer | None = None
        self._address: SocketAddress = ("", 0)

    def start(self, address: SocketAddress, options: SocketOptions, seconds: float, source: str | None = None) -> None:
        """Begin to connect, from the address `source` if one is given. A neighbour's answer is told within the call."""
        self._address = address
        try:
            sock = outgoing_socket(address, options, source)
        except OSError as error:
            self._failed(ConnectionFailed(f"io error: {error.strerror}: {show(address)}"))
            return
        self._connecting = connect_soon(self._reactor, sock, address, self, seconds)

    def take(self, sock: socket.socket, address: SocketAddress) -> None:
        """Go on with a connected, non-blocking socket; `address` is whom it counts as leading to."""
        self._address = address
        self.connected(sock)

    def cancel(self) -> None:
        """Give up."""
        if self._peer is not None:
            self._peer.close()
        elif self._connecting is not None:
            self._connecting.cancel()

    def connected(self, sock: socket.socket) -> None:
        """TCP is up."""
        self._connecting = None
        try:
            self._peer = self._make(TcpTransport(self._reactor, sock, self._address))
        except Exception as error:
            sock.close()
            if not isinstance(error, HboneError):
                self._reactor.report(self, error)
                error = HboneError(f"unexpected error: {error!r}")
            self._failed(error)
            return
        self._peer.start()

    def connect_failed(self, error: HboneError) -> None:
        """TCP is not."""
        self._connecting = None
        self._failed(error)


def expecting(identities: Iterable[SpiffeId] | None) -> IdentityCheck:
    """A check that the peer is one of `identities`; None takes anyone our roots vouch for."""
    expected = None if identities is None else tuple(identities)

    def check(found: tuple[SpiffeId, ...]) -> None:
        if expected is not None:
            verify_outbound(found, expected)

    return check


class Connection:
    """A client's HBONE connection: `open_tunnel` as often as the peer allows. An async context manager."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._up: asyncio.Future[Peer] = asyncio.get_running_loop().create_future()
        self._closed = asyncio.Event()
        self.peer: Peer

    async def open_tunnel(self, authority: str, headers: Headers = ()) -> TunnelStream:
        """CONNECT to `authority` (`ip:port` or `host:port`).

        Raises TunnelRefused for any answer but 200, TooManyStreams at the peer's limit, ConnectionClosing after its
        GOAWAY, ConnectReplyTimeout, and what may end a stream; BadConnect and LocalProtocolError for an authority
        or headers that cannot be sent.
        """
        parse_authority(authority)
        block = connect_block(authority.encode(), encoded(headers))
        tunnel = TunnelStream(self.peer, self.peer.engine.open_tunnel(block))
        self.peer.reactor.touch(self.peer)
        try:
            async with asyncio.timeout(self._deadlines.reply):
                await tunnel.opened()
        except TimeoutError as error:
            tunnel.abort(ErrorCode.CANCEL)
            raise ConnectReplyTimeout(f"no answer to CONNECT {authority} in time") from error
        except BaseException:
            tunnel.abort(ErrorCode.CANCEL)
            raise
        return tunnel

    async def aclose(self) -> None:
        """End once the peer has read all we sent: GOAWAY, close_notify, FIN. Open tunnels are lost."""
        self.peer.farewell()
        try:
            await self._closed.wait()
        finally:
            self.peer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _wait(self) -> None:
        self.peer = await self._up

    # PeerOwner

    def peer_secured(self, peer: Peer) -> None:
        """Tunnels are opened once its SETTINGS are here."""

    def peer_up(self, peer: Peer) -> None:
        """Ready for tunnels."""
        if not self._up.done():
            self._up.set_result(peer)

    def peer_closed(self, peer: Peer | None, error: HboneError | None) -> None:
        """It ended, or never came up."""
        self._closed.set()
        if not self._up.done():
            self._up.set_exception(error or ConnectionLost("connection closed"))

    def peer_draining(self, peer: Peer) -> None:
        """GOAWAY: `open_tunnel` raises ConnectionClosing from now on."""

    def tunnel_requested(self, peer: Peer, event: ev.TunnelRequested) -> None:
        """Servers open no tunnels."""

    def request_refused(self, peer: Peer, event: ev.RequestRefused) -> None:
        """Clients are asked for nothing."""


async def open_connection(
    host: str,
    port: int = 15008,
    *,
    credentials: Credentials,
    expect: Iterable[SpiffeId] | None = None,
    tls: TlsSettings | None = None,
    config: Http2Config | None = None,
    deadlines: Deadlines | None = None,
    keepalive: Keepalive | None = None,
    options: SocketOptions | None = None,
) -> Connection:
    """TCP, TLS, HTTP/2: returns once the peer's SETTINGS are here.

        async with await hbone_py.open_connection("10.0.0.7", credentials=mine, expect=[theirs]) as connection:
            stream = await connection.open_tunnel("10.0.0.7:8080")

    `expect` names the SPIFFE identities the peer may have; None takes anyone our roots vouch for.
    Raises ConnectionFailed, TlsHandshakeError, PeerIdentityError, RemoteProtocolError, or the DeadlineExceeded of the
    step that took too long.
    """
    deadlines = deadlines or Deadlines()
    context = client_context(credentials, tls or TlsSettings())
    connection = Connection(deadlines)
    reactor = Reactor.current()
    address = await resolved(host, port, deadlines.connect)

    def make(transport: Transport) -> Peer:
        return _peer(reactor, transport, context, connection, expect, config, deadlines, keepalive)

    dial = Dial(reactor, make, lambda error: connection.peer_closed(None, error))
    dial.start(address, options or SocketOptions(), deadlines.connect)
    try:
        await connection._wait()
    except BaseException:
        dial.cancel()
        raise
    return connection


async def resolved(host: str, port: int, seconds: float) -> SocketAddress:
    """The address of `host`, which may be one already."""
    with contextlib.suppress(ValueError):
        return str(ip_address(host)), port
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise ConnectTimeout(f"no address of {host} in time") from error
    except OSError as error:
        raise ConnectionFailed(f"no address of {host}: {error.strerror or error}") from error
    return canonical(found[0][4])  # type: ignore[arg-type]  # of two or four, as the families we ask for have it


async def connect_over(
    tunnel: TunnelStream,
    *,
    credentials: Credentials,
    expect: Iterable[SpiffeId] | None = None,
    tls: TlsSettings | None = None,
    config: Http2Config | None = None,
    deadlines: Deadlines | None = None,
) -> Connection:
    """An HBONE connection inside an open tunnel: double HBONE (hbone-dataplane 2.8). Raises as `open_connection`."""
    deadlines = deadlines or Deadlines()
    connection = Connection(deadlines)
    context = client_context(credentials, tls or TlsSettings())
    transport = TunnelTransport(tunnel.peer, tunnel._stream)
    peer = _peer(tunnel.peer.reactor, transport, context, connection, expect, config, deadlines, None)
    peer.start()
    try:
        await connection._wait()
    except BaseException:
        peer.close()
        raise
    return connection


def _peer(
    reactor: Reactor,
    transport: Transport,
    context: TlsContext,
    owner: PeerOwner,
    expect: Iterable[SpiffeId] | None,
    config: Http2Config | None,
    deadlines: Deadlines,
    keepalive: Keepalive | None,
) -> Peer:
    return Peer(
        reactor,
        transport,
        context,
        owner,
        check=expecting(expect),
        config=config,
        deadlines=deadlines,
        keepalive=keepalive,
    )


async def connect(
    host: str,
    port: int = 15008,
    *,
    authority: str,
    credentials: Credentials,
    headers: Headers = (),
    expect: Iterable[SpiffeId] | None = None,
    tls: TlsSettings | None = None,
    config: Http2Config | None = None,
    deadlines: Deadlines | None = None,
) -> TunnelStream:
    """One tunnel over one connection of its own, which closes when the tunnel does.

    Raises as `open_connection` and `Connection.open_tunnel`.

        stream = await hbone_py.connect("10.0.0.7", authority="10.0.0.7:8080", credentials=mine, expect=[theirs])
        await stream.send(b"GET / HTTP/1.1\\r\\n\\r\\n")
    """
    connection = await open_connection(
        host, port, credentials=credentials, expect=expect, tls=tls, config=config, deadlines=deadlines
    )
    try:
        tunnel = await connection.open_tunnel(authority, headers)
    except BaseException:
        await connection.aclose()
        raise
    tunnel.carrier = connection
    return tunnel
