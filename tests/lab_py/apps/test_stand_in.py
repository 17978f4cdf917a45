"""Stand-ins told apart by their addresses; HTTP is answered, anything else comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any

import pytest

from lab_py.apps.stand_in import Place, serve
from tests.support.processes import PeerProcess, loopback_address, run_tool
from tests.support.require import require_tool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@contextlib.asynccontextmanager
async def standing_in(*workloads: str) -> AsyncIterator[list[tuple[str, int]]]:
    places = [Place("shop", name, [loopback_address()], [0]) for name in workloads]
    async with serve(places) as (listening, problems):
        assert problems == []
        yield listening


async def exchange(address: tuple[str, int], *pieces: bytes, end: bool = True) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if end:
            writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


def told(reply: bytes) -> dict[str, Any]:
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    found: dict[str, Any] = json.loads(body)
    return found


async def test_http_is_told_whom_it_reached() -> None:
    async with standing_in("cart", "web") as (_, web):
        found = told(
            await exchange(web, b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", end=False)
        )
    assert (found["namespace"], found["workload"], found["address"]) == ("shop", "web", f"{web[0]}:{web[1]}")
    assert found["caller"].startswith("127.0.0.1:")
    assert (found["method"], found["path"], found["body"]) == ("POST", "/a?b=c", "hello")
    assert found["headers"] == {"Host": "x", "Content-Length": "5"}


async def test_a_request_in_pieces() -> None:
    async with standing_in("cart") as [cart]:
        assert told(await exchange(cart, b"GE", b"T / HTTP", b"/1.0\r\nA: b\r\n", b"\r\n", end=False))["path"] == "/"


@pytest.mark.interop
async def test_curl_understands() -> None:
    async with standing_in("cart") as [cart]:
        curl = require_tool("curl")
        done = await run_tool(curl, "-sS", "-d", "x=1", f"http://{cart[0]}:{cart[1]}/a")
        head = await run_tool(curl, "-sS", "--head", f"http://{cart[0]}:{cart[1]}/a")
    assert json.loads(done.stdout)["body"] == "x=1"
    assert b"200 OK" in head.stdout


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"hello", id="text"),
        pytest.param(b"\x16\x03\x01\x00\xff" * 50_000, id="TLS-like, long"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(b"GET", id="the beginning of a request"),
        pytest.param(b"GET me out of here\r\n\r\n", id="like a request"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\r\n\r\n\x00", id="the beginning of a preamble"),
    ],
)
async def test_anything_else_comes_back(data: bytes) -> None:
    async with standing_in("cart") as [cart]:
        assert await exchange(cart, data) == data


async def test_a_proxy_preamble_is_told() -> None:
    identity = b"spiffe://cluster.local/ns/shop/sa/web"
    addresses = bytes([10, 0, 0, 1, 10, 0, 0, 2]) + struct.pack(">HH", 1234, 80)
    body = addresses + struct.pack(">BH", 0xD0, len(identity)) + identity
    preamble = b"\r\n\r\n\x00\r\nQUIT\n" + struct.pack(">BBH", 0x21, 0x11, len(body)) + body
    async with standing_in("cart") as [cart]:
        found = told(await exchange(cart, preamble[:20], preamble[20:], b"GET / HTTP/1.1\r\n\r\n", end=False))
        assert found["proxied"] == {
            "source": "10.0.0.1:1234",
            "destination": "10.0.0.2:80",
            "identity": identity.decode(),
        }
        assert await exchange(cart, preamble + b"hello") == b"hello"


async def test_a_place_that_cannot_be_had_does_not_hinder_the_others() -> None:
    with socket.socket() as taken:
        taken.bind((loopback_address(), 0))
        taken.listen()
        ip, port = taken.getsockname()
        places = [Place("shop", "cart", [ip], [port]), Place("shop", "web", [loopback_address()], [0])]
        async with serve(places) as (listening, problems):
            assert problems == [f"shop/cart: {ip}:{port}: address already in use"]
            assert await exchange(listening[0], b"hello") == b"hello"


async def test_the_end_drops_who_is_still_there() -> None:
    async with standing_in("cart") as [cart]:
        reader, writer = await asyncio.open_connection(*cart)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()


def test_as_a_process(tmp_path: Path) -> None:
    ip = loopback_address()
    file = tmp_path / "places.json"
    file.write_text(
        json.dumps([{"namespace": "shop", "workload": "cart", "ips": [ip, "203.0.113.1"], "ports": [8080]}])
    )
    process = PeerProcess(
        [sys.executable, "-W", "error", "-m", "lab_py.apps.stand_in", "--places", str(file)], tmp_path / "log"
    )
    try:
        process.wait_until(lambda: f"stand-ins listening on {ip}:8080" in process.output, "ready")
        with socket.create_connection((ip, 8080)) as caller:
            caller.sendall(b"hello")
            assert caller.recv(5) == b"hello"
        assert "warning: shop/cart: 203.0.113.1:8080: cannot assign requested address" in process.output
    finally:
        process.stop()
    assert process._process.returncode == 0
