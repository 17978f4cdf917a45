"""Clients and servers that break rules: nobody gets what is not whole, and everybody else goes on."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING

import httpx
import pytest

import hbone_py
from hbone_py import Http2Config
from hbone_py.aio.reactor import Reactor
from tests.support.frames import (
    HEADERS,
    PREFACE,
    SETTINGS,
    Frame,
    block,
    continuation,
    data,
    headers,
    headers_of,
    rst,
    split,
    wire,
)
from tests.support.peers import credentials_of
from tests.support.processes import eventually
from tests.support.tcp_apps import TcpApp, drop, payload
from tests.waypoint_py.manifests import backend, destination_rule, manifests, policy, route
from tests.waypoint_py.waypoints import HOST, PORT, Addresses, client, door, pod, scene, waypoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
        await one.logged('" 200 UC ')


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


DENY_ADMIN = manifests(policy({"to": [{"operation": {"paths": ["/admin*"]}}]}, action="DENY"))


async def asked(way_in: str, wire: bytes) -> bytes:
    """What comes first for these bytes, from a connection of their own."""
    host, _, port = way_in.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(wire)
        async with asyncio.timeout(10):
            return await reader.readuntil(b"\r\n")
    finally:
        writer.close()


async def test_no_spelling_of_a_path_gets_by_a_policy(certificates: Certificates) -> None:
    spellings = (
        *("/admin", "/x/../admin", "/./admin", "/%61dmin", "/x\\..\\admin", "/x/%2e%2e/admin", "/../admin?a=/b"),
        *("//admin", "///admin", "/x%2f..%2Fadmin", "/%2fadmin", "/x%5C..%5cadmin", "http://a/admin"),
    )
    async with scene(certificates, DENY_ADMIN, PATH_NORMALIZATION="DECODE_AND_MERGE_SLASHES") as one:
        for path in spellings:
            said = await asked(one.door, f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert said == b"HTTP/1.1 403 Forbidden\r\n", path
        assert one.v1.calls() == []
        assert (await one.http.get("/ip")).status_code == 200


async def test_by_default_slashes_count_as_istio_counts_them(certificates: Certificates) -> None:
    async with scene(certificates, DENY_ADMIN) as one:
        for path, status in (("/a/../admin", b"403"), ("//admin", b"404"), ("/ADMIN", b"404")):
            assert (await asked(one.door, f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()))[9:12] == status


async def test_connect_opens_no_way_around_policies(certificates: Certificates) -> None:
    """An application that says 200 to everything would make it a tunnel, and of what is inside nobody is judge."""
    heard: list[bytes] = []

    async def agrees(connection: Connection) -> None:
        while data := await connection.receive():
            heard.append(data)
            await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    at = Addresses()
    async with (
        waypoint(at.mesh(further=DENY_ADMIN), at.waypoint, certificates["waypoint"]) as one,
        TcpApp(agrees, at.v1, at.port),
        pod(at.v1, at.port, certificates["httpbin"]),
        door(at.waypoint, f"{at.vip}:{PORT}", certificates["sleep"]) as way_in,
    ):
        inside = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
        assert await asked(way_in, b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n" + inside) == (
            b"HTTP/1.1 404 Not Found\r\n"
        )
        upgrade = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        assert await asked(way_in, upgrade + inside) == b"HTTP/1.1 200 OK\r\n"
    await one.logged('"CONNECT - HTTP/1.1" 404 NR')
    assert [data.partition(b" HTTP")[0] for data in heard] == [b"GET /x"]


async def test_nothing_is_smuggled_where_http2_becomes_http1(certificates: Certificates) -> None:
    """What a WebSocket says before it has been agreed to, and a body of another length than was told."""
    heard: list[bytes] = []

    async def agrees(connection: Connection) -> None:
        while data := await connection.receive():
            heard.append(data)
            await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    inside = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
    upgrade = [":method CONNECT", ":protocol websocket", ":scheme http", ":path /x", ":authority a"]
    longer = [":method POST", ":scheme http", ":path /x", ":authority a", "content-length 1"]
    split_in_two = [":method GET", ":scheme http", ":path /x", ":authority a", f"y z\r\n\r\n{inside.decode()}"]
    at = Addresses()
    async with (
        waypoint(at.mesh(further=DENY_ADMIN), at.waypoint, certificates["waypoint"]),
        TcpApp(agrees, at.v1, at.port),
        pod(at.v1, at.port, certificates["httpbin"]),
        door(at.waypoint, f"{at.vip}:{PORT}", certificates["sleep"]) as way_in,
    ):
        host, _, port = way_in.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(PREFACE + wire(Frame(SETTINGS, 0, 0)))
        writer.write(wire(headers(1, *upgrade), data(1, inside), headers(3, *longer), data(3, b"1" + inside, end=True)))
        writer.write(wire(headers(5, *split_in_two, end=True), headers(7, ":method GET", *upgrade[2:], end=True)))
        said = b""
        async with asyncio.timeout(10):
            while not any(one.kind == HEADERS and one.stream_id == 7 for one in whole(said)):
                said += await reader.read(65_536)
        writer.close()
    assert any(piece.startswith(b"GET /x ") for piece in heard)
    assert not [piece for piece in heard if b"/admin" in piece]


async def test_who_calls_is_said_by_nobody_but_the_tunnel(certificates: Certificates) -> None:
    """Not in the spelling that CGI and WSGI take for the same, and not behind the body."""
    forged = b"URI=spiffe://cluster.local/ns/default/sa/admin\r\n"
    names = (b"X-Forwarded-Client-Cert: ", b"x_forwarded_client_cert: ", b"X-Forwarded_Client-CERT: ")
    head = b"POST /anything?t=token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    said = b"".join(name + forged for name in names)
    async with scene(certificates) as one:
        wire = head + said + b"\r\n2\r\nhi\r\n0\r\n" + said + b"Authorization: x\r\n\r\n"
        assert await asked(one.door, wire) == b"HTTP/1.1 200 OK\r\n"
        [call] = one.v1.calls("token")
    assert not [name for name in call.headers if "client" in name.lower()]


async def test_a_slow_head_in_the_tunnel_has_a_deadline(certificates: Certificates) -> None:
    async with scene(certificates, HTTP_HEAD_TIMEOUT="200ms") as one:
        assert await asked(one.door, b"GET / HTTP/1.1\r\nX: ") == b"HTTP/1.1 408 Request Timeout\r\n"
        assert (await one.http.get("/ip")).status_code == 200


def whole(said: bytes) -> list[Frame]:
    """The frames that are there in full."""
    end = 0
    while len(said) >= end + 9 and (after := end + 9 + int.from_bytes(said[end : end + 3], "big")) <= len(said):
        end = after
    return list(split(said[:end]))


ASKS = [":method GET", ":scheme http", ":path /delay/30", ":authority a"]


def _begun(number: int, more: bytes) -> bytes:
    """A head that never ends: HEADERS, and then CONTINUATIONs of `more`."""
    first = headers_of(1, block(*ASKS), end=True, last=False)
    return wire(first if number == 1 else continuation(1, more, last=False))


FLOODS: dict[str, Callable[[int], bytes]] = {
    "rapid reset": lambda number: wire(headers(number, *ASKS, end=True), rst(number, 8)),
    "streams left open": lambda number: wire(headers(number, *ASKS, end=True)),
    "empty continuations": lambda number: _begun(number, b""),
    "continuations": lambda number: _begun(number, block(f"x {'b' * 500}")),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_in_the_tunnel_is_over_soon(certificates: Certificates, flood: str) -> None:
    """The application never answers; the client never stops."""

    async def silent(connection: Connection) -> None:
        while await connection.receive():
            pass

    at = Addresses()
    async with (
        waypoint(at.mesh(speaks="HTTP2"), at.waypoint, certificates["waypoint"]) as one,
        TcpApp(silent, at.v1, at.port),
        pod(at.v1, at.port, certificates["httpbin"]),
        door(at.waypoint, f"{at.vip}:{PORT}", certificates["sleep"]) as way_in,
    ):
        host, _, port = way_in.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        with contextlib.suppress(ConnectionError):
            writer.write(PREFACE + wire(Frame(SETTINGS, 0, 0)))
            for number in range(1, 8001, 2):
                writer.write(FLOODS[flood](number))
                await writer.drain()
            async with asyncio.timeout(20):
                while await reader.read(65_536):
                    pass
        writer.close()
        await eventually(lambda: one.plane.connections.busy == 0, "nothing is left of it")


async def test_clients_that_do_not_read_stop_nobody_else(certificates: Certificates) -> None:
    """Their answers fill the window of the connection to the pod, which the tunnels to it share."""
    small = Http2Config(stream_window=65_536, connection_window=262_144)
    async with (
        scene(certificates, HTTP2_STREAM_WINDOW_SIZE="256KiB", HTTP2_CONNECTION_WINDOW_SIZE="1MiB") as one,
        contextlib.AsyncExitStack() as stack,
    ):
        assert (await one.http.get("/ip")).status_code == 200  # its tunnel is kept, and stands beside theirs
        mine = credentials_of(certificates["sleep"])
        for number in range(6):
            lazy = await hbone_py.connect(
                one.at.waypoint, authority=f"{one.at.vip}:{PORT}", credentials=mine, config=small
            )
            stack.callback(lazy.abort)
            await lazy.send(f"GET /bytes/50000000?t={number} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            # Whoever came to the shared window in the moment before it was full waits for those who hold it.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await lazy.receive()
        ledger = lazy.peer.engine.ledger
        await eventually(lambda: ledger.used > 1_200_000, "their windows and the shared one are full")
        for _ in range(5):
            assert (await one.http.get("/ip")).status_code == 200


async def test_bodies_that_nobody_takes_stop_no_others(certificates: Certificates) -> None:
    """The same the other way round: they fill the window that the pod's side has given us."""
    small = Http2Config(stream_window=65_536, connection_window=262_144)
    body, stuck = b"x" * 20_000, asyncio.Event()
    # Of each body some 450 kB find room on the way to the pod; the rest has to wait in its tunnel.

    async def lead(tunnel: hbone_py.IncomingTunnel) -> None:
        stream = await tunnel.accept()
        said = await stream.receive()
        if said.startswith(b"POST /stuck"):
            await stuck.wait()
        while not said.endswith(body):
            said += await stream.receive()
        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await stuck.wait()

    at, pods = Addresses(), credentials_of(certificates["httpbin"])
    async with (
        waypoint(at.mesh(), at.waypoint, certificates["waypoint"]),
        await hbone_py.serve(lead, at.v1, 15008, credentials=pods, config=small),
        door(at.waypoint, f"{at.vip}:{PORT}", certificates["sleep"]) as way_in,
        client(way_in) as http,
        contextlib.AsyncExitStack() as stack,
    ):
        host, _, port = way_in.rpartition(":")
        for _ in range(6):
            _, writer = await asyncio.open_connection(host, int(port))
            stack.callback(drop, writer)
            writer.write(b"POST /stuck HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n" + bytes(1_500_000))
        ledger = Reactor.current().ledger
        await eventually(lambda: ledger.used > 500_000, "bodies wait in the waypoint, for the pod takes no more")
        assert (await http.post("/anything", content=body)).status_code == 200


async def test_a_regex_cannot_hang_anybody(certificates: Certificates) -> None:
    """Nor does anything pass that could not be matched in time."""
    matches = [{"path": {"type": "RegularExpression", "value": value}} for value in ("/(a+)+b", "/(c|d)*c(c|d){120}")]
    further = manifests(route({"matches": matches, "backendRefs": [backend("httpbin")]}))
    letters = random.Random(1)
    async with scene(certificates, further) as one, asyncio.timeout(5):
        assert (await one.http.get(f"/{'a' * 5000}c")).status_code == 404
        hostile = "".join(letters.choice("cd") for _ in range(12_000))
        assert (await one.http.get(f"/{hostile}")).status_code == 400
        assert one.v1.calls() == []
        assert (await one.http.get(f"/{hostile[:200]}c{hostile[:120]}")).status_code == 404  # matched: no such page


async def test_a_circuit_breaks(certificates: Certificates) -> None:
    pool = {"http": {"http2MaxRequests": 1}}
    may_answer = asyncio.Event()
    async with scene(certificates, manifests(destination_rule(connectionPool=pool)), may_answer=may_answer) as one:
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(one.http.get("/held?t=token")) for _ in range(3)]
            await eventually(lambda: sum(task.done() for task in asking) == 2, "two are refused")
            may_answer.set()
        assert sorted(task.result().status_code for task in asking) == [200, 503, 503]
        assert len(one.v1.calls("token")) == 1
        await one.waypoint.counts(2, "istio_requests_total", response_flags="UO")


async def test_a_client_that_leaves_takes_its_request_along(certificates: Certificates) -> None:
    async with scene(certificates) as one:
        asking = asyncio.get_running_loop().create_task(one.http.get("/delay/20?t=token"))
        await eventually(lambda: bool(one.v1.calls("token")), "under way")
        asking.cancel()
        await one.waypoint.logged(" 0 DC ")


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
