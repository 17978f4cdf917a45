"""The server below the three surfaces: bounds, and its end."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest
from aiohttp import web

from mesh_py.admin import http_server
from mesh_py.admin.http_server import serve_http, text
from tests.support.processes import eventually


async def hello(_: web.Request) -> web.Response:
    return text(200, "hello\n")


async def raw(port: int, request: bytes) -> bytes:
    """Everything that is answered to these bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await reader.read()
    finally:
        writer.close()


async def test_a_path_is_served_on_every_socket(client, free_socket):
    async with serve_http([free_socket(), free_socket("::1")], {"/hello": hello}) as server:
        (_, port), (_, port6) = server.addresses
        for url in (f"http://127.0.0.1:{port}/hello", f"http://[::1]:{port6}/hello"):
            async with client.get(url) as response:
                assert (response.status, await response.text()) == (200, "hello\n")
                assert "Server" not in response.headers


@pytest.mark.parametrize("path", ["/", "/other", "/hello/", "/../etc/passwd", "/%2e%2e/x"])
async def test_any_other_path_is_an_empty_404(client, free_socket, path: str):
    async with serve_http([free_socket()], {"/hello": hello}) as server:
        url = f"http://127.0.0.1:{server.addresses[0][1]}{path}"
        async with client.get(url) as response:
            assert (response.status, await response.read()) == (404, b"")


async def test_a_failing_handler_is_a_500_and_the_server_goes_on(client, free_socket, caplog):
    async def broken(_: web.Request) -> web.Response:
        raise RuntimeError("secret detail")

    async with serve_http([free_socket()], {"/broken": broken, "/hello": hello}) as server:
        url = f"http://127.0.0.1:{server.addresses[0][1]}"
        async with client.get(f"{url}/broken") as response:
            assert response.status == 500
            assert "secret detail" not in await response.text()
        async with client.get(f"{url}/hello") as response:
            assert response.status == 200
    assert "secret detail" in caplog.text


async def test_a_long_header_is_refused(free_socket):
    async with serve_http([free_socket()], {"/hello": hello}) as server:
        request = b"GET /hello HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 10_000 + b"\r\n\r\n"
        answer = await raw(server.addresses[0][1], request)
    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))


async def test_a_client_that_never_finishes_its_request_is_dropped(free_socket, monkeypatch):
    monkeypatch.setattr(http_server, "IDLE_SECONDS", 0.05)
    async with serve_http([free_socket()], {"/hello": hello}) as server:
        assert await raw(server.addresses[0][1], b"GET /hello HT") == b""


async def test_too_many_connections_are_told_so(client, free_socket, monkeypatch):
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", 3)
    go_on, asked = asyncio.Event(), 0

    async def slow(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        await go_on.wait()
        return text(200)

    async with serve_http([free_socket()], {"/hello": hello, "/slow": slow}) as server:
        port = server.addresses[0][1]
        async with asyncio.TaskGroup() as group:
            slow_ones = [group.create_task(status_of(client, f"http://127.0.0.1:{port}/slow")) for _ in range(3)]
            await eventually(lambda: asked == 3, "all places taken")
            assert await status_of(client, f"http://127.0.0.1:{port}/hello") == 503
            go_on.set()
        assert [one.result() for one in slow_ones] == [200] * 3


async def status_of(client: aiohttp.ClientSession, url: str) -> int:
    async with client.get(url) as response:
        return response.status


async def test_who_holds_connections_and_asks_nothing_keeps_nobody_out(client, free_socket, monkeypatch):
    """A probe that heard 503 would take the pod out of service."""
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", 3)
    async with serve_http([free_socket()], {"/hello": hello}) as server:
        port = server.addresses[0][1]
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        async with client.get(f"http://127.0.0.1:{port}/hello") as response:
            assert response.status == 200
        async with asyncio.timeout(10):
            assert [await reader.read() for reader, _ in idle[:3]] == [b""] * 3
        assert not any(reader.at_eof() for reader, _ in idle[3:])
        for _, writer in idle:
            writer.close()
            await writer.wait_closed()


async def test_who_only_connects_makes_room_for_the_next(free_socket, monkeypatch):
    """Nobody has to ask anything for that: else silent connections would take all our files."""
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", 3)
    async with serve_http([free_socket()], {"/hello": hello}) as server, contextlib.AsyncExitStack() as clients:
        readers = []
        for _ in range(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.addresses[0][1])
            clients.callback(writer.close)
            readers.append(reader)
        async with asyncio.timeout(10):
            assert [await reader.read() for reader in readers[:6]] == [b""] * 6
        assert not readers[-1].at_eof()


async def test_draining_ends_connections_that_have_asked_nothing(free_socket):
    async with serve_http([free_socket()], {"/hello": hello}) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.addresses[0][1])
        writer.write(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"hello\n")).startswith(b"HTTP/1.1 200")
        await server.drain()
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()


async def test_draining_refuses_newcomers_and_lets_open_requests_end(client, free_socket):
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        entered.set()
        await go_on.wait()
        return text(200, "late\n")

    async with serve_http([free_socket()], {"/slow": slow}) as server, asyncio.TaskGroup() as group:
        url = f"http://127.0.0.1:{server.addresses[0][1]}/slow"
        request = group.create_task(read(client, url))
        await entered.wait()
        await server.drain()
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.get(url)
        go_on.set()
        assert await request == (200, "late\n")


async def test_leaving_cuts_what_takes_too_long(client, free_socket):
    entered = asyncio.Event()

    async def endless(_: web.Request) -> web.Response:
        entered.set()
        await asyncio.Event().wait()
        return text(200)

    async with asyncio.TaskGroup() as group:
        async with serve_http([free_socket()], {"/endless": endless}, grace=0.05) as server:
            request = group.create_task(failure(client, f"http://127.0.0.1:{server.addresses[0][1]}/endless"))
            await entered.wait()
        assert isinstance(await request, aiohttp.ServerDisconnectedError)


async def test_leaving_closes_the_sockets(free_socket):
    sock = free_socket()
    async with serve_http([sock], {"/hello": hello}):
        pass
    assert sock.fileno() == -1


async def read(client: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with client.get(url) as response:
        return response.status, await response.text()


async def failure(client: aiohttp.ClientSession, url: str) -> Exception | None:
    try:
        async with client.post(url):  # the client would try a GET again
            pass
    except aiohttp.ClientError as error:
        return error
    return None


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01 no hello of TLS\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nno header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n",
        b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_no_request_is_answered_and_no_bug_of_ours(
    free_socket, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    caplog.set_level("DEBUG", "admin")
    async with serve_http([free_socket()], {"/hello": hello}) as server:
        assert (await raw(server.addresses[0][1], garbage)).startswith(b"HTTP/1.")
    assert [record.exc_info for record in caplog.records if record.levelname != "DEBUG"] == []
    assert "127.0.0.1" in caplog.messages[-1]
