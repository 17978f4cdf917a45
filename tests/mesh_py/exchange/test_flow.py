"""Bodies that pass by plain calls: as long as they like, both ways at once, each stopped by whoever reads it slowly."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.reactor import Reactor
from hbone_py.aio.tcp_stream import TcpStream
from mesh_py.exchange.downstream import Downstream
from mesh_py.exchange.lifetimes import serve
from mesh_py.exchange.passage import Limits
from mesh_py.exchange.pool import Pool
from mesh_py.http.codec_h1 import H1Server
from mesh_py.http.retry import DEFAULT_POLICY
from mesh_py.process.background import background
from tests.mesh_py.exchange.test_lane import ANSWERS, Handler, get, send
from tests.mesh_py.telemetry.test_requests import Taken
from tests.support.processes import eventually, settled
from tests.support.sockets import tcp_pair
from tests.support.tcp_apps import TcpApp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.tcp_apps import Behaviour, Connection

    Conversation = Callable[[TcpStream, TcpApp], Awaitable[None]]

DEFAULT = Limits(DEFAULT_POLICY)


async def hasty(connection: Connection) -> None:
    """Answers as soon as it has a head, and reads no further. Whoever still sends hears what it said."""
    seen = b""
    with contextlib.suppress(ConnectionError):
        while data := await connection.receive():
            seen += data
            if b"\r\n\r\n" in seen:
                await connection.send(ANSWERS.get(seen.split()[1].decode(), ANSWERS["/ok"])[0])
                seen = b""


async def serving(client: Conversation, behaviour: Behaviour, limits: Limits = DEFAULT) -> tuple[Handler, Taken]:
    """A client on a connection of its own, in front of a server that is connected already."""
    pool, taken = Pool(Reactor.current().wheel), Taken()
    async with TcpApp(behaviour) as app, background(pool.serve()):
        await asyncio.sleep(0)
        handler = Handler(taken, pool, (app.host, app.port), limits)
        await send(handler, (get("/ok"),))
        near, far = tcp_pair()
        downstream = Downstream(TcpStream(Reactor.current(), far), H1Server(), handler, Reactor.current().wheel)
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            tasks.create_task(serve(downstream))
            stream = TcpStream(Reactor.current(), near)
            await client(stream, app)
            await stream.aclose()
    assert handler.tasks == ["GET /ok", ""]
    return handler, taken


GREAT = 24_000_000
"""More than all sockets between two ends take together."""


async def test_a_client_that_reads_slowly_stops_the_server() -> None:
    sent = 0

    async def pours(connection: Connection) -> None:
        nonlocal sent
        await connection.receive()
        await connection.send(ANSWERS["/ok"][0])
        await connection.receive()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % GREAT)
        while sent < GREAT:
            await connection.send(bytes(100_000))
            sent += 100_000

    async def reads_late(stream: TcpStream, _: TcpApp) -> None:
        await stream.send(get("/great"))
        await settled(lambda: sent)
        assert sent < GREAT
        seen = b""
        while len(seen) < GREAT:
            seen += await stream.receive(1 << 20)
        assert seen.endswith(bytes(GREAT))

    _, taken = await serving(reads_late, pours)
    assert f' 200 - via_upstream - "-" 0 {GREAT} ' in taken.lines[-1]


async def test_a_server_that_reads_slowly_stops_the_client() -> None:
    gate, sent = asyncio.Event(), 0

    async def takes_late(connection: Connection) -> None:
        await connection.receive()
        await connection.send(ANSWERS["/ok"][0])
        seen = await connection.receive()
        await gate.wait()
        while not seen.endswith(b"end"):
            seen = await connection.receive()
        await connection.send(ANSWERS["/ok"][0])
        await connection.receive()

    async def sends_much(stream: TcpStream, app: TcpApp) -> None:
        async def pour() -> None:
            nonlocal sent
            for _ in range(GREAT // 100_000):
                await stream.send(bytes(100_000))
                sent += 100_000
            await stream.send(b"end")

        await stream.send(get("/great", "POST", f"Content-Length: {GREAT + 3}\r\n"))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pour())
            await settled(lambda: sent)
            assert sent < GREAT
            gate.set()
        assert (await stream.receive()).startswith(b"HTTP/1.1 200")
        assert app.connections[0].received > GREAT

    _, taken = await serving(sends_much, takes_late)
    assert f' 200 - via_upstream - "-" {GREAT + 3} 2 ' in taken.lines[-1]


async def test_both_bodies_go_on_side_by_side() -> None:
    async def echo_chunks(connection: Connection) -> None:
        await connection.receive()
        await connection.send(ANSWERS["/ok"][0])
        seen = await connection.receive()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        seen = seen.partition(b"\r\n\r\n")[2]
        while not seen.endswith(b"0\r\n\r\n"):
            await connection.send(seen)
            seen = await connection.receive()
        await connection.send(seen)
        await connection.receive()

    async def talks(stream: TcpStream, _: TcpApp) -> None:
        await stream.send(get("/talk", "POST", "Transfer-Encoding: chunked\r\n"))
        for said in (b"one", b"two", b"three"):
            await stream.send(b"%x\r\n%b\r\n" % (len(said), said))
            while said not in await stream.receive():
                pass
        await stream.send(b"0\r\n\r\n")
        while not (await stream.receive()).endswith(b"0\r\n\r\n"):
            pass

    _, taken = await serving(talks, echo_chunks)
    assert ' 200 - via_upstream - "-" 11 11 ' in taken.lines[-1]


@pytest.mark.parametrize("path", ["/ok", "/chunked", "/busy"])
async def test_an_answer_before_the_request_is_whole_ends_it(path: str) -> None:
    async def sends_half(stream: TcpStream, _: TcpApp) -> None:
        await stream.send(get(path, "POST", "Content-Length: 100000\r\n") + bytes(5000))
        seen = b""
        while data := await stream.receive():
            seen += data
        assert seen.endswith((b"ok", b"busy", b"\r\n0\r\nx-t: 1\r\n\r\n"))

    handler, taken = await serving(sends_half, hasty)
    assert handler.ends[-1] == (503 if path == "/busy" else 200)
    assert ' - via_upstream - "-" 5000 ' in taken.lines[-1]


@pytest.mark.parametrize("said", [None, b"no\r\n"], ids=["leaves", "says nonsense"])
async def test_a_client_that_breaks_its_body_off_is_let_go(said: bytes | None) -> None:
    gone = asyncio.Event()

    async def listens(connection: Connection) -> None:
        await connection.receive()
        await connection.send(ANSWERS["/ok"][0])
        with contextlib.suppress(ConnectionError):
            while await connection.receive():
                pass
        gone.set()

    async def leaves(stream: TcpStream, app: TcpApp) -> None:
        before = app.connections[0].received
        await stream.send(get("/ok", "POST", "Transfer-Encoding: chunked\r\n") + b"5\r\nhello\r\n")
        await eventually(lambda: app.connections[0].received > before, "it is on its way")
        if said is None:
            await stream.aclose()
        else:
            await stream.send(said)
            assert (await stream.receive()).startswith(b"HTTP/1.1 400")
        await gone.wait()

    handler, taken = await serving(leaves, listens)
    assert handler.ends == [200, None]
    assert (" 0 DC " if said is None else " 0 DPE ") in taken.lines[-1]
