"""How work on a large response yields to others: in slices of time, and without long garbage collections."""

from __future__ import annotations

import asyncio
import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

ItemT = TypeVar("ItemT")

SLICE_SECONDS = 0.002
"""How long items are handed out before others get their turn."""
MANY = 1_000
"""Things from which on the garbage collector is held back."""


async def in_slices(items: Iterable[ItemT]) -> AsyncIterator[ItemT]:
    """The items, with a pause whenever a slice of time is used up."""
    now = asyncio.get_running_loop().time
    pause_at = now() + SLICE_SECONDS
    for item in items:
        yield item
        if now() > pause_at:
            await asyncio.sleep(0)
            pause_at = now() + SLICE_SECONDS


@contextmanager
def without_collection(count: int) -> Iterator[None]:
    """Hold the garbage collector back while many objects are made that stay: it would walk all of them, again and again
    and in vain, for hundreds of milliseconds each time. They have no cycles, so it never needs to see them."""
    if count < MANY:
        yield
        return
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
