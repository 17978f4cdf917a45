"""What every application of the lab does around its own work: say where it listens, serve, stop when told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import click

Address = tuple[str, int]
Service = Callable[[], contextlib.AbstractAsyncContextManager[Address]]


def run(service: Service, name: str, ready_fd: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT. A listener that cannot be had: one line, and exit status 2.

    :param service: makes the context in which the application serves; its value is the bound address.
    :param ready_fd: a file descriptor that gets ``host port`` in one line, and is closed, once clients
        may connect.
    """
    try:
        asyncio.run(_serve(service, name, ready_fd))
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {name}: {what}{error.strerror or error}", err=True)
        sys.exit(2)


async def _serve(service: Service, name: str, ready_fd: int | None) -> None:
    async with service() as address, _stop_signal() as stopped:
        _announce(name, address, ready_fd)
        await stopped


def _announce(name: str, address: Address, ready_fd: int | None) -> None:
    host, port = address
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"{name} listening on {shown}:{port}")  # echo flushes: a waiting parent reads it at once
    if ready_fd is not None:
        with os.fdopen(ready_fd, "w") as ready:
            ready.write(f"{host} {port}\n")


@contextlib.asynccontextmanager
async def _stop_signal() -> AsyncIterator[Awaitable[None]]:
    """An awaitable that ends at the first SIGTERM or SIGINT; a second one meets Python's own handling."""
    loop = asyncio.get_running_loop()
    stopped = loop.create_future()
    watched = (signal.SIGTERM, signal.SIGINT)

    def stop() -> None:
        for number in watched:
            loop.remove_signal_handler(number)
        if not stopped.done():
            stopped.set_result(None)

    for number in watched:
        loop.add_signal_handler(number, stop)
    try:
        yield stopped
    finally:
        stop()
