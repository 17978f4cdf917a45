"""One real HTTP request by SOCKS5, and the questions asked to witnesses afterwards."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

from mesh_py.identity.layout import CERT_CHAIN, KEY, ROOT_CERT, identity_folder
from ztunnel_py.config import Ports
from ztunnel_py.world import HOSTNAME, SERVICE_PORT, SLEEP

if TYPE_CHECKING:
    from ztunnel_py.world import World, WorldFiles

DEADLINE = 10.0
"""Seconds for each question."""
_NO_AUTHENTICATION = b"\x05\x01\x00"
_SETTINGS = 4


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    body: str


class DemoFailed(Exception):
    """A question got no answer; the text says which."""


async def request_by_socks(world: World, path: str, headers: dict[str, str]) -> Answer:
    """GET from the service by its name, through node-a's SOCKS5 listener. Raises DemoFailed."""
    try:
        async with asyncio.timeout(DEADLINE):
            reader, writer = await asyncio.open_connection(world.node_a.address, Ports().socks5)
            try:
                await _socks_connect(reader, writer)
                return await _get(reader, writer, f"{HOSTNAME}:{SERVICE_PORT}", path, headers)
            finally:
                writer.close()
    except TimeoutError:
        raise DemoFailed(f"no answer through {world.socks} in {DEADLINE:.0f} s") from None
    except (OSError, EOFError, ValueError) as error:
        raise DemoFailed(f"the request through {world.socks} failed: {error}") from None


async def _socks_connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """RFC 1928: no authentication, CONNECT, the host by name."""
    name = HOSTNAME.encode()
    writer.write(_NO_AUTHENTICATION)
    if await reader.readexactly(2) != b"\x05\x00":
        raise ValueError("SOCKS5 wants authentication")
    writer.write(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + SERVICE_PORT.to_bytes(2, "big"))
    reply = await reader.readexactly(10)
    if reply[1] != 0:
        raise ValueError(f"SOCKS5 refused with code {reply[1]}")


async def get(host: str, port: int, path: str) -> Answer:
    """GET straight from an address. Raises DemoFailed."""
    try:
        async with asyncio.timeout(DEADLINE):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                return await _get(reader, writer, f"{host}:{port}", path, {})
            finally:
                writer.close()
    except TimeoutError:
        raise DemoFailed(f"http://{host}:{port}{path}: no answer in {DEADLINE:.0f} s") from None
    except (OSError, EOFError, ValueError) as error:
        raise DemoFailed(f"http://{host}:{port}{path}: {error}") from None


async def _get(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str, headers: dict[str, str]
) -> Answer:
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    names = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    # Without a length the end of the stream is the end of the body.
    length = names.get("content-length")
    body = await (reader.readexactly(int(length)) if length is not None else reader.read())
    return Answer(int(head[0].split()[1]), body.decode(errors="replace"))


async def config_dump(host: str) -> dict[str, Any]:
    """What a node's admin port tells. Raises DemoFailed."""
    answer = await get(host, Ports().admin, "/config_dump")
    try:
        dump: dict[str, Any] = json.loads(answer.body)
    except ValueError:
        raise DemoFailed(f"{host}: its config dump is no JSON") from None
    return dump


async def shown_identity(world: World, files: WorldFiles) -> str:
    """Who 15008 of node-b proves to be to sleep; empty if it is no HTTP/2 behind mutual TLS."""
    context = _tls_context(files)
    folder = identity_folder(files.certificates, SLEEP)
    context.load_cert_chain(folder / CERT_CHAIN, folder / KEY)
    try:
        certificate, first_frame = await _hello(world, context)
    except (OSError, EOFError, TimeoutError):
        return ""
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    return names[0] if len(names) == 1 and first_frame[3] == _SETTINGS else ""


async def refuses_strangers(world: World, files: WorldFiles) -> bool:
    """Whether 15008 of node-b says nothing to a client that shows no certificate."""
    try:
        await _hello(world, _tls_context(files))
    except ssl.SSLError:
        return True
    except (OSError, EOFError, TimeoutError):
        return False
    return False


def _tls_context(files: WorldFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # SPIFFE names no hosts; the caller looks at the URI
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    context.load_verify_locations(identity_folder(files.certificates, SLEEP) / ROOT_CERT)
    return context


async def _hello(world: World, context: ssl.SSLContext) -> tuple[dict[str, Any], bytes]:
    """The certificate 15008 shows, and the header of the first frame that it sends."""
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection(world.httpbin_ip, Ports().inbound, ssl=context)
        try:
            frame = await reader.readexactly(9)
            return writer.get_extra_info("peercert"), frame
        finally:
            writer.transport.abort()
