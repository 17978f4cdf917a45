"""Waiting for whichever comes first."""

from __future__ import annotations

import asyncio


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
