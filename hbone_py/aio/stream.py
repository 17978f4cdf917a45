"""ByteStream: the contract every two-way stream of bytes keeps, and the wait of those that keep it.

For library users, the control plane and tests. The proxies' bulk path is `relay.Relay`, which keeps the same promises
without coroutines.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

RECEIVE_SIZE = 64 * 1024


class ByteStream(Protocol):
    """Two directions that end apart. Every error is an HboneError."""

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        """Some bytes, at least one; b"" once the other side has ended its direction."""

    async def send(self, data: bytes | memoryview) -> None:
        """Returns when all of it has found room: this is the back-pressure."""

    async def send_eof(self) -> None:
        """End our direction; receiving goes on."""

    async def aclose(self) -> None:
        """End both directions, politely."""

    def abort(self) -> None:
        """End both at once: the other side sees a reset."""


class Waiter:
    """At most one coroutine waits for an edge; waking nobody is fine."""

    def __init__(self) -> None:
        self._future: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        """Until `wake`. Raises RuntimeError if somebody waits already."""
        if self._future is not None:
            raise RuntimeError("another coroutine already waits for this direction of the stream")
        self._future = asyncio.get_running_loop().create_future()
        try:
            await self._future
        finally:
            self._future = None

    def wake(self) -> None:
        """Whoever waits goes on."""
        if self._future is not None and not self._future.done():
            self._future.set_result(None)
