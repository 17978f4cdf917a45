"""Connections of either side from their beginning to their end, around what they do by callbacks.

These coroutines wait while they are being ended (in `finally`, in `async with`), and so are never compiled
(docs/decisions/0023).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from hbone_py.errors import HboneError

if TYPE_CHECKING:
    from mesh_py.exchange.downstream import Downstream
    from mesh_py.exchange.upstream import Upstream
    from mesh_py.exchange.wire import Wire, WireStream


async def serve(downstream: Downstream) -> None:
    """Serve a client until the connection is over. Never raises what a client can cause."""
    wire = downstream.wire
    try:
        async with asyncio.TaskGroup() as tasks:
            downstream.begin(tasks)
            await downstream.over.wait()
            downstream.leave()
        await _farewell(wire, downstream.timeouts.linger)
    finally:
        downstream.end()
        await _close(wire)


async def keep(upstream: Upstream) -> None:
    """Read what a server says until the connection is over."""
    try:
        upstream.begin_reading()
        await upstream.over.wait()
    finally:
        upstream.end()
        with contextlib.suppress(HboneError):
            await _close(upstream.wire)
        upstream.ended()


async def _close(wire: Wire) -> None:
    if wire.codec.is_aborted or wire.is_broken:
        wire.stream.abort()
    else:
        await wire.stream.aclose()


async def _farewell(wire: Wire, linger: float) -> None:
    """Our last bytes go out, and the client's are read a little longer: closing over them would reset the line."""
    if wire.codec.is_aborted or wire.is_broken:
        return
    with contextlib.suppress(HboneError, TimeoutError):
        async with asyncio.timeout(linger):
            wire.touch()
            await wire.flushed()
            await _say_end(wire.stream)
            while await wire.stream.receive():
                pass


async def _say_end(stream: WireStream) -> None:
    """End our direction as far as the stream can."""
    end = getattr(stream, "send_eof", None) or getattr(stream, "send_close_notify", None)
    if end is not None:
        await end()
