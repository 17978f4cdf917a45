"""What has come of a call and is not read yet: bytes in one piece, however small the frames were [no I/O].

grpclib keeps an object per DATA frame, some two hundred bytes for each byte a mischievous peer sends, and takes an
empty frame for the end. This one has the same methods.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class CutShort(Exception):
    """The call ended in the middle of what was being read."""


class MessageBuffer:
    """For one call and one reader. At most a window and the message that is being read are kept.

    The window is given back for what was read; and while the reader waits for the rest of a message, for what it
    already has of it, or a message larger than the window would never be whole.
    """

    def __init__(self, acknowledge: Callable[[int], None]) -> None:
        """`acknowledge` gives so many bytes back to the peer's window."""
        self._acknowledge = acknowledge
        self._data = bytearray()
        self._held_back = 0
        """Bytes at the end of `_data` that are not acknowledged."""
        self._is_over = False
        self._changed = asyncio.Event()

    def add(self, data: bytes, ack_size: int) -> None:
        """A DATA frame; `ack_size` counts its padding, which nobody reads."""
        self._data += data
        self._held_back += len(data)
        if ack_size > len(data):
            self._acknowledge(ack_size - len(data))
        self._changed.set()

    def eof(self) -> None:
        """Nothing more will come."""
        self._is_over = True
        self._changed.set()

    async def read(self, size: int) -> bytes:
        """Exactly `size` bytes; none at the end.

        Raises:
            CutShort: the end came after some of them.
        """
        while len(self._data) < size and not self._is_over:
            self._give_back(self._held_back)
            self._changed.clear()
            await self._changed.wait()
        if not self._data:
            return b""
        if len(self._data) < size:
            raise CutShort
        with memoryview(self._data) as view:
            wanted = bytes(view[:size])
        del self._data[:size]
        self._give_back(self._held_back - len(self._data))
        return wanted

    def unacked_size(self) -> int:
        """What is to be given back when nobody reads on."""
        size, self._held_back = self._held_back, 0
        self._data.clear()
        return size

    def _give_back(self, size: int) -> None:
        if size > 0:
            self._held_back -= size
            self._acknowledge(size)
