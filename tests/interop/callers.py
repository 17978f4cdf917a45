"""The application's end of a conversation, told in one way whatever carries it.

A caller keeps the byte stream contract: `receive` (b"" at the end), `send`, `send_eof`, `abort`. What breaks
it is an HboneError from a tunnel of ours and a ConnectionError from TCP: `BROKEN` names both.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hbone_py.errors import HboneError
from tests.support import tcp_apps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENCE = 20.0
"""Seconds after which a conversation has stalled: a test then fails by itself, on either event loop."""
BROKEN = (HboneError, ConnectionError)


class Caller(Protocol):
    """One byte stream, both directions."""

    async def receive(self, max_bytes: int = 65536) -> bytes: ...
    async def send(self, data: bytes) -> None: ...
    async def send_eof(self) -> None: ...
    def abort(self) -> None: ...


class TcpCaller:
    """A TCP connection as a caller."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self._reader.read(max_bytes)

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def send_eof(self) -> None:
        # The peer may be gone already: then there is nobody left to tell.
        with contextlib.suppress(OSError):
            self._writer.write_eof()

    def abort(self) -> None:
        tcp_apps.reset(self._writer)


class Outcome(NamedTuple):
    """All that came, and how it ended: `eof` or `reset`."""

    data: bytes
    ended: str


async def read_to_end(caller: Caller) -> Outcome:
    """Everything up to the end, which must come within PATIENCE."""
    received = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            while chunk := await caller.receive():
                received += chunk
    except BROKEN:
        return Outcome(bytes(received), "reset")
    return Outcome(bytes(received), "eof")


async def read_exactly(caller: Caller, count: int) -> bytes:
    """So many bytes, which must come within PATIENCE."""
    received = bytearray()
    async with asyncio.timeout(PATIENCE):
        while len(received) < count:
            chunk = await caller.receive(count - len(received))
            assert chunk, f"ended after {len(received)} of {count} bytes"
            received += chunk
    return bytes(received)


async def talk(caller: Caller, words: bytes) -> None:
    """Say `words` to an echo and hear them."""
    await caller.send(words)
    assert await read_exactly(caller, len(words)) == words


@contextlib.asynccontextmanager
async def dial(host: str, port: int) -> AsyncIterator[TcpCaller]:
    """A TCP connection, dropped when the block ends."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield TcpCaller(reader, writer)
    finally:
        tcp_apps.drop(writer)
