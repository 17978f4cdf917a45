"""Every kind of stream keeps one contract: TCP, a tunnel, a tunnel in a tunnel."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

import hbone_py
from hbone_py.aio import stream as stream_module
from hbone_py.aio.copy import relay
from hbone_py.aio.stream import TcpStream, TunnelStream
from hbone_py.config import KIB, Http2Config
from hbone_py.errors import ConnectionLost, HboneError
from tests.support.peers import credentials_of
from tests.support.sockets import Buffers, dialled, tcp_pair, until
from tests.support.streams import HALF_CLOSEABLE, waiting
from tests.support.tcp_apps import payload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from hbone_py.aio.reactor import Reactor
    from tests.support.certificates import MeshCertificates
    from tests.support.streams import Question, StreamPair

    PairMaker = Callable[[Reactor, MeshCertificates], AbstractAsyncContextManager[StreamPair]]

CONFIG = Http2Config(stream_window=64 * KIB, connection_window=256 * KIB)
AUTHORITY = "10.0.0.1:8080"


@contextlib.asynccontextmanager
async def tcp_streams(reactor: Reactor, _: MeshCertificates) -> AsyncIterator[StreamPair]:
    near, far = (TcpStream(reactor, sock) for sock in tcp_pair(Buffers(64 * KIB, 64 * KIB)))
    yield near, far
    await near.aclose()
    await far.aclose()


@contextlib.asynccontextmanager
async def accepting(
    certificates: MeshCertificates,
) -> AsyncIterator[tuple[hbone_py.Server, asyncio.Queue[hbone_py.TunnelStream]]]:
    """A server that accepts all it is asked for; the streams come by the queue."""
    accepted: asyncio.Queue[hbone_py.TunnelStream] = asyncio.Queue()
    never = asyncio.Event()

    async def accept(tunnel: hbone_py.IncomingTunnel) -> None:
        await accepted.put(await tunnel.accept())
        await never.wait()

    credentials = credentials_of(certificates.server)
    async with await hbone_py.serve(accept, "127.0.0.1", 0, credentials=credentials, config=CONFIG) as server:
        yield server, accepted
        never.set()


@contextlib.asynccontextmanager
async def tunnels(_: Reactor, certificates: MeshCertificates) -> AsyncIterator[StreamPair]:
    async with accepting(certificates) as (server, accepted):
        near = await hbone_py.connect(
            server.host,
            server.port,
            authority=AUTHORITY,
            credentials=credentials_of(certificates.client),
            config=CONFIG,
        )
        yield near, await accepted.get()
        await near.aclose()


@contextlib.asynccontextmanager
async def nested_tunnels(reactor: Reactor, certificates: MeshCertificates) -> AsyncIterator[StreamPair]:
    """The outer tunnel ends at a gateway that carries its bytes on to the inner server, over TCP."""
    credentials = credentials_of(certificates.client)
    async with accepting(certificates) as (inner, accepted):

        async def gateway(tunnel: hbone_py.IncomingTunnel) -> None:
            onward = TcpStream(reactor, dialled(inner.host, inner.port))
            with contextlib.suppress(HboneError):
                await relay(await tunnel.accept(), onward)
            await onward.aclose()

        own = credentials_of(certificates.server)
        async with await hbone_py.serve(gateway, "127.0.0.1", 0, credentials=own, config=CONFIG) as outer:
            carrier = await hbone_py.connect(
                outer.host, outer.port, authority="inner.example:15008", credentials=credentials, config=CONFIG
            )
            async with await hbone_py.connect_over(carrier, credentials=credentials, config=CONFIG) as connection:
                near = await connection.open_tunnel(AUTHORITY)
                yield near, await accepted.get()
                await near.aclose()
            await carrier.aclose()


KINDS: dict[str, PairMaker] = {"tcp": tcp_streams, "tunnel": tunnels, "nested tunnel": nested_tunnels}


@pytest.mark.parametrize("turned", [False, True], ids=["", "turned"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("question", HALF_CLOSEABLE, ids=lambda question: question.__name__)
async def test_contract(
    reactor: Reactor, certificates: MeshCertificates, kind: str, question: Question, turned: bool
) -> None:
    async with asyncio.timeout(20), KINDS[kind](reactor, certificates) as (left, right):
        await (question(right, left) if turned else question(left, right))
    await until(lambda: not reactor.open_sockets, "every socket closed")
    assert reactor.ledger.used == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_who_is_called_back_gets_all_without_waiting(
    reactor: Reactor, certificates: MeshCertificates, kind: str
) -> None:
    async with asyncio.timeout(20), KINDS[kind](reactor, certificates) as (left, right):
        seen: list[bytes] = []
        assert isinstance(right, TcpStream | TunnelStream)

        def read() -> None:
            while (data := right.receive_now(1000)) is not None:
                seen.append(data)
                if not data:
                    right.on_data = None
                    return

        right.on_data = read
        assert right.receive_now() is None
        await left.send(payload(300 * KIB))
        await left.send_eof()
        await until(lambda: b"" in seen, "the end")
        assert b"".join(seen) == payload(300 * KIB)


@pytest.mark.parametrize("kind", KINDS)
async def test_who_is_called_back_learns_of_a_reset(
    reactor: Reactor, certificates: MeshCertificates, kind: str
) -> None:
    async with asyncio.timeout(20), KINDS[kind](reactor, certificates) as (left, right):
        errors: list[HboneError] = []
        assert isinstance(right, TcpStream | TunnelStream)

        def read() -> None:
            try:
                right.receive_now()
            except HboneError as error:
                errors.append(error)

        right.on_data = read
        left.abort()
        await until(lambda: bool(errors), "the reset")
        right.on_data = None


@pytest.mark.parametrize("is_read", [True, False], ids=["read late", "never read"])
async def test_what_arrived_can_still_be_read_when_the_connection_is_lost(
    reactor: Reactor, certificates: MeshCertificates, monkeypatch: pytest.MonkeyPatch, is_read: bool
) -> None:
    monkeypatch.setattr(stream_module, "LEFTOVER_SECONDS", 0)
    said = payload(20_000)
    async with asyncio.timeout(20), tunnels(reactor, certificates) as (left, right):
        assert isinstance(right, TunnelStream)
        await left.send(said)
        await until(lambda: right._stream.unread == len(said), "all of it arrived")
        right.peer.close()
        if is_read:
            read = bytearray()
            while len(read) < len(said):
                read += await right.receive()
            assert read == said
        await until(lambda: not reactor.ledger.used, "nothing held")
        with pytest.raises(ConnectionLost):
            await right.receive()


# A TCP stream before anybody knows what is spoken on it


async def test_a_look_takes_nothing(reactor: Reactor) -> None:
    near, far = (TcpStream(reactor, sock) for sock in tcp_pair())
    await near.send(b"GET ")
    assert await far.peek() == b"GET "
    looking = await waiting(far.peek(4))
    await near.send(b"/ HTTP/1.1")
    assert await looking == b"GET / HTTP/1.1"
    assert await far.receive() == b"GET / HTTP/1.1"
    await near.aclose()
    assert await far.peek() == b""
    await far.aclose()


async def test_a_look_ends_where_nothing_more_can_come(reactor: Reactor) -> None:
    near, far = (TcpStream(reactor, sock) for sock in tcp_pair())
    await near.send(b"PRI")
    looking = await waiting(far.peek(3))
    await near.send_eof()
    assert await looking == b"PRI"
    near.abort()
    await far.aclose()


async def test_a_socket_given_away_has_all_that_was_looked_at(reactor: Reactor) -> None:
    near, far = (TcpStream(reactor, sock) for sock in tcp_pair())
    await near.send(b"hello")
    await far.peek()
    again = TcpStream(reactor, far.release())
    assert await again.receive() == b"hello"
    with pytest.raises(HboneError):
        await far.send(b"x")
    await again.aclose()
    await near.aclose()


async def test_an_end_that_came_with_the_last_bytes_is_seen(reactor: Reactor) -> None:
    """A short read empties the kernel, and the edge of the end is the only word of it."""
    near, far = tcp_pair()
    stream = TcpStream(reactor, near)
    far.sendall(b"all")
    far.close()
    async with asyncio.timeout(10):
        assert [await stream.receive(), await stream.receive()] == [b"all", b""]
    await stream.aclose()
