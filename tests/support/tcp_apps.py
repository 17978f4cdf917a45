"""Plain TCP applications for tests: what stands behind a proxy, and what keeps a record of what reached it.

A `TcpApp` runs one behaviour for every connection it accepts and notes, for each, how many bytes came, their
digest, and whether the connection ended cleanly or was reset.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tests.support.processes import eventually

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

CHUNK = 65536
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on with zero seconds: close() sends RST."""


def payload(size: int, seed: int = 1) -> bytes:
    """The same `size` random bytes for the same seed: hard to mistake for anything else."""
    return random.Random(seed).randbytes(size)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(slots=True)
class Connection:
    """One accepted connection, and what the application saw on it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    peer: tuple[str, int]
    received: int = 0
    ended: str = "open"
    """`open`, then `eof` (FIN read), `reset` (RST met), or `left` (we were done first)."""
    sha256: hashlib._Hash = field(default_factory=hashlib.sha256)

    async def receive(self, max_bytes: int = CHUNK) -> bytes:
        """The next bytes, counted; b"" at the end. ConnectionResetError is noted and raised on."""
        data = await self.reader.read(max_bytes)
        self.received += len(data)
        self.sha256.update(data)
        if not data:
            self.ended = "eof"
        return data

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def send_eof(self) -> None:
        """End our direction; the caller may go on, or be gone already."""
        with contextlib.suppress(OSError):
            self.writer.write_eof()

    def abort(self) -> None:
        """End the connection with RST."""
        reset(self.writer)
        self.ended = "left"

    @property
    def digest(self) -> str:
        return self.sha256.hexdigest()


Behaviour = Callable[[Connection], Awaitable[None]]


class TcpApp:
    """A TCP server for the length of an `async with`; `authority` is where it listens."""

    def __init__(
        self,
        behaviour: Behaviour,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._behaviour = behaviour
        self._host = host
        self._port = port
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks = asyncio.TaskGroup()
        self._serving: list[asyncio.Task[None]] = []
        self.connections: list[Connection] = []

    @property
    def host(self) -> str:
        return self._host

    @property
    def port(self) -> int:
        return self._port

    @property
    def authority(self) -> str:
        return f"{self._host}:{self._port}"

    async def connection(self, index: int = 0) -> Connection:
        """The `index`-th accepted connection, awaited."""
        await eventually(lambda: len(self.connections) > index, f"connection {index} at {self.authority}")
        return self.connections[index]

    async def ended(self, index: int = 0) -> str:
        """How the `index`-th connection ended, awaited."""
        connection = await self.connection(index)
        await eventually(lambda: connection.ended != "open", f"end of connection {index} at {self.authority}")
        return connection.ended

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._server = await asyncio.start_server(self._accepted, self._host, self._port, ssl=self._tls, backlog=1024)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for connection, task in zip(self.connections, self._serving, strict=True):
            drop(connection.writer)
            task.cancel()
        await self._server.wait_closed()
        await self._tasks.__aexit__(None, None, None)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(Connection(reader, writer, writer.get_extra_info("peername")))
        self._serving.append(self._tasks.create_task(self._serve(self.connections[-1])))

    async def _serve(self, connection: Connection) -> None:
        try:
            await self._behaviour(connection)
        except (ConnectionResetError, BrokenPipeError):
            connection.ended = "reset"
        else:
            if connection.ended == "open":
                connection.ended = "left"
        finally:
            connection.writer.close()


async def echo(connection: Connection) -> None:
    """Send back what comes, end when the caller ends."""
    while data := await connection.receive():
        await connection.send(data)


async def sink(connection: Connection) -> None:
    """Take everything, say nothing; the digest is in the record."""
    while await connection.receive():
        pass


async def hold(connection: Connection) -> None:
    """Read nothing and say nothing: wait for the connection to break or end."""
    connection.reader._limit = 1  # type: ignore[attr-defined]  # stop taking bytes off the socket at once
    await asyncio.Event().wait()


async def answer_at_end(connection: Connection) -> None:
    """Wait for the caller's FIN, then answer with the digest of all that came: half-close at work."""
    while await connection.receive():
        pass
    await connection.send(connection.digest.encode())


def source(data: bytes) -> Behaviour:
    """Send `data`, end first, then go on reading until the caller ends too."""

    async def behave(connection: Connection) -> None:
        await connection.send(data)
        await connection.send_eof()
        while await connection.receive():
            pass

    return behave


def reset_after(count: int, say: bytes = b"") -> Behaviour:
    """Take `count` bytes, send `say`, then reset the connection."""

    async def behave(connection: Connection) -> None:
        while connection.received < count:
            if not await connection.receive():
                return
        if say:
            await connection.send(say)
        connection.abort()

    return behave


class Gate:
    """A reader as slow as its test: it takes bytes only as far as `allow` has let it."""

    def __init__(self) -> None:
        self._allowed = 0
        self._changed = asyncio.Event()

    def allow(self, count: int) -> None:
        """Let `count` more bytes through."""
        self._allowed += count
        self._changed.set()

    async def __call__(self, connection: Connection) -> None:
        while True:
            while connection.received >= self._allowed:
                self._changed.clear()
                await self._changed.wait()
            if not await connection.receive(min(CHUNK, self._allowed - connection.received)):
                return


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, dropping what is unsent."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    drop(writer)


def drop(writer: asyncio.StreamWriter) -> None:
    """Close at once, whatever state the connection is in."""
    # asyncio's plain transport lets go of its loop when a close() that had to wait has ended; abort() then fails.
    with contextlib.suppress(AttributeError):
        writer.transport.abort()
