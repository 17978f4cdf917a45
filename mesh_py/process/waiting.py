"""Waiting for whichever comes first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

Result = TypeVar("Result")


async def any_of(*events: asyncio.Event, seconds: float | None = None) -> bool:
    """Wait until one of the events is set; False if none was within `seconds`."""
    if any(event.is_set() for event in events):
        return True
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(event.wait()) for event in events]
        done, _ = await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
    return bool(done)


async def done_before(work: Coroutine[Any, Any, object], event: asyncio.Event) -> bool:
    """Work until it is done, or until the event is set: then it is cancelled, and False."""
    async with asyncio.TaskGroup() as group:
        working, waiting = group.create_task(work), group.create_task(event.wait())
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        is_done = working.done()
        working.cancel()
        waiting.cancel()
    return is_done


async def unless_stopped(work: Coroutine[Any, Any, Result], stop: asyncio.Event) -> Result | None:
    """What the work says; None if we were told to stop before it was done."""
    async with asyncio.TaskGroup() as group:
        working, stopping = group.create_task(work), group.create_task(stop.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if working.done():
            return working.result()
        working.cancel()
    return None
