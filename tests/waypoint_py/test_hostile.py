"""Clients and servers that break rules: nobody gets what is not whole, and everybody else goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.processes import eventually
from tests.support.tcp_apps import TcpApp, payload
from tests.waypoint_py.manifests import backend, destination_rule, manifests, route
from tests.waypoint_py.waypoints import HOST, PORT, Addresses, client, door, pod, scene, waypoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.certificates import CertificateFiles
    from tests.support.tcp_apps import Connection

    Certificates = Mapping[str, CertificateFiles]

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(HEAD + b"x" * 100, id="length"),
        pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", id="chunks"),
    ],
)
async def test_a_body_that_is_cut_short_is_never_whole(certificates: Certificates, said: bytes) -> None:
    async def cut(connection: Connection) -> None:
        await connection.receive()
        await connection.send(said)

    at = Addresses()
    async with (
        waypoint(at.mesh(), at.waypoint, certificates["waypoint"]) as one,
        TcpApp(cut, at.v1, at.port),
        pod(at.v1, at.port, certificates["httpbin"]),
        door(at.waypoint, f"{at.vip}:{PORT}", certificates["sleep"]) as way_in,
        client(way_in) as http,
    ):
        with pytest.raises(httpx.TransportError):
            await http.get("/")
        await eventually(lambda: bool(one.lines), "logged")
        assert '" 200 UC ' in one.lines[0]


async def test_an_answer_that_is_no_http_is_502(certificates: Certificates) -> None:
    async def babble(connection: Connection) -> None:
        await connection.receive()
        await connection.send(b"hello?\r\n\r\n")

    at = Addresses()
    async with (
        waypoint(at.mesh(), at.waypoint, certificates["waypoint"]),
        TcpApp(babble, at.v1, at.port),
        pod(at.v1, at.port, certificates["httpbin"]),
        door(at.waypoint, f"{at.vip}:{PORT}", certificates["sleep"]) as way_in,
        client(way_in) as http,
    ):
        assert (await http.get("/")).status_code == 502


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400", id="two hosts"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"400",
            id="smuggling",
        ),
        pytest.param(b"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", b"400", id="an escaped NUL"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", b"431", id="a huge header"),
    ],
)
async def test_what_two_readers_may_read_in_two_ways(
    certificates: Certificates, request_: bytes, status: bytes
) -> None:
    async with scene(certificates) as one:
        host, _, port = one.door.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request_)
        assert (await reader.readuntil(b" "), await reader.readexactly(3)) == (b"HTTP/1.1 ", status)
        writer.close()
        assert one.v1.calls() == []
        assert (await one.http.get("/ip")).status_code == 200


async def test_a_regex_cannot_hang_anybody(certificates: Certificates) -> None:
    match = {"path": {"type": "RegularExpression", "value": "/(a+)+b"}}
    further = manifests(route({"matches": [match], "backendRefs": [backend("httpbin")]}))
    async with scene(certificates, further) as one, asyncio.timeout(5):
        assert (await one.http.get(f"/{'a' * 5000}c")).status_code == 404


async def test_a_circuit_breaks(certificates: Certificates) -> None:
    pool = {"http": {"http2MaxRequests": 1}}
    async with scene(certificates, manifests(destination_rule(connectionPool=pool))) as one:
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(one.http.get("/delay/0.2?t=token")) for _ in range(3)]
        assert sorted(task.result().status_code for task in asking) == [200, 503, 503]
        assert len(one.v1.calls("token")) == 1
        assert one.waypoint.counted("istio_requests_total", response_flags="UO") == 2


async def test_a_client_that_leaves_takes_its_request_along(certificates: Certificates) -> None:
    async with scene(certificates) as one:
        with pytest.raises(httpx.ReadTimeout):
            await one.http.get("/delay/20?t=token", timeout=0.3)
        await one.http.aclose()
        await eventually(lambda: bool(one.waypoint.lines), "logged")
        assert " 0 DC " in one.waypoint.lines[0]


async def test_the_mesh_may_change_under_load(certificates: Certificates) -> None:
    async with scene(certificates) as one, asyncio.TaskGroup() as group:

        async def ask() -> None:
            for _ in range(30):
                assert (await one.http.get("/ip", headers={"host": HOST})).status_code == 200

        asking = [group.create_task(ask()) for _ in range(3)]
        versions = [one.at.mesh(), one.at.mesh(further=manifests(route({"backendRefs": [backend("v2")]})))]
        while not all(task.done() for task in asking):
            for version in versions:
                one.waypoint.take(version)
                await one.http.post("/echo", content=payload(1000))
