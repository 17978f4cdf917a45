"""How connections end between two node proxies: halves, resets, many at once."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from mesh_py.model.workload import Protocol
from tests.interop.callers import read_exactly, read_to_end, talk
from tests.support.processes import eventually, loopback_address
from tests.support.raw_peer import Code, Kind, client_tls, data, raw_client, rst_stream
from tests.support.tcp_apps import Connection, TcpApp, answer_at_end, digest, echo, payload, reset_after, sink, source

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from tests.interop.callers import TcpCaller
    from tests.support.pods import Pod, Pods

LENIENT = {"LENIENT_RESETS": "true"}
WAYS = ["tunnel", "direct", "plaintext"]
MEGABYTE = 1 << 20


class Way:
    """A caller, an application, and what is between: a tunnel, plain TCP on the way out, plain TCP on the way in."""

    def __init__(self, pods: Pods, kind: str, environment: dict[str, str] | None = None) -> None:
        self.sleep = pods.add("sleep", environment=environment)
        self.server = pods.add(
            "server", environment=environment, protocol=Protocol.TCP if kind == "direct" else Protocol.HBONE
        )
        self._is_inbound = kind == "plaintext"
        self.watched = self.server if self._is_inbound else self.sleep

    def call(self, destination: str) -> AbstractAsyncContextManager[TcpCaller]:
        if self._is_inbound:
            return self.server.call_plain(self.sleep.ip, destination)
        return self.sleep.call(destination)


@pytest.fixture(params=WAYS)
async def way(request: pytest.FixtureRequest, pods: Pods) -> Way:
    return Way(pods, request.param)


async def test_the_caller_ends_first_and_hears_the_answer(way: Way) -> None:
    sent = payload(MEGABYTE)
    async with way.server.app(answer_at_end) as app:
        async with way.call(app.authority) as caller:
            await caller.send(sent)
            await caller.send_eof()
            assert await read_to_end(caller) == (digest(sent).encode(), "eof")
        assert "error" not in await way.watched.its_proxy.line()


async def test_the_application_ends_first_and_hears_the_rest(way: Way) -> None:
    sent, answered = payload(MEGABYTE), payload(MEGABYTE, seed=2)
    async with way.server.app(source(answered)) as app:
        async with way.call(app.authority) as caller:
            assert await read_to_end(caller) == (answered, "eof")
            await caller.send(sent)
            await caller.send_eof()
            assert await app.ended() == "eof"
            assert (await app.connection()).digest == digest(sent)
        line = await way.watched.its_proxy.line()
    assert "error" not in line
    assert sorted((line["bytes_sent"], line["bytes_recv"])) == [str(MEGABYTE)] * 2


async def test_the_caller_ends_at_once(way: Way) -> None:
    async with way.server.app(source(b"bye")) as app, way.call(app.authority) as caller:
        await caller.send_eof()
        assert await read_to_end(caller) == (b"bye", "eof")


async def test_the_caller_speaks_before_the_tunnel_is_open(way: Way) -> None:
    sent = payload(100_000)
    async with way.server.app(sink) as app, way.call(app.authority) as caller:
        await caller.send(sent)
        await caller.send_eof()
        assert await app.ended() == "eof"
        assert (await app.connection()).digest == digest(sent)


async def test_a_reset_by_the_application_reaches_the_caller(way: Way) -> None:
    async with way.server.app(reset_after(5, say=b"half a sent")) as app:
        async with way.call(app.authority) as caller:
            await caller.send(b"hello")
            outcome = await read_to_end(caller)
        assert (outcome.ended, outcome.data in (b"", b"half a sent")) == ("reset", True)
        line = await way.watched.its_proxy.line()
    assert line["level"] == "error"
    assert way.watched.its_proxy.total("istio_tcp_connections_failed_total", response_flags="CONNECT") == 1


async def test_a_reset_by_the_caller_reaches_the_application(way: Way) -> None:
    async with way.server.app(echo) as app:
        async with way.call(app.authority) as caller:
            await talk(caller, b"hello")
            caller.abort()
            assert await app.ended() == "reset"
        assert (await way.watched.its_proxy.line())["level"] == "error"


async def test_a_reset_in_the_middle_of_a_transfer(way: Way) -> None:
    """Whoever is left reads a reset, never an end with bytes missing."""
    async with way.server.app(endless) as app, way.call(app.authority) as caller:
        await read_exactly(caller, MEGABYTE)
        (await app.connection()).abort()
        assert (await read_to_end(caller)).ended == "reset"


@pytest.mark.parametrize("kind", WAYS)
async def test_a_caller_that_ends_and_breaks_while_its_application_thinks(pods: Pods, kind: str) -> None:
    """Nobody reads a caller that has ended, and nobody writes: the reset itself must be noticed."""
    way = Way(pods, kind)
    async with way.server.app(think) as app, way.call(app.authority) as caller:
        await caller.send(b"hello")
        await caller.send_eof()
        await eventually(lambda: app.connections != [] and app.connections[0].ended == "eof", "heard out")
        application: socket.socket = app.connections[0].writer.get_extra_info("socket")
        caller.abort()
        assert "error" in await way.watched.its_proxy.line()
        await eventually(lambda: application.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0, "reset")


async def think(connection: Connection) -> None:
    """Hear the caller out, and answer never."""
    while await connection.receive():
        pass
    await asyncio.Event().wait()


async def endless(connection: Connection) -> None:
    while connection.ended == "open":
        await connection.send(b"and on " * 10_000)


async def test_both_codes_say_whose_application_broke(pods: Pods) -> None:
    """To the downstream INTERNAL_ERROR; what a downstream says is CONNECT_ERROR."""
    server = pods.add("server")
    async with (
        server.app(reset_after(5)) as app,
        raw_client(server.ip, 15008, client_tls(pods.authority.of("sleep"))) as peer,
    ):
        stream = await peer.open_tunnel(app.authority)
        await peer.send(data(stream, b"hello"))
        assert (await peer.expect(Kind.RST_STREAM, stream=stream)).code == Code.INTERNAL_ERROR
    assert "error" in await server.its_proxy.line()


@pytest.mark.parametrize("kind", WAYS)
async def test_lenient_resets_are_the_real_ztunnels(pods: Pods, kind: str) -> None:
    """An application's reset becomes an end, in both directions (hbone-dataplane 1.6)."""
    way = Way(pods, kind, LENIENT)
    async with way.server.app(reset_after(5)) as app, way.call(app.authority) as caller:
        await caller.send(b"hello")
        assert (await read_to_end(caller)).ended == "eof"
    async with way.server.app(echo) as app, way.call(app.authority) as caller:
        await talk(caller, b"hello")
        caller.abort()
        assert await app.ended() == "eof"


@pytest.mark.parametrize("code", [Code.NO_ERROR, Code.CANCEL])
async def test_lenient_proxies_take_a_cancelled_stream_for_an_end(pods: Pods, code: Code) -> None:
    server = pods.add("server", environment=LENIENT)
    async with (
        server.app(echo) as app,
        raw_client(server.ip, 15008, client_tls(pods.authority.of("sleep"))) as peer,
    ):
        stream = await peer.open_tunnel(app.authority)
        await app.connection()
        await peer.send(rst_stream(stream, code))
        assert await app.ended() == "eof"


async def test_a_caller_that_is_gone_before_the_tunnel_is_open(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(echo) as app:
        async with sleep.call(app.authority) as caller:
            caller.abort()
        await sleep.its_proxy.line()
        await server.its_proxy.line()


async def test_many_tunnels_share_few_connections(pods: Pods) -> None:
    """Two hundred at once over two connections of a hundred each, and again over the same two."""
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(echo) as app:
        for rounds in (1, 2):
            everybody = asyncio.Barrier(200)
            await asyncio.gather(*(one_talk(sleep, app, everybody) for _ in range(200)))
            closed = "istio_tcp_connections_closed_total"
            for proxy in (sleep.its_proxy, server.its_proxy):
                await eventually(lambda: proxy.open_connections == 0, "all closed")  # noqa: B023
                assert proxy.total(closed, response_flags="-") == 200 * rounds
        assert len(server.its_proxy.plane.inbound.peers) == 2
        assert len(app.connections) == 400


async def one_talk(sleep: Pod, app: TcpApp, everybody: asyncio.Barrier) -> None:
    async with sleep.call(app.authority) as caller:
        await talk(caller, b"hello" * 100)
        await everybody.wait()
        await caller.send_eof()
        assert await caller.receive() == b""


async def test_callers_of_different_pods_share_nothing(pods: Pods) -> None:
    """The address a tunnel comes from is the caller's own (hbone-dataplane 5)."""
    ips = (loopback_address(), loopback_address())
    sleep, server = pods.add("sleep"), pods.add("server")
    pods.change("sleep", workload_ips=ips)
    async with server.app(echo) as app:
        for ip in ips:
            async with sleep.call(app.authority, source=ip) as caller:
                await talk(caller, b"hello")
        assert [connection.peer[0] for connection in app.connections] == list(ips)
        assert len(server.its_proxy.plane.inbound.peers) == 2


async def test_a_renewed_certificate_is_used_and_breaks_nothing(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(echo) as app, sleep.call(app.authority) as old:
        await talk(old, b"hello")
        for pod in (sleep, server):
            pods.authority.renew(pod.name)
            await pod.its_proxy.refresh()
        await talk(old, b"still here")
        pods.change("sleep", workload_ips=(sleep.ip, other := loopback_address()))
        async with sleep.call(app.authority, source=other) as new:
            await talk(new, b"hello")
        serials = [peer.peer.tls.peer_leaf_der for peer in server.its_proxy.plane.inbound.peers]
        assert len(set(serials)) == 2
