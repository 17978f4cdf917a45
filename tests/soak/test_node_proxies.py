"""Two node proxies for minutes: what they count, hold and open is in the end what it was in the beginning."""

from __future__ import annotations

import asyncio
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.interop.callers import talk
from tests.support.certificates import TestRoot
from tests.support.processes import eventually, loopback_address
from tests.support.raw_peer import Kind, client_tls, frame, raw_client, rst_stream
from tests.support.tcp_apps import TcpApp, echo
from tests.ztunnel_py.nodes import nodes_started

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tests.support.certificates import CertificateFiles
    from tests.ztunnel_py.nodes import Node, Nodes

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

TUNNELS = 20_000
AT_ONCE = 48
ROTATION_SECONDS = 120
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> TestRoot:
    return TestRoot(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def nodes(tmp_path: Path, root: TestRoot) -> Iterator[Nodes]:
    with nodes_started(tmp_path, root, RUST_LOG="warn") as running:
        yield running


def open_files(node: Node) -> int:
    return len(list(Path(f"/proc/{node.process.pid}/fd").iterdir()))


async def total(node: Node, name: str) -> int:
    """The sum of a metric over its labels."""
    text = await asyncio.to_thread(node.get, "/metrics", 15020)
    return sum(int(value) for value in re.findall(rf"^{name}\{{.*\}} (\d+)$", text, re.MULTILINE))


async def one_call(nodes: Nodes, authority: str, number: int) -> bytes:
    """A short captured connection from one of many loopback addresses: port pairs last longer than the test."""
    reader, writer = await asyncio.open_connection(
        nodes.sleep.address, 15001, local_addr=(f"127.{100 + number % 64}.7.{1 + number // 64 % 200}", 0)
    )
    host, _, port = authority.rpartition(":")
    word = b"call %d" % number
    writer.write(b"PROXY TCP4 %b %b 1 %b\r\n" % (nodes.sleep.address.encode(), host.encode(), port.encode()) + word)
    writer.write_eof()
    try:
        answer = await reader.read()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    assert answer == word
    return answer


async def many(count: int, call: Callable[[int], Awaitable[object]]) -> None:
    """`count` calls, a bounded number at once; the first that fails ends all."""
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            await call(number)

    async with asyncio.timeout(400), asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(caller())


async def test_twenty_thousand_short_tunnels_leave_nothing_behind(nodes: Nodes) -> None:
    both = (nodes.sleep, nodes.server)
    async with TcpApp(echo, nodes.server.address) as app:
        await many(1_000, lambda number: one_call(nodes, app.authority, number))  # pools filled, caches warm
        files = {node.name: open_files(node) for node in both}
        memory = {node.name: node.process.resident_bytes for node in both}
        await many(TUNNELS, lambda number: one_call(nodes, app.authority, number))
    for node in both:
        assert await total(node, "istio_tcp_connections_opened_total") == TUNNELS + 1_000
        assert await total(node, "istio_tcp_connections_closed_total") == TUNNELS + 1_000
        assert await total(node, "istio_tcp_connections_failed_total") == 0
        await eventually(lambda: open_files(node) <= files[node.name], "as many files as before", 30)  # noqa: B023
        assert node.process.resident_bytes - memory[node.name] < 24 * MIB


async def test_certificates_change_every_moment_and_no_call_notices(nodes: Nodes, root: TestRoot) -> None:
    """For two minutes both certificates are replaced again and again while short calls and a long one go on."""
    end = asyncio.get_running_loop().time() + ROTATION_SECONDS
    rounds = 0
    async with TcpApp(echo, nodes.server.address) as app, nodes.call(app.authority) as long_call:
        await talk(long_call, b"up")  # the first certificates are in use
        while asyncio.get_running_loop().time() < end:
            rounds += 1
            for name in ("sleep", "server"):
                files = root.issue(f"{name}-{rounds}", f"default/{name}")
                folder = nodes.certificates / "default" / name
                for source, target in ((files.key, "key.pem"), (files.chain, "cert-chain.pem")):
                    shutil.copy(source, folder / f"{target}.new")
                    (folder / f"{target}.new").replace(folder / target)
            await many(500, lambda number: one_call(nodes, app.authority, number))
            await talk(long_call, b"still here")
    assert rounds > 10
    for node in (nodes.sleep, nodes.server):
        assert await total(node, "istio_tcp_connections_failed_total") == 0


async def test_floods_end_their_own_connection_only(nodes: Nodes, root: TestRoot) -> None:
    """Tunnels reset as fast as they are opened, PINGs whose answers nobody reads, handshakes that never begin."""
    files = root.issue("flooder", "default/sleep")
    before = nodes.server.process.resident_bytes
    async with TcpApp(echo, nodes.server.address) as app, nodes.call(app.authority) as neighbour:
        sources = [loopback_address() for _ in range(2)]  # no more of one than may wait for a handshake
        silent = [
            await asyncio.open_connection(nodes.server.address, 15008, local_addr=(sources[number % 2], 0))
            for number in range(500)
        ]
        for _ in range(5):
            await flood_with_resets(nodes, app.authority, files)
            await flood_with_pings(nodes, files)
            await talk(neighbour, b"unharmed")
        # Whoever says nothing is let go at the TLS deadline.
        async with asyncio.timeout(60):
            for reader, writer in silent:
                with suppress(ConnectionError):
                    assert await reader.read() == b""
                writer.close()
    assert nodes.server.process.resident_bytes - before < 64 * MIB


async def flood_with_resets(nodes: Nodes, authority: str, files: CertificateFiles) -> None:
    async with (
        raw_client(nodes.server.address, 15008, client_tls(files)) as peer,
        asyncio.timeout(30),
        asyncio.TaskGroup() as group,
    ):
        farewell = group.create_task(peer.expect_end())
        with suppress(ConnectionError):
            while not farewell.done():
                stream = await peer.request([(":method", "CONNECT"), (":authority", authority)])
                await peer.send(rst_stream(stream, 8))
                await asyncio.sleep(0)
        await farewell
    # A connection closed over unread bytes is reset by the kernel, and its last words may be lost with it.
    words = [int.from_bytes(got.payload[4:8]) for got in peer.received if got.kind == Kind.GOAWAY]
    assert words in ([], [0xB])  # ENHANCE_YOUR_CALM


async def flood_with_pings(nodes: Nodes, files: CertificateFiles) -> None:
    """Until the server ends it, or our own kernel takes no more: nobody reads the answers."""
    async with raw_client(nodes.server.address, 15008, client_tls(files)) as peer:
        peer.polite = False
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(5):
                while not peer.writer.is_closing():
                    await peer.send(frame(Kind.PING, 0, b"floods!!") * 64)
