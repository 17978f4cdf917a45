"""Our node proxy with an Envoy that refuses, drains, dies or comes back, and with peers that are nobody it wants."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.interop.callers import BROKEN, Caller, Outcome, read_exactly, read_to_end, talk
from tests.interop.captured import captured
from tests.interop.pairs import HBONE_PORT
from tests.support.envoy import Envoy, start_envoy
from tests.support.processes import eventually
from tests.support.raw_peer import (
    Code,
    Kind,
    RawServer,
    client_tls,
    data,
    goaway,
    raw_client,
    rst_stream,
    server_tls,
)
from tests.support.tcp_apps import Connection, TcpApp, echo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.node_proxies import NodeProxies
    from tests.support.certificates import MeshCertificates

pytestmark = pytest.mark.interop

TUNNELS = 200


async def test_two_hundred_tunnels_share_few_connections(envoy_server: Envoy, node_proxies: NodeProxies) -> None:
    node = node_proxies.here().client
    before = envoy_server.stat("http.inbound.downstream_cx_total")
    async with TcpApp(echo, envoy_server.address) as app, contextlib.AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(node.call(app.authority)) for _ in range(TUNNELS)]
        for number, caller in enumerate(callers):
            await talk(caller, b"tunnel %d" % number)
        assert len(app.connections) == TUNNELS
    # A hundred streams on each (POOL_MAX_STREAMS_PER_CONNECTION), and one for whoever came before this test.
    assert envoy_server.stat("http.inbound.downstream_cx_total") - before <= 3


async def test_a_limit_of_one_stream_is_kept_by_more_connections(
    certificates: MeshCertificates, node_proxies: NodeProxies, tmp_path: Path
) -> None:
    node, address = node_proxies.here().client, node_proxies.spare_address()
    with start_envoy("server", tmp_path, certificates.server, ADDRESS=address, MAX_STREAMS=1) as envoy:
        async with TcpApp(echo, address) as app, contextlib.AsyncExitStack() as stack:
            callers: list[Caller] = []
            for number in range(5):
                callers.append(await stack.enter_async_context(node.call(app.authority)))
                await talk(callers[-1], b"tunnel %d" % number)
            for caller in callers:
                await talk(caller, b"and all of them still")
        assert envoy.stat("http.inbound.downstream_cx_total") == 5
        assert envoy.stat("http.inbound.downstream_rq_2xx") == 5


async def test_a_drained_peer_keeps_its_tunnels_and_gets_no_new_ones(
    certificates: MeshCertificates, node_proxies: NodeProxies
) -> None:
    node, address = node_proxies.here().client, node_proxies.spare_address()
    async with (
        RawServer(address, HBONE_PORT, server_tls(certificates.server)) as server,
        node.call(f"{address}:8080") as first,
    ):
        old = await server.accept()
        asked = await old.accept_tunnel()
        await old.send(goaway(asked.stream))
        await old.round_trip()
        async with node.call(f"{address}:8080") as second:
            new = await server.accept()
            other = await new.accept_tunnel()
            await new.send(data(other.stream, b"the new one", end=True))
            assert await read_exactly(second, 11) == b"the new one"
            await old.send(data(asked.stream, b"the old one", end=True))
            assert await read_exactly(first, 11) == b"the old one"


async def test_the_application_sees_that_envoy_was_killed_and_may_call_its_successor(
    certificates: MeshCertificates, node_proxies: NodeProxies, tmp_path: Path
) -> None:
    node, address = node_proxies.here().client, node_proxies.spare_address()

    async def endless(connection: Connection) -> None:
        while True:
            await connection.send(b"and on " * 10_000)

    async with TcpApp(endless, address) as app, TcpApp(echo, address) as successor:
        with start_envoy("server", tmp_path, certificates.server, ADDRESS=address) as envoy:
            async with node.call(app.authority) as caller:
                await read_exactly(caller, 1_000_000)
                envoy.process.kill()
                assert (await read_to_end(caller)).ended == "reset"
        with start_envoy("server", tmp_path, certificates.server, ADDRESS=address):
            async with node.call(successor.authority) as caller:
                await talk(caller, b"good to have you back")


async def test_nobody_answers_at_the_other_node(node_proxies: NodeProxies) -> None:
    async with node_proxies.here().client.call(f"{node_proxies.spare_address()}:8080") as caller:
        assert (await read_to_end(caller)).data == b""


@pytest.mark.parametrize("who", ["alien", "stranger", "client"])
async def test_a_server_that_is_not_whom_the_mesh_names_learns_nothing(
    certificates: MeshCertificates, node_proxies: NodeProxies, who: str
) -> None:
    node, address = node_proxies.here().client, node_proxies.spare_address()
    async with RawServer(address, HBONE_PORT, server_tls(getattr(certificates, who))) as server:
        async with node.call(f"{address}:8080") as caller:
            await caller.send(b"a secret")
            with contextlib.suppress(*BROKEN):
                assert await caller.receive() == b""
        for peer in server.peers:
            await peer.expect_end()
            assert peer.received == []


@pytest.mark.parametrize("who", ["alien", "stranger", "nobody"])
async def test_envoy_with_the_wrong_certificate_is_refused(
    certificates: MeshCertificates, node_proxies: NodeProxies, tmp_path: Path, who: str
) -> None:
    address = node_proxies.here().server.address
    files = None if who == "nobody" else getattr(certificates, who)
    with start_envoy("client", tmp_path, files, roots=certificates.client.roots) as envoy:
        async with TcpApp(echo, address) as app:
            async with captured(envoy, app.authority) as caller:
                assert (await read_to_end(caller)).data == b""
            assert app.connections == []
        assert envoy.stat("cluster.peer.upstream_cx_rx_bytes_total") == 0


@pytest.mark.parametrize("code", list(Code), ids=lambda code: code.name)
async def test_every_code_before_the_end_is_a_reset_for_the_application(
    certificates: MeshCertificates, node_proxies: NodeProxies, code: Code
) -> None:
    address = node_proxies.here().server.address
    async with (
        TcpApp(echo, address) as app,
        raw_client(address, HBONE_PORT, client_tls(certificates.client)) as peer,
    ):
        stream = await peer.open_tunnel(app.authority)
        await app.connection()
        await peer.send(rst_stream(stream, code))
        assert await app.ended() == "reset"


async def test_every_code_before_the_end_is_a_reset_for_the_caller(
    certificates: MeshCertificates, node_proxies: NodeProxies
) -> None:
    node, address = node_proxies.here().client, node_proxies.spare_address()
    seen = {}
    async with RawServer(address, HBONE_PORT, server_tls(certificates.server)) as server:
        for code in Code:
            async with node.call(f"{address}:8080") as caller:
                peer = server.peers[-1] if server.peers else await server.accept()
                asked = await peer.accept_tunnel()
                await peer.send(rst_stream(asked.stream, code))
                seen[code.name] = (await read_to_end(caller)).ended
    assert seen == {code.name: "reset" for code in Code}


async def test_a_client_that_vanishes_resets_every_application(
    certificates: MeshCertificates, node_proxies: NodeProxies
) -> None:
    address = node_proxies.here().server.address
    async with (
        TcpApp(echo, address) as app,
        raw_client(address, HBONE_PORT, client_tls(certificates.client)) as peer,
    ):
        for _ in range(5):
            await peer.open_tunnel(app.authority)
        peer.abort()
        assert [await app.ended(index) for index in range(5)] == ["reset"] * 5


async def test_connect_carries_what_the_mesh_says_of_the_caller(
    certificates: MeshCertificates, node_proxies: NodeProxies
) -> None:
    node, address = node_proxies.here().client, node_proxies.spare_address()
    async with (
        RawServer(address, HBONE_PORT, server_tls(certificates.server)) as server,
        node.call(f"{address}:8080") as caller,
    ):
        peer = await server.accept()
        asked = dict((await peer.accept_tunnel()).headers)
        await caller.send_eof()
        await peer.expect(Kind.DATA)
    assert asked.pop(":method") == "CONNECT"
    assert asked.pop(":authority") == f"{address}:8080"
    assert asked.pop("forwarded") == f'for="{node.source}:5555"'
    assert "k8s.namespace.name=default" in asked.pop("baggage")
    assert len(asked.pop("traceparent").split("-")) == 4
    assert asked == {}


async def test_the_caller_may_end_with_its_first_word(envoy_server: Envoy, node_proxies: NodeProxies) -> None:
    """Preamble, words and FIN in one segment: nothing may be lost between capture and tunnel."""
    async with TcpApp(echo, envoy_server.address) as app:
        for number in range(20):
            async with node_proxies.here().client.call(app.authority) as caller:
                await caller.send(b"word %d" % number)
                await caller.send_eof()
                assert await read_to_end(caller) == Outcome(b"word %d" % number, "eof")
        await eventually(lambda: all(one.ended == "eof" for one in app.connections), "ended")
