"""Connecting on a way that was decided: TCP, Istio's mutual TLS, an HBONE tunnel in a shared connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509

from hbone_py.aio.client import Dial, expecting, resolved
from hbone_py.aio.dialling import connect_tcp
from hbone_py.aio.peer import Peer
from hbone_py.aio.tcp_stream import TcpStream
from hbone_py.aio.tls_handshake import shake_hands, shake_hands_inside
from hbone_py.aio.tls_stream import TlsStream
from hbone_py.aio.tunnel_stream import TunnelStream
from hbone_py.connect import parse_traceparent
from hbone_py.errors import (
    ConnectionClosing,
    ConnectReplyTimeout,
    ErrorCode,
    HboneError,
    StreamReset,
    TlsHandshakeError,
)
from hbone_py.header_blocks import connect_block, literal
from mesh_py.proxy import istio_tls
from mesh_py.proxy.ways import Hbone, MutualTls, Secured
from mesh_py.rpc.server_name import sni, verify_server
from mesh_py.telemetry.own_baggage import baggage_of

if TYPE_CHECKING:
    import socket

    from hbone_py.aio.owners import PeerOwner
    from hbone_py.aio.pool import Attempt
    from hbone_py.aio.tcp import SocketAddress
    from hbone_py.aio.transport import Transport
    from mesh_py.identity.certificates import Contexts
    from mesh_py.proxy.context import AnyContext
    from mesh_py.proxy.first_words import FirstWords
    from mesh_py.proxy.ways import Way

AnyStream = TcpStream | TlsStream | TunnelStream
Reached = TcpStream | TunnelStream

_TRIES = 2
"""How often a tunnel is asked for where the peer says that it has not looked at the request (RFC 9113 8.7)."""


class Alpn(NamedTuple):
    """What a client of TLS offers for what it is going to say."""

    istio: tuple[bytes, ...]
    """To a sidecar."""
    own: tuple[bytes, ...]
    """To an application."""


FOR_HTTP1 = Alpn(istio_tls.HTTP1, (b"http/1.1",))
FOR_HTTP2 = Alpn(istio_tls.HTTP2, (b"h2",))
FOR_TCP = Alpn(istio_tls.TCP, ())


async def connect(
    context: AnyContext, way: Way, alpn: Alpn, trace: str = "", words: FirstWords | None = None
) -> AnyStream:
    """A stream to the other end; a tunnel tells `trace`, a `traceparent`, and `words`. Raises HboneError."""
    return await begin(context, way, await reach(context, way, trace, words), alpn)


async def reach(context: AnyContext, way: Way, trace: str = "", words: FirstWords | None = None) -> Reached:
    """The other end is there, and has been told nothing yet of what is going to be said, unless by `words`.

    Raises HboneError.
    """
    if isinstance(way, Secured):  # nothing of the client's goes in the clear
        return await reach(context, way.way, trace)
    if isinstance(way, Hbone):
        return await open_tunnel(context, way, trace, words)
    return TcpStream(context.reactor, await connect_socket(context, way.address))


async def begin(context: AnyContext, way: Way, reached: Reached, alpn: Alpn) -> AnyStream:
    """What was reached, ready for what `alpn` says: hands are shaken where TLS is spoken. Raises HboneError."""
    if isinstance(way, Secured):
        return await _originate(context, way, reached, alpn)
    if not isinstance(way, MutualTls):
        return reached
    assert isinstance(reached, TcpStream), "mutual TLS is spoken over TCP"
    try:
        sides = context.istio_tls.sides(await context.contexts())
    except BaseException:
        reached.abort()
        raise
    return await shake_hands(
        reached.release(),
        sides.client,
        check=expecting(way.expect),
        seconds=context.settings.deadlines.tls,
        server_name=way.server_name,
        alpn=alpn.istio,
    )


async def _originate(context: AnyContext, way: Secured, reached: Reached, alpn: Alpn) -> TlsStream:
    """TLS of the application's kind; who answers must have one of the names. Raises HboneError."""
    try:
        ours = context.originated.context(way.tls)
    except BaseException:
        reached.abort()
        raise
    name, seconds = sni(way.server_name), context.settings.deadlines.tls
    if isinstance(reached, TunnelStream):
        stream = await shake_hands_inside(reached, ours, seconds=seconds, server_name=name, alpn=alpn.own)
    else:
        sock = reached.release()
        stream = await shake_hands(sock, ours, check=lambda _: None, seconds=seconds, server_name=name, alpn=alpn.own)
    try:
        _judge(stream.tls.peer_leaf_der, way.expect)
    except HboneError:
        stream.abort()
        raise
    return stream


def _judge(leaf_der: bytes, accepted: tuple[str, ...]) -> None:
    """Raises PeerIdentityError, TlsHandshakeError."""
    if not accepted:
        return
    try:
        leaf = x509.load_der_x509_certificate(leaf_der)
    except Exception as error:  # the library raises many kinds, and all mean: not readable
        raise TlsHandshakeError(f"the server's certificate cannot be read: {error}") from error
    verify_server(leaf, accepted)


async def connect_socket(context: AnyContext, address: SocketAddress, source: str | None = None) -> socket.socket:
    """Plain TCP, from our pod's address unless `source` says otherwise. Names are looked up."""
    settings = context.settings
    address = await resolved(*address, settings.deadlines.connect)
    own = source or context.source_address(address[0])
    return await connect_tcp(address, settings.socket_options, settings.deadlines.connect, own)


async def open_tunnel(
    context: AnyContext, way: Hbone, trace: str = "", words: FirstWords | None = None
) -> TunnelStream:
    """A tunnel, in a connection that is shared with others who go the same way. Raises HboneError."""
    baggage = literal(b"baggage", str(baggage_of(context.workload)).encode())
    if parse_traceparent(trace.encode("latin-1")):
        baggage += literal(b"traceparent", trace.encode("ascii"))
    block = connect_block(way.authority.encode("ascii"), baggage)
    tries = 0
    while True:
        tries += 1
        peer = await _peer(context, way)
        try:
            return await _ask(context, peer, way, block, words)
        except (ConnectionClosing, StreamReset) as error:
            refused = isinstance(error, ConnectionClosing) or error.code == ErrorCode.REFUSED_STREAM
            if not refused or tries >= _TRIES:
                raise


async def _ask(context: AnyContext, peer: Peer, way: Hbone, block: bytes, words: FirstWords | None) -> TunnelStream:
    tunnel = TunnelStream(peer, peer.engine.open_tunnel(block))
    peer.reactor.touch(peer)
    try:
        if words is not None:
            words.follow(tunnel)
        async with asyncio.timeout(context.settings.deadlines.reply):
            await tunnel.opened()
    except TimeoutError as error:
        _give_up(tunnel, words)
        raise ConnectReplyTimeout(f"no answer to CONNECT {way.authority} in time") from error
    except BaseException:
        _give_up(tunnel, words)
        raise
    return tunnel


def _give_up(tunnel: TunnelStream, words: FirstWords | None) -> None:
    tunnel.abort(ErrorCode.CANCEL)
    if words is not None:
        words.stop()


async def _peer(context: AnyContext, way: Hbone) -> Peer:
    """A connection with room, connecting if need be."""
    key = (way.next_hop, way.expect)
    peer = context.peers.checkout(key)
    if peer is not None:
        return peer
    contexts = await context.contexts()
    found: asyncio.Future[Peer] = asyncio.get_running_loop().create_future()

    def ready(one: Peer) -> None:
        if not found.done():
            found.set_result(one)

    def failed(error: HboneError) -> None:
        if not found.done():
            found.set_exception(error)

    context.peers.request(key, lambda owner: _dial(context, way, contexts, owner), ready, failed)
    return await found


def _dial(context: AnyContext, way: Hbone, contexts: Contexts, owner: PeerOwner) -> Attempt:
    settings = context.settings

    def make(transport: Transport) -> Peer:
        return Peer(
            context.reactor,
            transport,
            contexts.client,
            owner,
            check=expecting(way.expect),
            config=settings.http2,
            deadlines=settings.deadlines,
        )

    def failed(error: HboneError) -> None:
        owner.peer_closed(None, error)  # type: ignore[arg-type]

    dial = Dial(context.reactor, make, failed)
    source = context.source_address(way.next_hop[0])
    dial.start(way.next_hop, settings.socket_options, settings.deadlines.connect, source)
    return dial
