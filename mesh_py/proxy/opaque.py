"""Bytes that nobody looks into, carried both ways: on the reactor where both ends are sockets or tunnels, by coroutines
where one end is TLS."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from hbone_py.aio.relay import Relay
from hbone_py.aio.splice import Splice
from hbone_py.aio.tcp_stream import TcpStream
from hbone_py.aio.tunnel_stream import TunnelStream
from hbone_py.errors import ConnectionLost, ErrorCode, HboneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.aio.reactor import Reactor
    from hbone_py.aio.tls_stream import TlsStream
    from mesh_py.proxy.first_words import FirstWords

    AnyStream = TcpStream | TlsStream | TunnelStream


class Carried(NamedTuple):
    """Bytes of both directions, and what ended them."""

    sent: int
    """From the client to the server."""
    received: int
    """Back."""
    error: HboneError | None = None


class Knife:
    """Ends what is being carried, from outside: both sides see a reset."""

    __slots__ = ("cut",)

    def __init__(self) -> None:
        self.cut: Callable[[HboneError], None] = lambda _: None
        """Why is what the carrying ends with."""


async def carry(
    reactor: Reactor,
    downstream: AnyStream,
    upstream: AnyStream,
    knife: Knife | None = None,
    words: FirstWords | None = None,
) -> Carried:
    """Carry both directions to their ends; then both streams are over. A reset of one becomes one of the other.

    `words`: what of the client's `upstream` has got already, if that is a tunnel.
    """
    knife = knife or Knife()
    if isinstance(downstream, TcpStream) and isinstance(upstream, TcpStream):
        return await _splice(reactor, downstream, upstream, knife)
    if isinstance(downstream, TcpStream) and isinstance(upstream, TunnelStream):
        return await _relay(downstream, upstream, knife, words)
    if isinstance(downstream, TunnelStream) and isinstance(upstream, TcpStream):
        sent, received, error = await _relay(upstream, downstream, knife, None)
        return Carried(received, sent, error)
    return await _copy(downstream, upstream, knife, words)


async def _splice(reactor: Reactor, downstream: TcpStream, upstream: TcpStream, knife: Knife) -> Carried:
    over: asyncio.Future[Carried] = asyncio.get_running_loop().create_future()

    def done(splice: Splice, error: HboneError | None) -> None:
        if not over.done():
            over.set_result(Carried(splice.sent, splice.received, error))

    splice = Splice(reactor, downstream.release(), upstream.release(), done)
    knife.cut = splice.finish
    splice.start()
    return await _until(over, lambda: splice.finish(_CUT))


async def _relay(application: TcpStream, tunnel: TunnelStream, knife: Knife, words: FirstWords | None) -> Carried:
    over: asyncio.Future[Carried] = asyncio.get_running_loop().create_future()

    def done(relay: Relay, error: HboneError | None) -> None:
        if not over.done():
            over.set_result(Carried(relay.sent, relay.received, error))

    peer, stream = tunnel.release()
    relay = Relay(peer, stream, application.release() if words is None else application.sock, done)
    knife.cut = lambda error: relay.cut(error, ErrorCode.CANCEL)
    relay.start(*(words.hand_on() if words is not None else ()))
    return await _until(over, lambda: relay.cut(_CUT, ErrorCode.CANCEL))


_CUT = ConnectionLost("connection closed due to connection drain")


async def _until(over: asyncio.Future[Carried], cut: Callable[[], None]) -> Carried:
    try:
        return await over
    except asyncio.CancelledError:
        cut()
        raise


async def _copy(downstream: AnyStream, upstream: AnyStream, knife: Knife, words: FirstWords | None) -> Carried:
    """As `hbone_py.relay`, for streams of which TLS ends its direction by close_notify, as Envoy does."""
    counts = [0, 0]
    error: HboneError | None = None
    causes: list[HboneError] = []
    try:
        if words is not None:
            counts[0], _ = words.hand_on()
        async with asyncio.TaskGroup() as both:
            ways = [
                both.create_task(_one_way(downstream, upstream, counts, 0)),
                both.create_task(_one_way(upstream, downstream, counts, 1)),
            ]
            knife.cut = partial(_cut, ways, causes)
        if causes:
            raise causes[0]
        await downstream.aclose()
        await upstream.aclose()
    except BaseException as failure:
        downstream.abort()
        upstream.abort()
        error = _first(failure)
        if error is None:
            raise
    return Carried(counts[0], counts[1], error)


def _cut(ways: list[asyncio.Task[None]], causes: list[HboneError], error: HboneError) -> None:
    causes.append(error)
    for way in ways:
        way.cancel()


def _first(failure: BaseException) -> HboneError | None:
    if isinstance(failure, BaseExceptionGroup):
        return _first(failure.exceptions[0])
    return failure if isinstance(failure, HboneError) else None


async def _one_way(source: AnyStream, sink: AnyStream, counts: list[int], index: int) -> None:
    while chunk := await source.receive():
        await sink.send(chunk)
        counts[index] += len(chunk)
    if isinstance(sink, TcpStream | TunnelStream):
        await sink.send_eof()
    else:
        await sink.send_close_notify()
