"""The transport by itself: two links on one TCP connection, then openssl's client; protocols note what they hear."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, cast

import pytest

from hbone_py.errors import PeerIdentityError
from hbone_py.tls import TlsEngine, TlsSettings
from mesh_py.rpc.contexts import client_context, server_context
from mesh_py.rpc.roots import Roots
from mesh_py.rpc.tls import LinkLimits, TlsLink
from tests.support.processes import eventually
from tests.support.rpc import credentials_of
from tests.support.sockets import TIGHT, close_all, tcp_pair, turns

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20


class Noting(asyncio.Protocol):
    """The protocol above: keeps what comes, and the order of what happens."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.data = bytearray()
        self.transport: asyncio.Transport
        self.error: BaseException | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.heard.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> None:
        self.heard.append("eof")

    def pause_writing(self) -> None:
        self.heard.append("pause")

    def resume_writing(self) -> None:
        self.heard.append("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.error = exc
        self.heard.append("lost")


class Side:
    """One end (LinkOwner)."""

    def __init__(self) -> None:
        self.above = Noting()
        self.link: TlsLink
        self.is_up = False
        self.losses: list[BaseException | None] = []

    def link_up(self, link: TlsLink) -> None:
        self.is_up = True

    def link_lost(self, link: TlsLink, error: BaseException | None) -> None:
        self.losses.append(error)

    @property
    def is_lost(self) -> bool:
        return bool(self.losses)


@pytest.fixture(autouse=True)
def _close_sockets():
    yield
    close_all()


@pytest.fixture
async def join(server_files, root):
    """Start either end over a socket."""
    loop = asyncio.get_running_loop()
    sides: list[Side] = []

    async def start(
        sock: socket.socket,
        *,
        is_server: bool,
        limits: LinkLimits | None = None,
        check: Callable[[TlsEngine], None] = lambda engine: None,
    ) -> Side:
        side = Side()
        if is_server:
            context = server_context(credentials_of(server_files), TlsSettings())
        else:
            context = client_context("localhost", Roots(str(root.roots)), TlsSettings())
        side.link = TlsLink(context, lambda: side.above, side, check=check, limits=limits)
        await loop.create_connection(lambda: side.link, sock=sock)
        sides.append(side)
        return side

    yield start
    for side in sides:
        side.link.abort()
    await eventually(lambda: all(side.is_lost for side in sides), "every link ended")
    await turns()  # uvloop closes sockets a turn later
    assert all(len(side.losses) == 1 for side in sides)


@pytest.fixture
async def pair(join):
    """A client and a server, both up."""
    near, far = tcp_pair(TIGHT)
    server, client = await join(far, is_server=True), await join(near, is_server=False)
    await eventually(lambda: client.is_up and server.is_up, "both up")
    return client, server


async def test_bytes_go_both_ways(pair):
    client, server = pair
    client.above.transport.write(b"question")
    server.above.transport.write(b"answer")
    await eventually(lambda: (client.above.data, server.above.data) == (b"answer", b"question"), "both there")
    assert client.link.engine.suite == "TLS_AES_256_GCM_SHA384"
    assert client.above.transport.get_extra_info("peername") == server.above.transport.get_extra_info("sockname")


async def test_megabytes_arrive_as_they_were(pair):
    client, server = pair
    sent = bytes(range(256)) * 16384
    client.above.transport.write(sent[: 3 * MIB])
    client.above.transport.write(sent[3 * MIB :])
    await eventually(lambda: len(server.above.data) == len(sent), "all there")
    assert server.above.data == sent
    assert client.above.heard[-1] == "resume"


async def test_a_reader_that_pauses_holds_the_writer_up(pair):
    client, server = pair
    server.above.transport.pause_reading()
    server.above.transport.pause_reading()
    while client.above.heard[-1] != "pause":
        client.above.transport.write(bytes(65536))
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert server.above.data == b""
    assert client.above.transport.get_write_buffer_size() > 0
    server.above.transport.resume_reading()
    server.above.transport.resume_reading()
    await eventually(lambda: client.above.heard[-1] == "resume", "the writer goes on")
    await eventually(lambda: client.above.transport.get_write_buffer_size() == 0, "all taken")


async def test_a_reader_may_pause_in_the_middle_of_what_came(pair):
    """What was decrypted already waits inside, and comes first."""
    client, server = pair
    chunks: list[int] = []

    def take(data: bytes) -> None:
        chunks.append(len(data))
        server.above.data += data
        server.above.transport.pause_reading()

    server.above.data_received = take
    sent = bytes(range(256)) * 1024
    client.above.transport.write(sent)
    known = 0
    while len(server.above.data) < len(sent):
        await eventually(lambda: len(chunks) > known, "another piece")  # noqa: B023
        known = len(chunks)
        server.above.transport.resume_reading()
    assert server.above.data == sent


async def test_a_close_is_told_from_a_cut(pair):
    client, server = pair
    client.above.transport.write(b"last words")
    client.above.transport.close()
    client.above.transport.close()
    client.above.transport.write(b"nobody hears this")
    await eventually(lambda: server.is_lost and client.is_lost, "both ended")
    assert server.above.data == b"last words"
    assert server.above.heard == ["made", "eof", "lost"]
    assert server.above.error is None
    assert client.above.heard == ["made", "lost"]
    assert client.above.error is None


async def test_a_cut_is_told_from_a_close(pair):
    client, server = pair
    client.link.below.write_eof()  # FIN without close_notify
    await eventually(lambda: server.is_lost, "it is noticed")
    assert str(server.above.error) == "TLS failed: the connection ended without close_notify"
    assert "eof" not in server.above.heard


async def test_a_reset_is_an_error_too(pair):
    client, server = pair
    client.above.transport.abort()
    await eventually(lambda: server.is_lost, "it is noticed")
    assert server.above.error is not None


async def test_who_closes_is_not_kept_by_a_peer_that_does_not_read(join):
    near, far = tcp_pair(TIGHT)
    server = await join(far, is_server=True, limits=LinkLimits(farewell=0.1))
    client = await join(near, is_server=False)
    await eventually(lambda: server.is_up and client.is_up, "both up")
    client.above.transport.pause_reading()
    server.above.transport.write(bytes(MIB))
    server.above.transport.close()
    await eventually(lambda: server.is_lost, "the server gone")


async def test_a_peer_that_never_reads_is_cut_off(join):
    near, far = tcp_pair(TIGHT)
    server = await join(far, is_server=True, limits=LinkLimits(unsent=100_000))
    client = await join(near, is_server=False)
    await eventually(lambda: server.is_up and client.is_up, "both up")
    client.above.transport.pause_reading()
    while not server.link.is_closing:
        server.above.transport.write(bytes(16384))  # a protocol that does not heed pause_writing
        await asyncio.sleep(0)
    await eventually(lambda: server.is_lost, "cut off")
    assert str(server.above.error).startswith("the peer does not read: ")


async def test_who_only_asks_and_never_reads_is_cut_off(join):
    """TLS itself may have answers to give, and nobody above writes any."""
    near, far = tcp_pair(TIGHT)
    server = await join(far, is_server=True, limits=LinkLimits(unsent=100_000))
    client = await join(near, is_server=False)
    await eventually(lambda: server.is_up and client.is_up, "both up")
    client.above.transport.pause_reading()
    server.above.transport.write(bytes(MIB))  # stands for the answers to many KeyUpdates
    assert not server.link.is_closing
    client.above.transport.write(b"one more")
    await eventually(lambda: server.is_lost, "cut off")
    assert str(server.above.error).startswith("the peer does not read: ")


async def test_one_large_message_is_not_a_peer_that_does_not_read(join):
    """A single write may exceed the bound: HTTP/2 lets the peer choose the size of frames."""
    near, far = tcp_pair(TIGHT)
    server = await join(far, is_server=True, limits=LinkLimits(unsent=1000))
    client = await join(near, is_server=False)
    await eventually(lambda: server.is_up and client.is_up, "both up")
    server.above.transport.write(bytes(2 * MIB))
    await eventually(lambda: len(client.above.data) == 2 * MIB, "all there")


async def test_a_peer_that_is_refused_gets_no_byte(join):
    near, far = tcp_pair()

    def refuse(engine: TlsEngine) -> None:
        raise PeerIdentityError("not whom we mean")

    server = await join(far, is_server=True)
    client = await join(near, is_server=False, check=refuse)
    await eventually(lambda: client.is_lost and server.is_lost, "both ended")
    assert not client.is_up
    assert client.above.heard == []
    assert str(client.losses[0]) == "not whom we mean"


async def test_a_handshake_has_a_deadline(join):
    near, far = tcp_pair()
    server = await join(far, is_server=True, limits=LinkLimits(handshake=0.05))
    await eventually(lambda: server.is_lost, "given up")
    assert str(server.losses[0]) == "no TLS handshake within 0.05 s"
    assert near.fileno() >= 0


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(70_000), bytes(100)])
async def test_what_is_no_tls_is_refused(join, said):
    near, far = tcp_pair()
    server = await join(far, is_server=True)
    with contextlib.suppress(ConnectionError):
        await asyncio.get_running_loop().sock_sendall(near, said)
        near.shutdown(socket.SHUT_WR)
    await eventually(lambda: server.is_lost, "refused")
    assert server.above.heard == []
    assert str(server.losses[0]).startswith("TLS handshake failed: ")


async def test_who_leaves_in_the_handshake_is_told(join):
    near, far = tcp_pair()
    server = await join(far, is_server=True)
    near.shutdown(socket.SHUT_WR)
    await eventually(lambda: server.is_lost, "noticed")
    assert str(server.losses[0]) == "TLS handshake failed: the peer ended the connection"


async def test_a_link_may_be_closed_before_it_has_begun(server_files):
    """A server that is closed may find a connection that was accepted a moment before."""
    side = Side()
    link = TlsLink(server_context(credentials_of(server_files), TlsSettings()), lambda: side.above, side)
    link.close()
    server = await asyncio.get_running_loop().create_server(lambda: link, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()):
        await eventually(lambda: side.is_lost, "ended at once")
    assert not side.is_up
    server.close()
    await server.wait_closed()


@pytest.mark.interop
async def test_openssl_updates_its_keys_and_leaves(join, root):
    """`K` makes openssl's client send a KeyUpdate that asks for ours; what follows comes under new keys."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    listener.setblocking(False)
    where = f"127.0.0.1:{listener.getsockname()[1]}"
    command = ["openssl", "s_client", "-connect", where, "-alpn", "h2", "-quiet", "-no_ign_eof"]
    pipe = asyncio.subprocess.PIPE
    client = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    assert client.stdin is not None
    assert client.stdout is not None
    assert client.stderr is not None
    sock, _ = await asyncio.get_running_loop().sock_accept(listener)
    server = await join(sock, is_server=True)
    await eventually(lambda: server.is_up, "up")
    for word in (b"before\n", b"after\n"):
        client.stdin.write(word)
        await eventually(lambda: server.above.data.endswith(word), "heard")  # noqa: B023
        server.above.transport.write(word)
        assert await client.stdout.readline() == word
        client.stdin.write(b"K\n")
        await client.stderr.readuntil(b"KEYUPDATE\n")
    client.stdin.write(b"Q\n")
    await eventually(lambda: server.is_lost, "it left")
    assert server.above.heard == ["made", "eof", "lost"]
    assert server.above.data == b"before\nafter\n"
    listener.close()
    await client.wait()
