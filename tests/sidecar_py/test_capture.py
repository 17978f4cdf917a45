"""Ways in where nothing redirects: PROXY preambles, SOCKS5; and who dials the proxy's own ports."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hbone_py.proxy_protocol import build_preamble
from tests.sidecar_py.applications import web_application
from tests.sidecar_py.pairs import pair
from tests.sidecar_py.sidecars import HOST, PORT
from tests.support.processes import eventually
from tests.support.tcp_apps import TcpApp, drop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.certificates import CertificateFiles
    from tests.support.tcp_apps import Connection

PREAMBLES = {"PROXY_PROTOCOL_CAPTURE": "true"}
LOCAL_COMMAND = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
"""A preamble of version 2 that names nobody."""


async def told(address: tuple[str, int], data: bytes, *, pieces: int = 1) -> bytes:
    """What comes back to `data`, until the other side ends or resets."""
    reader, writer = await asyncio.open_connection(*address)
    found = b""
    try:
        for start in range(0, len(data), -(-len(data) // pieces)):
            writer.write(data[start : start + -(-len(data) // pieces)])
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            while piece := await reader.read(65536):
                found += piece
    except ConnectionError:
        pass
    finally:
        drop(writer)
    return found


def request(host: str = f"{HOST}:{PORT}") -> bytes:
    return f"GET /headers HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize("pieces", [1, 40])
async def test_a_preamble_says_whom_the_application_means(
    certificates: Mapping[str, CertificateFiles], pieces: int
) -> None:
    async with pair(certificates, client_flags=PREAMBLES) as (client, _, at), web_application(at.app, at.port):
        where = client.plane.listeners["outbound"].address
        preamble = build_preamble((at.sleep, 45678), (at.vip, PORT))
        answer = await told(where, preamble + request(), pieces=pieces)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"spiffe://cluster.local/ns/default/sa/sleep" in answer
        await client.logged(f"{at.sleep}:45678")


async def test_a_preamble_says_who_calls_the_application(certificates: Mapping[str, CertificateFiles]) -> None:
    async with pair(certificates, PROXY_PROTOCOL_CAPTURE="true") as (_, server, at), web_application(at.app, at.port):
        where = server.plane.listeners["plaintext"].address
        answer = await told(where, build_preamble((at.sleep, 45678), (at.httpbin, at.port)) + request())
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"x-forwarded-client-cert" not in answer.lower()
        await server.logged(f"{at.sleep}:45678")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", "PROXY protocol", id="none"),
        pytest.param(LOCAL_COMMAND, "names no destination", id="of nobody"),
        pytest.param(LOCAL_COMMAND[:12] + b"\x11" + LOCAL_COMMAND[13:], "PROXY protocol", id="version 1 in version 2"),
    ],
)
async def test_a_bad_preamble_is_the_end(certificates: Mapping[str, CertificateFiles], data: bytes, why: str) -> None:
    async with pair(certificates, client_flags=PREAMBLES) as (client, _, _at):
        assert await told(client.plane.listeners["outbound"].address, data) == b""
        await eventually(lambda: any(why in line for line in client.lines), "logged")


async def test_nobody_means_our_own_port(certificates: Mapping[str, CertificateFiles]) -> None:
    async with pair(certificates) as (client, _, at):
        where = client.plane.listeners["outbound"].address
        assert await told(where, request()) == b""
        await client.logged("attempted recursive call to ourselves")
        by_socks = b"\x05\x01\0\x05\x01\0\x01" + bytes(map(int, at.sleep.split("."))) + where[1].to_bytes(2, "big")
        await told(client.plane.listeners["socks5"].address, by_socks)
        why = "attempted recursive call to ourselves"
        await eventually(lambda: [why in line for line in client.lines] == [True, True], "logged again")


async def test_nobody_comes_to_our_admin_port_in_the_applications_name(
    certificates: Mapping[str, CertificateFiles],
) -> None:
    """As where APP_ADDRESS is 127.0.0.1, and 15000 listens there."""
    reached: list[Connection] = []

    async def admin(connection: Connection) -> None:
        reached.append(connection)
        await connection.send(b"the admin page")

    async with pair(certificates, PROXY_PROTOCOL_CAPTURE="true") as (_, server, at), TcpApp(admin, at.app, 15000):
        where = server.plane.listeners["plaintext"].address
        assert await told(where, build_preamble((at.sleep, 45678), (at.httpbin, 15000)) + request()) == b""
        assert reached == []
        await server.logged("attempted recursive call to ourselves")


def by_name(name: str) -> bytes:
    return b"\x05\x01\0\x05\x01\0\x03" + bytes([len(name)]) + name.encode() + b"\0\x50"


@pytest.mark.parametrize(
    ("data", "answer", "why"),
    [
        pytest.param(by_name("nobody.example"), b"\x05\0\x05\x04", "unknown host nobody.example", id="unknown host"),
        pytest.param(b"\x04\x01\0\x50\x01\x02\x03\x04\0", b"", "socks5", id="SOCKS4"),
        pytest.param(b"\x05\x01\x02", b"\x05\xff", "socks5", id="a password"),
        pytest.param(b"\x05\x01\0\x05\x02\0\x01\x01\x02\x03\x04\0\x50", b"\x05\0\x05\x07", "socks5", id="BIND"),
    ],
)
async def test_socks5_refuses(
    certificates: Mapping[str, CertificateFiles], data: bytes, answer: bytes, why: str
) -> None:
    async with pair(certificates) as (client, _, _at):
        assert (await told(client.plane.listeners["socks5"].address, data)).startswith(answer)
        await eventually(lambda: any(why in line for line in client.lines), "logged")


async def test_a_client_that_leaves_in_between_is_no_error(certificates: Mapping[str, CertificateFiles]) -> None:
    async with pair(certificates) as (client, _, _at):
        _, writer = await asyncio.open_connection(*client.plane.listeners["socks5"].address)
        writer.write(b"\x05")
        await writer.drain()
        writer.close()
        await eventually(lambda: any("socks5" in line for line in client.lines), "logged")
