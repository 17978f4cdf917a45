"""GOAWAY in the middle of use: what is open goes on, what is new goes elsewhere."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import hbone_py
from hbone_py.errors import ConnectionClosing
from tests.interop.callers import Outcome, read_to_end, talk
from tests.interop.captured import captured
from tests.interop.pairs import HBONE_PORT, our_credentials, our_server
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
    server_tls,
)
from tests.support.tcp_apps import TcpApp, echo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.certificates import MeshCertificates

pytestmark = pytest.mark.interop

LAST_POSSIBLE = (1 << 31) - 1


async def test_our_client_outlives_the_drain_of_envoys_server(certificates: MeshCertificates, tmp_path: Path) -> None:
    with start_envoy(
        "server",
        tmp_path,
        certificates.server,
        flags=("--drain-strategy", "immediate", "--drain-time-s", "30"),
        DRAIN_TIMEOUT="0.1s",
    ) as envoy:
        async with TcpApp(echo, envoy.address) as app:
            connection = await hbone_py.open_connection(
                envoy.address, HBONE_PORT, credentials=our_credentials(certificates.client)
            )
            before = await connection.open_tunnel(app.authority)
            await talk(before, b"before the drain")
            envoy.admin("/drain_listeners?graceful", "POST")
            # Envoy says a GOAWAY that refuses nothing with the next answer, and counts only the last one.
            during = await connection.open_tunnel(app.authority)
            await eventually(lambda: envoy.stat("http2.goaway_sent") == 1, "said its last GOAWAY")
            await talk(before, b"still here")
            await talk(during, b"here as well")
            with pytest.raises(ConnectionClosing):
                await connection.open_tunnel(app.authority)
            for tunnel in (before, during):
                await tunnel.send_eof()
                assert await read_to_end(tunnel) == Outcome(b"", "eof")


async def test_envoys_client_outlives_the_drain_of_our_server(
    envoy_client: Envoy, certificates: MeshCertificates, pod_address: str
) -> None:
    seen = "cluster.peer.upstream_cx_close_notify"
    before = envoy_client.stat(seen)
    async with (
        our_server(pod_address, certificates.server) as server,
        TcpApp(echo, pod_address) as app,
        asyncio.TaskGroup() as tasks,
    ):
        async with captured(envoy_client, app.authority) as caller:
            await talk(caller, b"before the drain")
            drained = tasks.create_task(server.drain(20))
            await eventually(lambda: envoy_client.stat(seen) == before + 1, "saw GOAWAY")
            await talk(caller, b"still here")
            async with captured(envoy_client, app.authority) as late:
                assert (await read_to_end(late)).data == b""
            assert len(app.connections) == 1
            await caller.send_eof()
            assert await read_to_end(caller) == Outcome(b"", "eof")
        assert await drained


async def test_envoys_client_takes_a_new_connection_after_a_goaway(
    envoy_client: Envoy, certificates: MeshCertificates, pod_address: str
) -> None:
    async with (
        RawServer(pod_address, HBONE_PORT, server_tls(certificates.server)) as server,
        captured(envoy_client, f"{pod_address}:8080") as first,
    ):
        old = await server.accept()
        asked = await old.accept_tunnel()
        await old.send(goaway(asked.stream))
        await old.round_trip()
        async with captured(envoy_client, f"{pod_address}:8080"):
            new = await server.accept()
            await new.accept_tunnel()
            await old.send(data(asked.stream, b"the old one lives", end=True))
            assert await read_to_end(first) == Outcome(b"the old one lives", "eof")


async def test_our_server_drains_in_two_steps(certificates: MeshCertificates, pod_address: str) -> None:
    async with (
        our_server(pod_address, certificates.server) as server,
        TcpApp(echo, pod_address) as app,
        raw_client(pod_address, HBONE_PORT, client_tls(certificates.client)) as peer,
        asyncio.TaskGroup() as tasks,
    ):
        stream = await peer.open_tunnel(app.authority)
        drained = tasks.create_task(server.drain(20))
        first = await peer.expect(Kind.GOAWAY)
        assert (int.from_bytes(first.payload[:4]), first.code) == (LAST_POSSIBLE, Code.NO_ERROR)
        # The peer answers the PING behind it by itself; then the server knows what was under way.
        second = await peer.expect(Kind.GOAWAY)
        assert (int.from_bytes(second.payload[:4]), second.code) == (stream, Code.NO_ERROR)
        await peer.send(data(stream, b"last words", end=True))
        assert await peer.read_stream(stream) == (b"last words", None)
        await peer.expect_end()
        assert await drained


async def test_a_drain_ends_at_its_deadline_with_a_reset_and_no_clean_end(
    certificates: MeshCertificates, pod_address: str
) -> None:
    async with (
        our_server(pod_address, certificates.server) as server,
        TcpApp(echo, pod_address) as app,
        raw_client(pod_address, HBONE_PORT, client_tls(certificates.client)) as peer,
    ):
        stream = await peer.open_tunnel(app.authority)
        assert not await server.drain(0)
        assert await app.ended() == "reset"
        await peer.expect_end()
        assert not [frame for frame in peer.received if frame.stream == stream and frame.is_last]
