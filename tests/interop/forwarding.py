"""A node proxy in thirty lines, over the library's public calls: the plain form of a fast data path.

Half-close travels; a reset on one side becomes a reset on the other (contract of every proxy of ours).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hbone_py.connect import parse_authority
from tests.interop.callers import BROKEN, Caller, dial

if TYPE_CHECKING:
    import hbone_py


async def forward(tunnel: hbone_py.IncomingTunnel) -> None:
    """Dial the tunnel's authority, answer, carry both directions; 503 when no application is there."""
    authority = parse_authority(tunnel.request.authority)
    try:
        async with dial(authority.host, authority.port) as application:
            stream = await tunnel.accept()
            await relay(stream, application)
    except ConnectionRefusedError:
        await tunnel.reject(503)


async def relay(downstream: Caller, upstream: Caller) -> None:
    """Carry both directions until both have ended; a break on either side resets both."""
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_one_way(downstream, upstream))
            both.create_task(_one_way(upstream, downstream))
    except* BROKEN:
        downstream.abort()
        upstream.abort()


async def _one_way(source: Caller, target: Caller) -> None:
    while chunk := await source.receive():
        await target.send(chunk)
    await target.send_eof()
