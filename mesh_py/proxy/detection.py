"""What a connection carries, by its first bytes, within a deadline: who is silent has a server that speaks first."""

from __future__ import annotations

import asyncio
from typing import Protocol

from mesh_py.http.detect import UNKNOWN, Detection, detect


class Peekable(Protocol):
    """A stream that can be looked at."""

    async def peek(self, more_than: int = 0) -> bytes:
        """What has arrived, once that is more than `more_than` bytes; less at the end."""


async def detect_protocol(stream: Peekable, seconds: float) -> Detection:
    """The verdict; nothing is taken from the stream. Raises HboneError when the connection breaks."""
    seen = b""
    try:
        async with asyncio.timeout(seconds):
            while (verdict := detect(seen)) is None:
                more = await stream.peek(len(seen))
                if len(more) <= len(seen):
                    return detect(more) or UNKNOWN
                seen = more
    except TimeoutError:
        return UNKNOWN
    return verdict
