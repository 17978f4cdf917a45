"""Redirection of a pod's traffic to its sidecar's inbound port, as iptables does it, by a listener in its place.

Whoever connects to the pod's port is brought to 15006 with a PROXY preamble; the sidecar itself, which comes from
127.0.0.6, reaches the application.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from tests.support.pods import preamble
from tests.support.tcp_apps import Behaviour, Connection, TcpApp, drop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

INBOUND_PORT = 15006
SIDECAR_SOURCE = "127.0.0.6"


@contextlib.asynccontextmanager
async def redirected(application: Behaviour, ip: str, port: int) -> AsyncIterator[TcpApp]:
    """The application on `ip:port`, behind the sidecar of the pod at `ip`."""

    async def behave(connection: Connection) -> None:
        if connection.peer[0] == SIDECAR_SOURCE:
            await application(connection)
        else:
            await forward(connection, ip, (ip, port))

    async with TcpApp(behave, ip, port) as app:
        yield app


async def forward(connection: Connection, sidecar: str, destination: tuple[str, int]) -> None:
    """Hand a connection to the inbound port of the sidecar at an address, with what it was meant for."""
    reader, writer = await asyncio.open_connection(sidecar, INBOUND_PORT)
    try:
        writer.write(preamble(connection.peer, destination))
        async with asyncio.TaskGroup() as both:
            both.create_task(_copy(connection.reader, writer))
            both.create_task(_copy(reader, connection.writer))
    finally:
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A reset on one side is one on the other."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        drop(writer)
