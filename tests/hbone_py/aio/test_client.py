"""connect(), open_connection(), connect_over(): what a library user calls, and what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

import hbone_py
from hbone_py.aio.plain_relay import relay
from hbone_py.aio.tcp_stream import TcpStream
from hbone_py.config import KIB, Deadlines, Http2Config
from hbone_py.errors import (
    BadConnect,
    ConnectionClosing,
    ConnectionFailed,
    ConnectionLost,
    ConnectReplyTimeout,
    ConnectTimeout,
    ErrorCode,
    HboneError,
    LocalProtocolError,
    PeerIdentityError,
    SettingsTimeout,
    StreamReset,
    TlsError,
    TlsTimeout,
    TooManyStreams,
    TunnelRefused,
)
from hbone_py.identity import SpiffeId
from tests.support.peers import credentials_of
from tests.support.processes import free_port, loopback_address
from tests.support.raw_peer import server_tls
from tests.support.sockets import dialled, turns, until
from tests.support.streams import read_exactly, read_to_end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from hbone_py.aio.reactor import Reactor
    from tests.support.certificates import MeshCertificates

AUTHORITY = "10.0.0.1:8080"


async def echo(tunnel: hbone_py.IncomingTunnel) -> None:
    stream = await tunnel.accept({"who": str(tunnel.peer)})
    while chunk := await stream.receive():
        await stream.send(chunk)


@contextlib.asynccontextmanager
async def serving(
    certificates: MeshCertificates, handler: Callable[[hbone_py.IncomingTunnel], Awaitable[None]] = echo, **how: object
) -> AsyncIterator[hbone_py.Server]:
    credentials = credentials_of(certificates.server)
    async with await hbone_py.serve(handler, "127.0.0.1", 0, credentials=credentials, **how) as server:  # type: ignore[arg-type]
        yield server


@pytest.fixture(name="mine")
def _mine(certificates: MeshCertificates) -> hbone_py.Credentials:
    return credentials_of(certificates.client)


@pytest.fixture(name="theirs")
def _theirs(certificates: MeshCertificates) -> SpiffeId:
    return SpiffeId.parse(certificates.server.identity)


# As the docstrings say ----------------------------------------------------------------------------------------------


async def test_one_tunnel_over_a_connection_of_its_own(
    reactor: Reactor, certificates: MeshCertificates, mine: hbone_py.Credentials, theirs: SpiffeId
) -> None:
    async with serving(certificates) as server:
        stream = await hbone_py.connect(
            server.host, server.port, authority=AUTHORITY, credentials=mine, expect=[theirs], headers={"baggage": "a=b"}
        )
        assert stream.response_headers == [(b"who", certificates.client.identity.encode())]
        await stream.send(b"GET / HTTP/1.1\r\n\r\n")
        await stream.send_eof()
        assert await read_to_end(stream) == b"GET / HTTP/1.1\r\n\r\n"
        await stream.aclose()
        await until(lambda: server.connections == 0, "the connection closed with its tunnel")


async def test_many_tunnels_over_one_connection(
    reactor: Reactor, certificates: MeshCertificates, mine: hbone_py.Credentials
) -> None:
    async with (
        serving(certificates) as server,
        await hbone_py.open_connection(server.host, server.port, credentials=mine) as connection,
    ):
        streams = [await connection.open_tunnel(AUTHORITY) for _ in range(5)]
        for number, stream in enumerate(streams):
            await stream.send(b"%d" % number)
        assert [await stream.receive() for stream in streams] == [b"0", b"1", b"2", b"3", b"4"]
        assert server.connections == 1


async def test_a_host_may_be_a_name(
    reactor: Reactor, certificates: MeshCertificates, mine: hbone_py.Credentials
) -> None:
    async with serving(certificates) as server:
        await (await hbone_py.open_connection("localhost", server.port, credentials=mine)).aclose()


async def test_the_server_sees_the_request(
    reactor: Reactor, certificates: MeshCertificates, mine: hbone_py.Credentials
) -> None:
    seen: list[tuple[str, bytes | None]] = []

    async def note(tunnel: hbone_py.IncomingTunnel) -> None:
        seen.append((tunnel.request.authority, tunnel.request.get(b"x-note")))
        await tunnel.reject(404)

    async with (
        serving(certificates, note) as server,
        await hbone_py.open_connection(server.host, server.port, credentials=mine) as connection,
    ):
        with pytest.raises(TunnelRefused):
            await connection.open_tunnel("service.example:80", [("X-Note", "hello")])
    assert seen == [("service.example:80", b"hello")]


# What goes wrong ----------------------------------------------------------------------------------------------------


async def test_nobody_listens(reactor: Reactor, mine: hbone_py.Credentials) -> None:
    host = loopback_address()
    with pytest.raises(ConnectionFailed, match="Connection refused"):
        await hbone_py.open_connection(host, free_port(host), credentials=mine)


async def test_a_name_that_does_not_exist(
    reactor: Reactor, mine: hbone_py.Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nothing, raising=False)
    with pytest.raises(ConnectionFailed, match=r"no address of nowhere\.invalid: Name or service not known"):
        await hbone_py.open_connection("nowhere.invalid", credentials=mine)


@pytest.mark.parametrize(
    ("step", "error", "words"),
    [
        ("connect", ConnectTimeout, "connection timed out"),
        ("tls", TlsTimeout, "TLS handshake timed out"),
        ("settings", SettingsTimeout, "no SETTINGS"),
        ("reply", ConnectReplyTimeout, "no answer to CONNECT 10.0.0.1:8080 in time"),
    ],
)
async def test_each_step_has_a_deadline_of_its_own(
    reactor: Reactor, certificates: MeshCertificates, mine: hbone_py.Credentials, step: str, error: type, words: str
) -> None:
    deadlines = Deadlines(**{step: 0.0})
    async with silent_at(step, certificates) as address:
        with pytest.raises(error, match=words):
            await hbone_py.connect(*address, authority=AUTHORITY, credentials=mine, deadlines=deadlines)


@contextlib.asynccontextmanager
async def silent_at(step: str, certificates: MeshCertificates) -> AsyncIterator[tuple[str, int]]:
    """A server that goes as far as `step` and no further."""
    never = asyncio.Event()

    async def wait(_: hbone_py.IncomingTunnel) -> None:
        await never.wait()

    if step == "reply":
        async with serving(certificates, wait) as server:
            yield server.host, server.port
        return
    with socket.create_server((loopback_address(), 0), backlog=0 if step == "connect" else 5) as listener:
        fillers = [socket.socket() for _ in range(4)] if step == "connect" else []
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        if step == "settings":
            async with tls_only(listener, certificates):
                yield listener.getsockname()
        else:
            yield listener.getsockname()
        for filler in fillers:
            filler.close()


@contextlib.asynccontextmanager
async def tls_only(listener: socket.socket, certificates: MeshCertificates) -> AsyncIterator[None]:
    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(hold, sock=listener.dup(), ssl=server_tls(certificates.server))
    yield
    server.close()
    for writer in writers:
        writer.transport.abort()
    await server.wait_closed()


async def test_a_server_of_another_name(
    reactor: Reactor, certificates: MeshCertificates, mine: hbone_py.Credentials
) -> None:
    somebody = SpiffeId.parse("spiffe://cluster.local/ns/default/sa/somebody-else")
    async with serving(certificates) as server:
        with pytest.raises(PeerIdentityError, match="somebody-else"):
            await hbone_py.open_connection(server.host, server.port, credentials=mine, expect=[somebody])
        with pytest.raises(PeerIdentityError):
            await hbone_py.open_connection(server.host, server.port, credentials=mine, expect=[])


async def test_a_client_nobody_knows(reactor: Reactor, certificates: MeshCertificates) -> None:
    stranger = hbone_py.Credentials.from_files(
        certificates.stranger.chain, certificates.stranger.key, certificates.server.roots
    )
    async with serving(certificates) as server:
        with pytest.raises(TlsError, match="alert"):
            await hbone_py.open_connection(server.host, server.port, credentials=stranger)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 503])
async def test_a_refusal_has_its_status(
    reactor: Reactor, certificates: MeshCertificates, mine: hbone_py.Credentials, status: int
) -> None:
    async def refuse(tunnel: hbone_py.IncomingTunnel) -> None:
        await tunnel.reject(status)

    async with (
        serving(certificates, refuse) as server,
        await hbone_py.open_connection(server.host, server.port, credentials=mine) as connection,
    ):
        with pytest.raises(TunnelRefused, match=str(status)) as refusal:
            await connection.open_tunnel(AUTHORITY)
        assert refusal.value.answered == status


async def test_a_refused_connect_closes_its_connection(
    reactor: Reactor, certificates: MeshCertificates, mine: hbone_py.Credentials
) -> None:
    async def refuse(tunnel: hbone_py.IncomingTunnel) -> None:
        await tunnel.reject(403)

    async with serving(certificates, refuse) as server:
        with pytest.raises(TunnelRefused):
            await hbone_py.connect(server.host, server.port, authority=AUTHORITY, credentials=mine)
        await until(lambda: server.connections == 0, "the connection closed")


@pytest.mark.parametrize("authority", ["", "host", "host:", "host:0x1", "host:70000", "höst:80", "a b:80", ":80"])
async def test_an_authority_that_names_nothing(
    reactor: Reactor, certificates: MeshCertificates, mine: hbone_py.Credentials, authority: str
) -> None:
    async with (
        serving(certificates) as server,
        await hbone_py.open_connection(server.host, server.port, credentials=mine) as connection,
    ):
        with pytest.raises(BadConnect):
            await connection.open_tunnel(authority)
        with pytest.raises(LocalProtocolError):
            await connection.open_tunnel(AUTHORITY, {"connection": "close"})
        await connection.open_tunnel(AUTHORITY)


async def test_no_more_tunnels_than_the_peer_allows(
    reactor: Reactor, certificates: MeshCertificates, mine: hbone_py.Credentials
) -> None:
    async with (
        serving(certificates, config=Http2Config(max_concurrent_streams=2)) as server,
        await hbone_py.open_connection(server.host, server.port, credentials=mine) as connection,
    ):
        first, _ = await connection.open_tunnel(AUTHORITY), await connection.open_tunnel(AUTHORITY)
        with pytest.raises(TooManyStreams, match="2"):
            await connection.open_tunnel(AUTHORITY)
        await first.aclose()
        await connection.open_tunnel(AUTHORITY)


async def test_a_connection_that_is_over_opens_nothing(
    reactor: Reactor, certificates: MeshCertificates, mine: hbone_py.Credentials
) -> None:
    async with serving(certificates) as server:
        connection = await hbone_py.open_connection(server.host, server.port, credentials=mine)
        stream = await connection.open_tunnel(AUTHORITY)
        await connection.aclose()
        await connection.aclose()
        with pytest.raises(ConnectionClosing):
            await connection.open_tunnel(AUTHORITY)
        with pytest.raises(ConnectionLost):
            await stream.receive()


async def test_a_handler_that_breaks_is_a_reset(
    reactor: Reactor, certificates: MeshCertificates, mine: hbone_py.Credentials, caplog: pytest.LogCaptureFixture
) -> None:
    async def break_down(tunnel: hbone_py.IncomingTunnel) -> None:
        await (await tunnel.accept()).receive()
        raise RuntimeError("broken")

    async with serving(certificates, break_down) as server:
        stream = await hbone_py.connect(server.host, server.port, authority=AUTHORITY, credentials=mine)
        await stream.send(b"x")
        with pytest.raises(StreamReset) as reset:
            await stream.receive()
        await stream.aclose()
    assert reset.value.code == ErrorCode.INTERNAL_ERROR
    assert "unexpected error" in caplog.text


# Endings ------------------------------------------------------------------------------------------------------------


async def test_what_was_sent_before_the_close_arrives(
    reactor: Reactor, certificates: MeshCertificates, mine: hbone_py.Credentials
) -> None:
    """More than the sockets hold, to a reader that takes its time."""
    heard: list[bytes] = []
    start = asyncio.Event()

    async def slow(tunnel: hbone_py.IncomingTunnel) -> None:
        stream = await tunnel.accept()
        await start.wait()
        heard.append(await read_to_end(stream))

    async with serving(certificates, slow) as server:
        stream = await hbone_py.connect(server.host, server.port, authority=AUTHORITY, credentials=mine)
        await stream.send(bytes(12_000 * KIB))
        await stream.aclose()
        start.set()
        await until(lambda: heard, "heard")
        assert len(heard[0]) == 12_000 * KIB


async def test_an_aborted_tunnel_takes_its_connection_along(
    reactor: Reactor, certificates: MeshCertificates, mine: hbone_py.Credentials
) -> None:
    async with serving(certificates) as server:
        stream = await hbone_py.connect(server.host, server.port, authority=AUTHORITY, credentials=mine)
        stream.abort()
        await until(lambda: server.connections == 0, "the connection closed")
    assert not reactor.open_sockets


@pytest.mark.parametrize("looks", [0, 1, 2, 3, 5, 8, 13, 21])
async def test_a_cancelled_connect_leaves_nothing(
    reactor: Reactor, certificates: MeshCertificates, mine: hbone_py.Credentials, looks: int
) -> None:
    """At whatever step it is: the name, TCP, TLS, SETTINGS, the answer."""
    never = asyncio.Event()

    async def wait(_: hbone_py.IncomingTunnel) -> None:
        await never.wait()

    async with serving(certificates, wait) as server:

        async def connect() -> None:
            await hbone_py.connect(server.host, server.port, authority=AUTHORITY, credentials=mine)

        connecting = asyncio.get_running_loop().create_task(connect())
        await turns(looks)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        await until(lambda: reactor.open_sockets == 1, "only the listener left")
        assert server.connections == 0


async def test_a_cancelled_open_tunnel_resets_its_stream(
    reactor: Reactor, certificates: MeshCertificates, mine: hbone_py.Credentials
) -> None:
    told: list[str] = []

    async def wait(tunnel: hbone_py.IncomingTunnel) -> None:
        told.append("asked")
        stream = tunnel._stream
        with contextlib.suppress(HboneError):
            await stream.receive()
        told.append(str(stream._error))

    async with (
        serving(certificates, wait) as server,
        await hbone_py.open_connection(server.host, server.port, credentials=mine) as connection,
    ):
        opening = asyncio.get_running_loop().create_task(connection.open_tunnel(AUTHORITY))
        await until(lambda: told, "asked")
        opening.cancel()
        await until(lambda: len(told) == 2, "told")
        assert told[1] == "stream reset by the peer: CANCEL"
        assert not connection.peer.engine.streams


# A tunnel in a tunnel -----------------------------------------------------------------------------------------------


async def test_a_connection_over_a_tunnel_that_has_ended_fails_at_once(
    reactor: Reactor, certificates: MeshCertificates, mine: hbone_py.Credentials
) -> None:
    async def end(tunnel: hbone_py.IncomingTunnel) -> None:
        await (await tunnel.accept()).send_eof()

    async with serving(certificates, end) as server:
        carrier = await hbone_py.connect(server.host, server.port, authority=AUTHORITY, credentials=mine)
        assert await carrier.receive() == b""
        with pytest.raises(HboneError):
            await hbone_py.connect_over(carrier, credentials=mine)
        await carrier.aclose()


async def test_the_loss_of_the_outer_tunnel_is_the_loss_of_the_inner_ones(
    reactor: Reactor, certificates: MeshCertificates, mine: hbone_py.Credentials
) -> None:
    async with serving(certificates) as inner:

        async def gateway(tunnel: hbone_py.IncomingTunnel) -> None:
            onward = TcpStream(reactor, dialled(inner.host, inner.port))
            try:
                await relay(await tunnel.accept(), onward)
            finally:
                await onward.aclose()

        async with serving(certificates, gateway) as outer:
            carrier = await hbone_py.connect(outer.host, outer.port, authority="inner:15008", credentials=mine)
            connection = await hbone_py.connect_over(carrier, credentials=mine)
            stream = await connection.open_tunnel(AUTHORITY)
            await stream.send(b"hello")
            assert await read_exactly(stream, 5) == b"hello"
            carrier.abort()
            with pytest.raises(ConnectionLost):
                await stream.receive()
            await until(lambda: inner.connections == 0, "the inner server told")
