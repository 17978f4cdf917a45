"""serve(): handlers, drain and the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING

import pytest

import hbone_py
from hbone_py.config import KIB, Http2Config
from hbone_py.errors import (
    ConnectionFailed,
    ConnectionLost,
    HboneError,
    LocalProtocolError,
    StreamReset,
    TlsConfigError,
    TunnelRefused,
)
from hbone_py.tls.context import TlsSettings
from tests.support.peers import credentials_of
from tests.support.processes import loopback_address
from tests.support.sockets import turns, until
from tests.support.streams import read_to_end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from hbone_py.aio.reactor import Reactor
    from tests.support.certificates import MeshCertificates

    Handler = Callable[[hbone_py.IncomingTunnel], Awaitable[None]]

AUTHORITY = "10.0.0.1:8080"


class World:
    """A server whose handler the test brings, and connections to it."""

    def __init__(self, certificates: MeshCertificates) -> None:
        self.certificates = certificates
        self.stack = contextlib.AsyncExitStack()
        self.server: hbone_py.Server

    async def serve(self, handler: Handler, host: str = "127.0.0.1", port: int = 0, **how: object) -> hbone_py.Server:
        credentials = credentials_of(self.certificates.server)
        server = await hbone_py.serve(handler, host, port, credentials=credentials, **how)  # type: ignore[arg-type]
        self.server = await self.stack.enter_async_context(server)
        return server

    async def connect(self) -> hbone_py.Connection:
        credentials = credentials_of(self.certificates.client)
        connection = await hbone_py.open_connection(self.server.host, self.server.port, credentials=credentials)
        return await self.stack.enter_async_context(connection)


@pytest.fixture(name="world")
async def _world(reactor: Reactor, certificates: MeshCertificates) -> AsyncIterator[World]:
    world = World(certificates)
    async with world.stack:
        yield world


# Handlers -----------------------------------------------------------------------------------------------------------


async def test_a_handler_knows_who_asks_for_what(world: World) -> None:
    asked: list[object] = []

    async def note(tunnel: hbone_py.IncomingTunnel) -> None:
        asked.extend([str(tunnel.peer), tunnel.request.authority, tunnel.request.get(b"baggage")])
        await (await tunnel.accept()).send_eof()

    await world.serve(note)
    stream = await (await world.connect()).open_tunnel(AUTHORITY, {"baggage": "a=b"})
    assert await stream.receive() == b""
    assert asked == [world.certificates.client.identity, AUTHORITY, b"a=b"]


async def test_what_a_handler_leaves_open_ends_with_it(world: World) -> None:
    async def say(tunnel: hbone_py.IncomingTunnel) -> None:
        await (await tunnel.accept()).send(b"the last word")

    await world.serve(say)
    connection = await world.connect()
    stream = await connection.open_tunnel(AUTHORITY)
    assert await read_to_end(stream) == b"the last word"
    await until(lambda: not connection.peer.engine.streams, "the stream over")


@pytest.mark.parametrize(
    ("error", "status"), [(None, 503), (RuntimeError("broken"), 503), (ConnectionFailed("no application"), 503)]
)
async def test_a_handler_that_does_not_answer_is_a_refusal(
    world: World, caplog: pytest.LogCaptureFixture, error: Exception | None, status: int
) -> None:
    async def give_up(_: hbone_py.IncomingTunnel) -> None:
        if error is not None:
            raise error

    caplog.set_level(logging.INFO)
    await world.serve(give_up)
    with pytest.raises(TunnelRefused) as refusal:
        await (await world.connect()).open_tunnel(AUTHORITY)
    assert refusal.value.answered == status
    assert error is None or str(error) in caplog.text


@pytest.mark.parametrize("second", ["accept", "reject"])
async def test_there_is_one_answer(world: World, second: str) -> None:
    found: list[Exception] = []

    async def answer_twice(tunnel: hbone_py.IncomingTunnel) -> None:
        stream = await tunnel.accept()
        try:
            await (tunnel.accept() if second == "accept" else tunnel.reject(503))
        except LocalProtocolError as error:
            found.append(error)
        await stream.send_eof()

    await world.serve(answer_twice)
    await (await world.connect()).open_tunnel(AUTHORITY)
    await until(lambda: found, "the second answer refused")


async def test_one_may_accept_a_tunnel_that_was_given_up(world: World) -> None:
    gone = asyncio.Event()
    errors: list[HboneError] = []

    async def too_late(tunnel: hbone_py.IncomingTunnel) -> None:
        await gone.wait()
        stream = await tunnel.accept()
        try:
            await stream.receive()
        except HboneError as error:
            errors.append(error)

    await world.serve(too_late)
    connection = await world.connect()
    opening = asyncio.get_running_loop().create_task(connection.open_tunnel(AUTHORITY))
    await until(lambda: connection.peer.engine.streams, "asked")
    await turns()
    opening.cancel()
    await turns()
    gone.set()
    await until(lambda: errors, "told")
    assert isinstance(errors[0], StreamReset)


async def test_handlers_run_beside_each_other(world: World) -> None:
    both = asyncio.Barrier(3)

    async def meet(tunnel: hbone_py.IncomingTunnel) -> None:
        await tunnel.accept()
        async with asyncio.timeout(10):
            await both.wait()

    await world.serve(meet)
    connection = await world.connect()
    for _ in range(3):
        await connection.open_tunnel(AUTHORITY)
    await until(lambda: not connection.peer.engine.streams, "all three met")


# Who may come in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("who", "is_welcome"), [("client", True), ("alien", False), ("stranger", False)])
async def test_only_our_trust_domain_comes_in(
    world: World, caplog: pytest.LogCaptureFixture, who: str, is_welcome: bool
) -> None:
    async def accept(tunnel: hbone_py.IncomingTunnel) -> None:
        await tunnel.accept()

    server = await world.serve(accept)
    files = getattr(world.certificates, who)
    credentials = hbone_py.Credentials.from_files(files.chain, files.key, world.certificates.server.roots)
    with contextlib.nullcontext() if is_welcome else pytest.raises(HboneError):
        await (await hbone_py.open_connection(server.host, server.port, credentials=credentials)).aclose()
    assert ("refused" in caplog.text) is not is_welcome


async def test_another_trust_domain_may_be_named(world: World) -> None:
    async def accept(tunnel: hbone_py.IncomingTunnel) -> None:
        await tunnel.accept()

    server = await world.serve(accept, trust_domain="other.example")
    files = world.certificates.alien
    credentials = credentials_of(files)
    await (await hbone_py.open_connection(server.host, server.port, credentials=credentials)).aclose()
    with pytest.raises(HboneError):
        await world.connect()


# Beginning ----------------------------------------------------------------------------------------------------------


async def test_an_address_in_use_is_said_so(world: World) -> None:
    async def accept(tunnel: hbone_py.IncomingTunnel) -> None:
        await tunnel.accept()

    with socket.create_server((loopback_address(), 0)) as taken, pytest.raises(OSError, match="in use"):
        await world.serve(accept, *taken.getsockname())


async def test_settings_that_cannot_be_kept_bind_nothing(
    world: World, reactor: Reactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def accept(tunnel: hbone_py.IncomingTunnel) -> None:
        await tunnel.accept()

    with pytest.raises(TlsConfigError):
        await world.serve(accept, tls=TlsSettings(suites=("TLS_NO_SUCH_SUITE",)))
    assert reactor.open_sockets == 0


async def test_cancelled_while_it_begins_it_leaves_nothing(world: World, reactor: Reactor) -> None:
    async def accept(tunnel: hbone_py.IncomingTunnel) -> None:
        await tunnel.accept()

    beginning = asyncio.get_running_loop().create_task(world.serve(accept))
    await asyncio.sleep(0)
    beginning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beginning
    assert reactor.open_sockets == 0


# Drain and end ------------------------------------------------------------------------------------------------------


async def echo(tunnel: hbone_py.IncomingTunnel) -> None:
    stream = await tunnel.accept()
    while chunk := await stream.receive():
        await stream.send(chunk)
    await stream.send_eof()


async def test_a_drain_waits_for_open_tunnels(world: World) -> None:
    server = await world.serve(echo)
    stream = await (await world.connect()).open_tunnel(AUTHORITY)
    draining = asyncio.get_running_loop().create_task(server.drain(10))
    await turns()
    await stream.send(b"still here")
    assert await stream.receive() == b"still here"
    await stream.send_eof()
    assert await read_to_end(stream) == b""
    assert await draining is True
    assert server.connections == 0


async def test_a_drain_refuses_new_connections_and_new_tunnels(world: World) -> None:
    server = await world.serve(echo)
    connection = await world.connect()
    stream = await connection.open_tunnel(AUTHORITY)
    draining = asyncio.get_running_loop().create_task(server.drain(10))
    await until(lambda: connection.peer.engine.peer_goaway is not None, "GOAWAY read")
    with pytest.raises(HboneError):
        await connection.open_tunnel(AUTHORITY)
    with pytest.raises(ConnectionFailed):
        await world.connect()
    await stream.aclose()
    assert await draining is True


async def test_a_drain_has_an_end(world: World) -> None:
    server = await world.serve(echo)
    stream = await (await world.connect()).open_tunnel(AUTHORITY)
    assert await server.drain(0.0) is False
    with pytest.raises(ConnectionLost):
        await stream.receive()


async def test_a_drain_with_nobody_there_is_over_at_once(world: World) -> None:
    server = await world.serve(echo)
    assert await server.drain(10) is True


async def test_closing_ends_everything_handlers_included(world: World, reactor: Reactor) -> None:
    cancelled: list[str] = []

    async def wait_for_something_else(tunnel: hbone_py.IncomingTunnel) -> None:
        await tunnel.accept()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(tunnel.request.authority)
            raise

    server = await world.serve(wait_for_something_else)
    stream = await (await world.connect()).open_tunnel(AUTHORITY)
    await server.aclose()
    await server.aclose()
    assert cancelled == [AUTHORITY]
    with pytest.raises(ConnectionLost):
        await stream.receive()


async def test_a_handler_may_close_its_server(world: World) -> None:
    async def close(tunnel: hbone_py.IncomingTunnel) -> None:
        await tunnel.accept()
        await server.aclose()

    server = await world.serve(close)
    connection = await world.connect()
    with pytest.raises(ConnectionLost):  # with the 200 or behind it
        await (await connection.open_tunnel(AUTHORITY)).receive()


async def test_nobody_reads_and_nobody_waits_for_ever(world: World) -> None:
    """A handler that sends to a client that does not read holds one window, and is told of the end."""
    ends: list[HboneError] = []

    async def flood(tunnel: hbone_py.IncomingTunnel) -> None:
        stream = await tunnel.accept()
        try:
            while True:
                await stream.send(bytes(64 * KIB))
        except HboneError as error:
            ends.append(error)

    await world.serve(flood, config=Http2Config())
    connection = await world.connect()
    stream = await connection.open_tunnel(AUTHORITY)
    await until(lambda: connection.peer.engine.unread == 16 * 1024 * KIB, "a window full")
    await stream.aclose()
    await until(lambda: ends, "the flood told")
