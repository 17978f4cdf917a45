"""Relay in plain coroutines: the specification that `relay.Relay` must agree with, and what library users call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hbone_py.aio.stream import ByteStream


@dataclass(frozen=True, slots=True)
class Transferred:
    """Payload bytes of both directions."""

    sent: int
    """Downstream to upstream."""
    received: int
    """Upstream to downstream."""


async def relay(downstream: ByteStream, upstream: ByteStream) -> Transferred:
    """Carry both directions until both have ended. If one breaks, both streams are aborted and its error is raised."""
    try:
        async with asyncio.TaskGroup() as both:
            sent = both.create_task(_one_way(downstream, upstream))
            received = both.create_task(_one_way(upstream, downstream))
    except BaseException as failure:
        downstream.abort()
        upstream.abort()
        if isinstance(failure, BaseExceptionGroup):
            raise failure.exceptions[0] from failure
        raise
    return Transferred(sent.result(), received.result())


async def _one_way(source: ByteStream, sink: ByteStream) -> int:
    total = 0
    while chunk := await source.receive():
        await sink.send(chunk)  # returns when the sink has room: this is the back-pressure
        total += len(chunk)
    await sink.send_eof()  # half-close travels; the other direction lives on
    return total
