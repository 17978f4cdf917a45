"""A request's body as one attempt after another reads it: what has passed is kept, as far as it is short."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesh_py.exchange.body import Body
    from mesh_py.http.headers import Headers

KEPT = 64 * 1024
"""Bytes of a body that are kept for a further attempt; with more there is none."""


class Replay:
    """Reads a body, and reads it again from its beginning after `restart`."""

    def __init__(self, body: Body, kept: int = KEPT) -> None:
        self._body = body
        self._most = kept
        self._kept: list[bytes] | None = []
        self._size = 0
        self._next = 0

    @property
    def can_restart(self) -> bool:
        """Whether all that has passed is still here."""
        return self._kept is not None

    @property
    def has_begun(self) -> bool:
        """Whether anything has passed."""
        return self._size > 0

    @property
    def trailers(self) -> Headers | None:
        """What came behind the body."""
        return self._body.trailers

    def restart(self) -> None:
        """The next `read` gives the first piece."""
        assert self._kept is not None, "the body is not here any more"
        self._next = 0

    def settle(self) -> None:
        """There will be no further attempt: nothing need be kept."""
        self._most = 0
        if self._kept is not None and self._next >= len(self._kept):
            self._kept = None

    def read_whole(self) -> list[bytes]:
        """Every piece of a body that is here to its end, and short enough to be kept."""
        pieces = self._body.take()
        self._size += sum(map(len, pieces))
        assert self._kept is not None, "this is the first attempt"
        self._kept += pieces
        self._next = len(self._kept)
        return pieces

    async def read(self) -> bytes:
        """The next piece, b"" at the end. Raises as `Body.read`."""
        if self._kept is not None and self._next < len(self._kept):
            self._next += 1
            return self._kept[self._next - 1]
        data = await self._body.read()
        self._passes(data)
        return data

    def read_now(self) -> bytes | None:
        """The same without waiting, in a first attempt: None if it has not come yet."""
        if data := self._body.read_now():
            self._passes(data)
        return data

    def _passes(self, data: bytes) -> None:
        self._size += len(data)
        if self._kept is not None and data:
            if self._size > self._most:
                self._kept = None
            else:
                self._kept.append(data)
                self._next += 1
