"""The body of one message, between the connection that brings it and whoever reads it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from mesh_py.http.errors import BodyTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh_py.http.errors import HttpError
    from mesh_py.http.headers import Headers


class Body:
    """Pieces in order, then an end or a failure. At most one coroutine reads.

    How many bytes it holds is bounded by whoever fills it: HTTP/2 by its windows (`read` gives credit), HTTP/1 by
    not reading on (`held`).
    """

    __slots__ = ("_copies", "_credit", "_error", "_is_over", "_pieces", "_waiter", "held", "size", "trailers")

    def __init__(self, credit: Callable[[int], None]) -> None:
        self.held = 0
        """Bytes nobody has read yet."""
        self.size = 0
        """Bytes that have come so far."""
        self.trailers: Headers | None = None
        self._credit = credit
        self._pieces: deque[tuple[bytes, int]] = deque()
        self._is_over = False
        self._error: HttpError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._copies: list[Body] = []

    def copy(self, most: int) -> Body:
        """Another body of the same bytes, those that have come and those to come, for a reader of its own.

        It holds at most `most` bytes: a reader that falls behind by more gets a failure. Copy before anybody reads.
        """
        copy = _Copy(most)
        for data, _ in self._pieces:
            copy.put(data, 0)
        if self._is_over:
            copy.end(self.trailers)
        else:
            self._copies.append(copy)
        return copy

    def put(self, data: bytes, credit: int) -> None:
        """One more piece."""
        self._pieces.append((data, credit))
        self.held += len(data)
        self.size += len(data)
        for copy in self._copies:
            copy.put(data, 0)
        self._wake()

    def end(self, trailers: Headers | None = None) -> None:
        """That was all."""
        self._is_over = True
        self.trailers = trailers
        for copy in self._copies:
            copy.end(trailers)
        self._wake()

    def fail(self, error: HttpError) -> None:
        """It will never be complete. What has come already is worth nothing."""
        if not self._is_over:
            self._error = error
            for copy in self._copies:
                copy.fail(error)
            self._wake()

    @property
    def is_whole(self) -> bool:
        """Whether the end has come, read or not."""
        return self._is_over

    async def read(self) -> bytes:
        """The next piece, b"" at the end. Raises HttpError when it will never be complete."""
        while (data := self.read_now()) is None:
            await self._more()
        return data

    def read_now(self) -> bytes | None:
        """The same without waiting: None if it has not come yet."""
        if self._error is not None:
            raise self._error
        if not self._pieces:
            return b"" if self._is_over else None
        data, credit = self._pieces.popleft()
        self.held -= len(data)
        self._credit(credit)
        return data

    def take(self) -> list[bytes]:
        """All that has come and nobody has read, without waiting for more."""
        taken = [data for data, _ in self._pieces]
        for data, credit in self._pieces:
            self.held -= len(data)
            self._credit(credit)
        self._pieces.clear()
        return taken

    async def _more(self) -> None:
        assert self._waiter is None, "one reader at a time"
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Copy(Body):
    """See `Body.copy`."""

    __slots__ = ("_most",)

    def __init__(self, most: int) -> None:
        super().__init__(lambda _: None)
        self._most = most

    def put(self, data: bytes, credit: int) -> None:
        if self.held + len(data) > self._most:
            self.fail(BodyTooLarge("a reader of a copy has fallen behind"))
        elif self._error is None:
            super().put(data, credit)


NO_BODY = Body(lambda _: None)
"""That of every message without one."""
NO_BODY.end()
