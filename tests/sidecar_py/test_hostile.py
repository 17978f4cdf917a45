"""Clients and servers that are slow, broken or greedy: each costs a bounded time and memory, and nobody is fooled."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.sidecar_py.applications import web_application
from tests.sidecar_py.doors import dialled_by_socks
from tests.sidecar_py.pairs import KINDS, URL, pair
from tests.sidecar_py.sidecars import HOST, PORT
from tests.support.processes import eventually, settled
from tests.support.tcp_apps import Connection, TcpApp, drop, echo, reset_after

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.sidecar_py.sidecars import SidecarUnderTest
    from tests.support.certificates import CertificateFiles

HEAD = f"GET /ip HTTP/1.1\r\nHost: {HOST}:{PORT}\r\n"
LAST = f"{HEAD}Connection: close\r\n"
QUICK = {"HTTP_HEAD_TIMEOUT": "100ms", "HTTP_STREAM_IDLE_TIMEOUT": "100ms", "PROTOCOL_DETECTION_TIMEOUT": "100ms"}


async def said(client: SidecarUnderTest, *pieces: str) -> bytes:
    """What comes back for raw bytes, to the end of the connection."""
    reader, writer = await dialled_by_socks(client.socks, HOST, PORT)
    try:
        for piece in pieces:
            writer.write(piece.encode("latin-1"))
            await writer.drain()
        async with asyncio.timeout(8):
            return await reader.read()
    finally:
        drop(writer)


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        pytest.param(f"{HEAD}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, id="two lengths"),
        pytest.param(f"{HEAD}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde", 400, id="two content-lengths"),
        pytest.param(f"{HEAD}Transfer-Encoding: chunked, identity\r\n\r\n", 400, id="an odd coding"),
        pytest.param(f"{HEAD}X: a\nY: b\r\n\r\n", 400, id="a bare line feed"),
        pytest.param(f"{HEAD}X : a\r\n\r\n", 400, id="a space before the colon"),
        pytest.param("GET /ip HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param(f"{HEAD}Host: other\r\n\r\n", 400, id="two hosts"),
        pytest.param(f"{HEAD}X: {'a' * 100_000}\r\n\r\n", 431, id="a huge head"),
        pytest.param(HEAD + "".join(f"X-{n}: a\r\n" for n in range(500)) + "\r\n", 431, id="many fields"),
        pytest.param(f"GET /{'a' * 100_000} HTTP/1.1\r\nHost: {HOST}\r\n\r\n", 414, id="a huge path"),
        pytest.param(f"{LAST.replace('/ip', '/%00')}\r\n", 400, id="an escaped NUL"),
    ],
)
async def test_what_two_readers_may_read_in_two_ways_is_refused(
    certificates: Mapping[str, CertificateFiles], request_text: str, status: int
) -> None:
    smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with pair(certificates) as (client, _, at), web_application(at.app, at.port) as record:
        answer = await said(client, request_text, smuggled)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:200]
        assert answer.count(b"HTTP/1.1 ") == 1
        assert record.calls("smuggled") == []


async def test_a_slow_head_has_a_deadline(certificates: Mapping[str, CertificateFiles]) -> None:
    async with pair(certificates, client_flags=QUICK) as (client, _, at), web_application(at.app, at.port):
        answer = await said(client, HEAD)
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")


async def test_a_slow_body_has_a_deadline(certificates: Mapping[str, CertificateFiles]) -> None:
    async with pair(certificates, client_flags=QUICK) as (client, server, at), web_application(at.app, at.port):
        text = HEAD.replace("GET /ip", "POST /anything") + "Content-Length: 100\r\n\r\nbegun"
        answer = await said(client, text)
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        await client.logged(" 408 SI ")
        await eventually(lambda: server.plane.connections.busy == 0, "the upstream is told")


async def test_an_idle_connection_has_a_deadline(certificates: Mapping[str, CertificateFiles]) -> None:
    idle = {"HTTP_IDLE_TIMEOUT": "100ms"}
    async with pair(certificates, client_flags=idle) as (client, _, at), web_application(at.app, at.port):
        answer = await said(client, f"{HEAD}\r\n")  # to the end, which is not the client's doing
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        await eventually(lambda: len(client.plane.connections) == 0, "let go")


@pytest.mark.parametrize("kind", KINDS)
async def test_an_application_that_is_not_there(certificates: Mapping[str, CertificateFiles], kind: str) -> None:
    async with pair(certificates, KINDS[kind]) as (client, server, _), client.client() as http:
        answer = await http.get(f"{URL}/ip")
        assert answer.status_code == 503
        await client.logged(" 503 ")
        await eventually(lambda: any(" 503 UF" in line for line in (*server.lines, *client.lines)), "told")


@pytest.mark.parametrize("kind", KINDS)
async def test_an_application_that_resets(certificates: Mapping[str, CertificateFiles], kind: str) -> None:
    async with pair(certificates, KINDS[kind]) as (client, server, at), TcpApp(reset_after(4), at.app, at.port):
        async with client.client() as http:
            assert (await http.get(f"{URL}/ip")).status_code == 503
        await server.logged(" 503 UC ")


FORGED = {
    "x-forwarded-client-cert": "URI=spiffe://cluster.local/ns/default/sa/admin",
    "x_forwarded_client_cert": "URI=spiffe://cluster.local/ns/default/sa/admin",
    "x-envoy-internal": "true",
    "x-envoy-external-address": "10.9.9.9",
    "x-envoy-original-path": "/admin",
}


async def test_nobody_outside_the_mesh_says_who_it_is(certificates: Mapping[str, CertificateFiles]) -> None:
    async with (
        pair(certificates) as (_, _, at),
        web_application(at.app, at.port),
        httpx.AsyncClient(trust_env=False, verify=False) as http,
    ):
        seen = (await http.get(f"http://{at.httpbin}:{at.port}/headers", headers=FORGED)).json()["headers"]
    assert not [name for name in FORGED if name in {one.lower() for one in seen}]


async def test_connect_opens_no_way_around_policies(certificates: Mapping[str, CertificateFiles]) -> None:
    """An application that says 200 to everything would make it a tunnel, and of what is inside nobody is judge."""
    heard: list[bytes] = []

    async def agrees(connection: Connection) -> None:
        while data := await connection.receive():
            heard.append(data)
            await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async with pair(certificates) as (client, server, at), TcpApp(agrees, at.app, at.port):
        answer = await said(client, f"CONNECT {HOST}:{PORT} HTTP/1.1\r\nHost: {HOST}:{PORT}\r\n\r\n", f"{HEAD}\r\n")
        assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
        await server.logged(" 404 NR ")
        assert heard == []


@pytest.mark.parametrize(
    "line", [pytest.param("GET /a b HTTP/1.1", id="a space"), pytest.param("GET / HTTP/1.2", id="no version of HTTP")]
)
async def test_a_port_of_http_takes_nothing_else(certificates: Mapping[str, CertificateFiles], line: str) -> None:
    """A lenient application would believe the header, which as bytes nobody had taken away."""
    service = ", appProtocols: {8000: HTTP11}"
    async with pair(certificates, service=service) as (_, _, at), TcpApp(echo, at.app, at.port) as app:
        reader, writer = await asyncio.open_connection(at.httpbin, at.port)
        writer.write(f"{line}\r\nHost: a\r\nx-forwarded-client-cert: URI=spiffe://a/ns/b/sa/c\r\n\r\n".encode())
        async with asyncio.timeout(8):
            assert (await reader.read()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        drop(writer)
        assert app.connections == []


async def test_an_answer_that_stops_has_a_deadline(certificates: Mapping[str, CertificateFiles]) -> None:
    async def stop_halfway(connection: Connection) -> None:
        await connection.receive()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
        await connection.receive()

    async with pair(certificates, client_flags=QUICK) as (client, _, at), TcpApp(stop_halfway, at.app, at.port):
        reader, writer = await dialled_by_socks(client.socks, HOST, PORT)
        writer.write(f"{HEAD}\r\n".encode())
        with pytest.raises(ConnectionResetError):
            await reader.read()
        drop(writer)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", id="by length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", id="chunked"),
    ],
)
async def test_half_an_answer_is_never_a_whole_one(
    certificates: Mapping[str, CertificateFiles], kind: str, answer: bytes
) -> None:
    async def half(connection: Connection) -> None:
        await connection.receive()
        await connection.send(answer)

    async with pair(certificates, KINDS[kind]) as (client, server, at), TcpApp(half, at.app, at.port):
        async with client.client() as http:
            with pytest.raises(httpx.TransportError):
                await http.get(f"{URL}/ip")
        for side in (server, client):
            await side.logged(" 200 UC ")


@pytest.mark.parametrize(
    ("say", "status", "flag"),
    [
        pytest.param(b"", 503, "UC", id="gone without a word"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", 503, "UC", id="gone within its head"),
        pytest.param(b"220 ready\r\n", 502, "UPE", id="no HTTP"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 502, "UPE", id="two lengths"
        ),
    ],
)
async def test_an_application_that_is_broken(
    certificates: Mapping[str, CertificateFiles], say: bytes, status: int, flag: str
) -> None:
    async def broken(connection: Connection) -> None:
        await connection.receive()
        await connection.send(say)

    async with pair(certificates) as (client, server, at), TcpApp(broken, at.app, at.port), client.client() as http:
        answer = await http.get(f"{URL}/ip")
        assert answer.status_code == status
        await server.logged(f" {status} {flag} ")


TIMEOUT = """\
manifests:
- apiVersion: gateway.networking.k8s.io/v1
  kind: HTTPRoute
  metadata: {name: impatient, namespace: default}
  spec:
    parentRefs: [{kind: Service, group: "", name: httpbin, port: 8000}]
    rules: [{timeouts: {request: 500ms}, backendRefs: [{name: httpbin, port: 8000}]}]
"""


async def test_a_route_has_its_time(certificates: Mapping[str, CertificateFiles]) -> None:
    async with pair(certificates, further=TIMEOUT) as (client, server, at), web_application(at.app, at.port):
        async with client.client() as http:
            answer = await http.get(f"{URL}/delay/5")
        assert (answer.status_code, answer.text) == (504, "upstream request timeout")
        await client.logged(" 504 UT ")
        await server.logged(" 0 DC ")


async def test_a_client_that_leaves(certificates: Mapping[str, CertificateFiles]) -> None:
    async with pair(certificates) as (client, server, at), web_application(at.app, at.port):
        _, writer = await dialled_by_socks(client.socks, HOST, PORT)
        writer.write(f"{HEAD.replace('/ip', '/delay/30')}\r\n".encode())
        await eventually(lambda: server.plane.connections.busy == 1, "under way")
        drop(writer)
        await eventually(lambda: server.plane.connections.busy == 0, "the far side is told")
        await client.logged(" 0 DC ")
        await server.logged(" 0 DC ")


async def test_one_client_too_many(certificates: Mapping[str, CertificateFiles]) -> None:
    few = {"MAX_CONNECTIONS": "4"}
    async with pair(certificates, client_flags=few) as (client, _, at), web_application(at.app, at.port):
        held = [await dialled_by_socks(client.socks, HOST, PORT) for _ in range(4)]
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await dialled_by_socks(client.socks, HOST, PORT)
        assert client.plane.connections.refused > 0
        for _, writer in held:
            drop(writer)
        await eventually(lambda: len(client.plane.connections) == 0, "let go")
        async with client.client() as http:
            assert (await http.get(f"{URL}/ip")).status_code == 200


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
async def test_clients_who_hold_connections_without_a_request_keep_nobody_out(
    certificates: Mapping[str, CertificateFiles], version: str
) -> None:
    few = {"MAX_CONNECTIONS": "2"}
    async with (
        pair(certificates, client_flags=few) as (client, _, at),
        web_application(at.app, at.port),
        AsyncExitStack() as held,
    ):
        holding = [
            await held.enter_async_context(client.client(http1=version == "HTTP/1.1", http2=version == "HTTP/2"))
            for _ in range(3)
        ]
        for http in holding:  # each keeps its connection, and the last one finds both places taken
            assert (await http.get(f"{URL}/status/404")).status_code in (404, 502)  # the application has no HTTP/2
        assert client.plane.connections.refused == 0
        await eventually(lambda: len(client.plane.connections) == 2, "the first one gone")
        assert (await holding[0].get(f"{URL}/status/404")).status_code in (404, 502)  # by a new connection


async def test_idle_clients_cost_little(certificates: Mapping[str, CertificateFiles]) -> None:
    async with pair(certificates) as (client, _, at), web_application(at.app, at.port):
        idle = [await dialled_by_socks(client.socks, HOST, PORT) for _ in range(100)]
        assert len(client.plane.connections) == 100
        async with client.client() as http:
            answers = await asyncio.gather(*(http.get(f"{URL}/ip") for _ in range(30)))
        assert {answer.status_code for answer in answers} == {200}
        for _, writer in idle:
            drop(writer)


async def test_a_reader_that_does_not_read(certificates: Mapping[str, CertificateFiles]) -> None:
    """What it does not take is held by nobody: the application is made to wait."""
    sent = 0

    async def pour(connection: Connection) -> None:
        nonlocal sent
        await connection.receive()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                await connection.send(bytes(65536))
                sent += 65536

    async with pair(certificates) as (client, _, at), TcpApp(pour, at.app, at.port):
        _, writer = await dialled_by_socks(client.socks, HOST, PORT)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(f"{HEAD}\r\n".encode())
        assert await settled(lambda: sent) < 40_000_000
        drop(writer)
