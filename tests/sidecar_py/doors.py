"""A door for clients that know no SOCKS: what connects to it goes to one destination through a sidecar's SOCKS5."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from tests.support.tcp_apps import CHUNK, drop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def dialled_by_socks(socks: str, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to `host`:`port` through SOCKS5."""
    reader, writer = await asyncio.open_connection(*_split(socks))
    name = host.encode()
    writer.write(b"\x05\x01\x00")
    assert await reader.readexactly(2) == b"\x05\x00"
    writer.write(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + port.to_bytes(2, "big"))
    reply = await reader.readexactly(10)
    assert reply[1] == 0, f"SOCKS5 refused with {reply[1]}"
    return reader, writer


@contextlib.asynccontextmanager
async def door(socks: str, host: str, port: int) -> AsyncIterator[str]:
    """Where to connect, as `ip:port`."""

    async def through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await dialled_by_socks(socks, host, port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pipe(reader, back))
                both.create_task(_pipe(there, writer))
        except* (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            drop(writer)
            drop(back)

    server = await asyncio.start_server(through, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
