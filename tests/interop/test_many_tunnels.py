"""Many tunnels over few connections, and each side keeping to the other's limit; Envoy counts."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

import hbone_py
from hbone_py.config import Http2Config
from hbone_py.errors import TooManyStreams
from tests.interop.callers import Caller, talk
from tests.interop.captured import captured
from tests.interop.pairs import HBONE_PORT, our_credentials, our_server
from tests.support.envoy import Envoy, start_envoy
from tests.support.processes import eventually
from tests.support.tcp_apps import TcpApp, echo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from tests.support.certificates import MeshCertificates

pytestmark = pytest.mark.interop

TUNNELS = 200


@contextlib.asynccontextmanager
async def connected(host: str, certificates: MeshCertificates) -> AsyncIterator[hbone_py.Connection]:
    connection = await hbone_py.open_connection(host, HBONE_PORT, credentials=our_credentials(certificates.client))
    try:
        yield connection
    finally:
        await connection.aclose()


async def all_talk(callers: Sequence[Caller]) -> None:
    async with asyncio.TaskGroup() as everybody:
        for number, caller in enumerate(callers):
            everybody.create_task(talk(caller, b"tunnel %d" % number))


async def open_at_once(connection: hbone_py.Connection, authority: str, count: int) -> list[hbone_py.ByteStream]:
    async with asyncio.TaskGroup() as everybody:
        opening = [everybody.create_task(connection.open_tunnel(authority)) for _ in range(count)]
    return [task.result() for task in opening]


async def knows(envoy: Envoy, host: str) -> None:
    """Until Envoy's client has taken note of a new destination: before that, each call to it makes a connection."""
    await eventually(lambda: f"peer::{host}:{HBONE_PORT}::" in envoy.admin("/clusters"), f"{host} is known")


async def test_two_hundred_tunnels_on_one_connection_of_ours(
    envoy_server: Envoy, certificates: MeshCertificates
) -> None:
    open_now = "http.inbound.downstream_cx_upgrades_active"
    await eventually(lambda: envoy_server.stat(open_now) == 0, "the tunnels of earlier tests are over")
    before = envoy_server.stat("http.inbound.downstream_cx_total")
    async with (
        TcpApp(echo, envoy_server.address) as app,
        connected(envoy_server.address, certificates) as connection,
    ):
        tunnels = await open_at_once(connection, app.authority, TUNNELS)
        await all_talk(tunnels)
        assert envoy_server.stat(open_now) == TUNNELS
        assert envoy_server.stat("http.inbound.downstream_cx_total") == before + 1
        assert len(app.connections) == TUNNELS


async def test_two_hundred_tunnels_of_envoys_on_one_connection_to_us(
    envoy_client: Envoy, certificates: MeshCertificates, pod_address: str
) -> None:
    before = envoy_client.stat("cluster.peer.upstream_cx_total")
    async with (
        our_server(pod_address, certificates.server),
        TcpApp(echo, pod_address) as app,
        contextlib.AsyncExitStack() as stack,
    ):
        callers: list[Caller] = [await stack.enter_async_context(captured(envoy_client, app.authority))]
        await talk(callers[0], b"the first")
        await knows(envoy_client, pod_address)
        callers += [
            await stack.enter_async_context(captured(envoy_client, app.authority, ends_early=False))
            for _ in range(TUNNELS - 1)
        ]
        await all_talk(callers)
        assert len(app.connections) == TUNNELS
        assert envoy_client.stat("cluster.peer.upstream_cx_total") == before + 1


@pytest.mark.parametrize("limit", [1, 100])
async def test_our_client_keeps_to_envoys_limit(certificates: MeshCertificates, tmp_path: Path, limit: int) -> None:
    with start_envoy("server", tmp_path, certificates.server, MAX_STREAMS=limit) as envoy:
        async with TcpApp(echo, envoy.address) as app, connected(envoy.address, certificates) as connection:
            tunnels = await open_at_once(connection, app.authority, limit)
            with pytest.raises(TooManyStreams):
                await connection.open_tunnel(app.authority)
            await all_talk(tunnels)
            tunnels[0].abort()
            await talk(await connection.open_tunnel(app.authority), b"room again")


@pytest.mark.parametrize("limit", [1, 100])
async def test_envoys_client_keeps_to_our_limit(
    envoy_client: Envoy, certificates: MeshCertificates, pod_address: str, limit: int
) -> None:
    before = envoy_client.stat("cluster.peer.upstream_cx_total")
    count = 2 * limit + 1
    config = Http2Config(max_concurrent_streams=limit)
    async with (
        our_server(pod_address, certificates.server, config),
        TcpApp(echo, pod_address) as app,
        contextlib.AsyncExitStack() as stack,
    ):
        callers: list[Caller] = []
        for number in range(count):
            opening = captured(envoy_client, app.authority, ends_early=number == 0)
            callers.append(await stack.enter_async_context(opening))
            await talk(callers[-1], b"first words")
            if number == 0:
                await knows(envoy_client, pod_address)
        await all_talk(callers)
        assert envoy_client.stat("cluster.peer.upstream_cx_total") - before == 3
