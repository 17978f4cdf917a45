"""Raw TCP applications, one behaviour each, for what HTTP cannot show: half-closes, resets, silence.

python -m lab_py.apps.tcp_echo --host 127.0.1.1 --port 9000 --mode echo
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import struct
from typing import TYPE_CHECKING

import click

from lab_py.apps import serving
from lab_py.apps.payload import PIECE, deterministic_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

GREETING = b"hello and goodbye\n"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send everything back; end our direction when the caller ends theirs."""
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()


async def sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take everything; when the caller ends, answer with ``<bytes> <SHA-256>`` in one line."""
    writer.write(f"{await _summary(reader)}\n".encode())


def source(count: int, seed: str) -> Behaviour:
    """Send that many bytes of the seed's stream, then end our direction and wait for the caller's end."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in deterministic_bytes(count, seed):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
        await _summary(reader)

    return behave


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept, then neither read nor write: the slowest of all readers."""
    # Without this asyncio would read ahead into its own buffer.
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.get_running_loop().create_future()


def half_close(report: Callable[[str], None]) -> Behaviour:
    """Greet, end our direction first, and go on reading until the caller ends.

    What was read is reported as ``<bytes> <SHA-256>``: the caller can no longer be told.
    """

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        writer.write_eof()
        report(await _summary(reader))

    return behave


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Wait for the first bytes, then reset the connection instead of ending it."""
    await reader.read(PIECE)
    on_for_zero_seconds = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, on_for_zero_seconds)
    writer.transport.abort()


async def _summary(reader: asyncio.StreamReader) -> str:
    """Read to the end; how much it was and its SHA-256."""
    total, digest = 0, hashlib.sha256()
    while piece := await reader.read(PIECE):
        total += len(piece)
        digest.update(piece)
    return f"{total} {digest.hexdigest()}"


@contextlib.asynccontextmanager
async def serve(host: str, port: int, behaviour: Behaviour) -> AsyncIterator[serving.Address]:
    """Serve until the context ends, then drop what is open; the value is the bound address.

    :raises OSError: the address cannot be bound.
    """
    open_ones: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = callers.create_task(_serve_one(behaviour, reader, writer))
        open_ones.add(task)
        task.add_done_callback(open_ones.discard)

    # Bound before the group begins, which would wrap an address in use into a group of errors.
    server = await asyncio.start_server(connected, host, port, limit=PIECE, start_serving=False)
    async with asyncio.TaskGroup() as callers:
        await server.start_serving()
        try:
            yield server.sockets[0].getsockname()[:2]
        finally:
            server.close()
            for task in open_ones:
                task.cancel()


async def _serve_one(behaviour: Behaviour, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        # A caller that vanishes is an everyday event here, not a fault of ours.
        with contextlib.suppress(ConnectionError):
            await behaviour(reader, writer)
            writer.close()
            await writer.wait_closed()
    finally:
        writer.transport.abort()


MODES = ("echo", "sink", "source", "hold", "half-close", "reset")


def behaviour_of(mode: str, count: int, seed: str, report: Callable[[str], None]) -> Behaviour:
    """The behaviour of that name.

    :param count: how many bytes ``source`` sends, ``seed`` decides which.
    :param report: takes what ``half-close`` has to say.
    """
    return {
        "echo": echo,
        "sink": sink,
        "source": source(count, seed),
        "hold": hold,
        "half-close": half_close(report),
        "reset": reset,
    }[mode]


@click.command(help=__doc__)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=9000, show_default=True, help="Port to listen on; 0 takes any free one.")
@click.option("--mode", type=click.Choice(MODES), default="echo", show_default=True, help="How to behave.")
@click.option("--bytes", "count", default=1 << 20, show_default=True, help="What --mode source sends.")
@click.option("--seed", default="0", show_default=True, help="Which bytes --mode source sends.")
@click.option("--ready-fd", type=int, help="Write 'host port' to this file descriptor once clients may connect.")
def main(host: str, port: int, mode: str, count: int, seed: str, ready_fd: int | None) -> None:
    """Run the application until SIGTERM."""
    behaviour = behaviour_of(mode, count, seed, click.echo)
    serving.run(lambda: serve(host, port, behaviour), f"tcp {mode}", ready_fd)


if __name__ == "__main__":
    main()
