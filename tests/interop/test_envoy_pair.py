"""The harness itself: two real Envoys carry an application's bytes, and their counters can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.interop.captured import captured
from tests.support.envoy import start_envoy
from tests.support.processes import eventually, run_tool
from tests.support.require import require_tool
from tests.support.tcp_apps import TcpApp, answer_at_end, digest, payload

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.certificates import MeshCertificates
    from tests.support.envoy import Envoy

pytestmark = pytest.mark.interop


async def test_five_megabytes_and_a_half_close_through_two_envoys(
    envoy_client: Envoy, envoy_server: Envoy
) -> None:
    data = payload(5_000_000)
    before = envoy_server.stat("http.inbound.downstream_rq_2xx")
    async with (
        TcpApp(answer_at_end, envoy_server.address) as app,
        captured(envoy_client, app.authority) as (reader, writer),
    ):
        writer.write(data)
        writer.write_eof()
        assert await reader.read() == digest(data).encode()
    assert envoy_server.stat("http.inbound.downstream_rq_2xx") == before + 1
    await eventually(lambda: any(app.authority in line for line in envoy_server.access_log()), "logged")


async def test_curl_through_two_envoys(
    certificates: MeshCertificates, envoy_server: Envoy, tmp_path: Path
) -> None:
    curl = require_tool("curl")
    async with TcpApp(hello, envoy_server.address) as app:
        with start_envoy(
            "client",
            tmp_path,
            certificates.client,
            DESTINATION=app.authority,
            PEER_IP=envoy_server.address,
        ) as client:
            answer = await run_tool(curl, "-sS", f"http://{client.address}:{client.fixed_port}/")
    assert answer.stdout == b"hello", answer.stderr


async def hello(connection):
    await connection.receive()
    await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")
