"""A peer that dies without a word: nobody may take what is left of a transfer for the whole of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import hbone_py
from hbone_py.errors import ConnectionLost, HboneError
from tests.interop.callers import Caller, read_exactly, read_to_end, talk
from tests.interop.captured import captured
from tests.interop.pairs import HBONE_PORT, OurClient, our_credentials, our_server
from tests.support.envoy import start_envoy
from tests.support.raw_peer import client_tls, raw_client
from tests.support.tcp_apps import Connection, TcpApp, echo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.certificates import MeshCertificates

pytestmark = pytest.mark.interop


async def endless(connection: Connection) -> None:
    while True:
        await connection.send(b"and on " * 10_000)


async def test_our_client_sees_that_envoys_server_was_killed(certificates: MeshCertificates, tmp_path: Path) -> None:
    with start_envoy("server", tmp_path, certificates.server) as envoy:
        async with (
            TcpApp(endless, envoy.address) as app,
            OurClient(our_credentials(certificates.client)).call(app.authority) as caller,
        ):
            await read_exactly(caller, 1_000_000)
            envoy.process.kill()
            assert (await read_to_end(caller)).ended == "reset"
            with pytest.raises(HboneError):
                await send_until_told(caller)


async def test_every_tunnel_of_a_connection_learns_that_it_was_lost(
    certificates: MeshCertificates, tmp_path: Path
) -> None:
    with start_envoy("server", tmp_path, certificates.server) as envoy:
        async with TcpApp(echo, envoy.address) as app:
            connection = await hbone_py.open_connection(
                envoy.address, HBONE_PORT, credentials=our_credentials(certificates.client)
            )
            tunnels = [await connection.open_tunnel(app.authority) for _ in range(20)]
            envoy.process.kill()
            assert [(await read_to_end(tunnel)).ended for tunnel in tunnels] == ["reset"] * 20
            with pytest.raises(HboneError):
                await connection.open_tunnel(app.authority)


async def test_the_application_behind_our_server_sees_that_envoys_client_was_killed(
    certificates: MeshCertificates, pod_address: str, tmp_path: Path
) -> None:
    with start_envoy("client", tmp_path, certificates.client) as envoy:
        async with (
            our_server(pod_address, certificates.server),
            TcpApp(echo, pod_address) as app,
            captured(envoy, app.authority) as caller,
        ):
            await talk(caller, b"so far so good")
            envoy.process.kill()
            assert await app.ended() == "reset"


async def test_the_application_behind_our_server_sees_that_a_client_vanished(
    certificates: MeshCertificates, pod_address: str
) -> None:
    async with (
        our_server(pod_address, certificates.server),
        TcpApp(echo, pod_address) as app,
        raw_client(pod_address, HBONE_PORT, client_tls(certificates.client)) as peer,
    ):
        for _ in range(5):
            await peer.open_tunnel(app.authority)
        peer.abort()
        assert [await app.ended(index) for index in range(5)] == ["reset"] * 5


async def test_our_client_cannot_reach_a_killed_envoy(certificates: MeshCertificates, tmp_path: Path) -> None:
    with start_envoy("server", tmp_path, certificates.server) as envoy:
        envoy.process.kill()
        with pytest.raises(HboneError) as failure:
            await hbone_py.open_connection(envoy.address, HBONE_PORT, credentials=our_credentials(certificates.client))
    assert not isinstance(failure.value, ConnectionLost), "nothing was lost: it was never there"


async def send_until_told(caller: Caller) -> None:
    while True:
        await caller.send(b"is anybody there? " * 1000)
