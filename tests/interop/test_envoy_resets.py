"""Facts of the real Envoy about resets, frame by frame: the ground of docs/decisions/0005-resets.md.

A raw peer plays the other side, so nothing of this project's tunnel takes part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.interop.callers import Outcome, read_to_end
from tests.interop.captured import captured
from tests.interop.pairs import HBONE_PORT
from tests.support.raw_peer import (
    Code,
    Kind,
    RawServer,
    client_tls,
    data,
    raw_client,
    rst_stream,
    server_tls,
)
from tests.support.tcp_apps import TcpApp, echo, reset_after

if TYPE_CHECKING:
    from tests.support.certificates import MeshCertificates
    from tests.support.envoy import Envoy

pytestmark = pytest.mark.interop

CLEAN_AT_THE_CLIENT = {Code.PROTOCOL_ERROR, Code.CONNECT_ERROR}
"""Codes that Envoy's client side hands its application as FIN; every other one becomes RST."""


async def test_no_code_reaches_the_application_behind_envoys_server_as_a_reset(
    envoy_server: Envoy, certificates: MeshCertificates
) -> None:
    seen = {}
    async with (
        TcpApp(echo, envoy_server.address) as app,
        raw_client(envoy_server.address, HBONE_PORT, client_tls(certificates.client)) as peer,
    ):
        for index, code in enumerate(Code):
            stream = await peer.open_tunnel(app.authority)
            await peer.send(data(stream, b"before"), rst_stream(stream, code))
            seen[code.name] = await app.ended(index)
    assert seen == {code.name: "eof" for code in Code}


async def test_which_codes_reach_the_application_before_envoys_client_as_a_reset(
    envoy_client: Envoy, certificates: MeshCertificates, pod_address: str
) -> None:
    seen = {}
    async with RawServer(pod_address, HBONE_PORT, server_tls(certificates.server)) as server:
        for code in Code:
            async with captured(envoy_client, f"{pod_address}:8080") as caller:
                peer, asked = await server.next_tunnel()
                await peer.send(rst_stream(asked.stream, code))
                seen[code.name] = (await read_to_end(caller)).ended
    assert seen == {code.name: "eof" if code in CLEAN_AT_THE_CLIENT else "reset" for code in Code}


async def test_after_our_end_of_stream_every_code_is_a_clean_end(
    envoy_client: Envoy, certificates: MeshCertificates, pod_address: str
) -> None:
    async with RawServer(pod_address, HBONE_PORT, server_tls(certificates.server)) as server:
        for code in (Code.NO_ERROR, Code.INTERNAL_ERROR, Code.CANCEL):
            async with captured(envoy_client, f"{pod_address}:8080") as caller:
                peer, asked = await server.next_tunnel()
                await peer.send(data(asked.stream, b"all", end=True), rst_stream(asked.stream, code))
                assert await read_to_end(caller) == Outcome(b"all", "eof"), code


@pytest.mark.parametrize("last_words", [b"", b"bye"])
async def test_a_reset_of_the_application_behind_envoys_server_is_connect_error(
    envoy_server: Envoy, certificates: MeshCertificates, last_words: bytes
) -> None:
    async with (
        TcpApp(reset_after(3, last_words), envoy_server.address) as app,
        raw_client(envoy_server.address, HBONE_PORT, client_tls(certificates.client)) as peer,
    ):
        stream = await peer.open_tunnel(app.authority)
        await peer.send(data(stream, b"abc"))
        assert await peer.read_stream(stream) == (last_words, Code.CONNECT_ERROR)


async def test_a_reset_of_the_application_before_envoys_client_is_internal_error(
    envoy_client: Envoy, certificates: MeshCertificates, pod_address: str
) -> None:
    async with (
        RawServer(pod_address, HBONE_PORT, server_tls(certificates.server)) as server,
        captured(envoy_client, f"{pod_address}:8080") as caller,
    ):
        peer = await server.accept()
        asked = await peer.accept_tunnel()
        await caller.send(b"abc")
        await peer.expect(Kind.DATA)
        caller.abort()
        assert await peer.read_stream(asked.stream) == (b"", Code.INTERNAL_ERROR)


async def test_a_broken_connection_is_a_clean_end_to_the_application_before_envoys_client(
    envoy_client: Envoy, certificates: MeshCertificates, pod_address: str
) -> None:
    async with (
        RawServer(pod_address, HBONE_PORT, server_tls(certificates.server)) as server,
        captured(envoy_client, f"{pod_address}:8080") as caller,
    ):
        peer = await server.accept()
        await peer.accept_tunnel()
        peer.abort()
        assert await read_to_end(caller) == Outcome(b"", "eof")


async def test_a_broken_connection_is_a_clean_end_to_the_application_behind_envoys_server(
    envoy_server: Envoy, certificates: MeshCertificates
) -> None:
    async with (
        TcpApp(echo, envoy_server.address) as app,
        raw_client(envoy_server.address, HBONE_PORT, client_tls(certificates.client)) as peer,
    ):
        await peer.open_tunnel(app.authority)
        peer.abort()
        assert await app.ended() == "eof"
