"""The outbox: small frames of one peer, read and framed in place one behind the other, written together.

A lone message needs no object of its own then, and of many the join is already made. The first peer with something to
say in a batch has it; for others, and for what comes behind frames that are queued, `Relay` copies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hbone_py.frames import HEADER_SIZE
from hbone_py.tls.buffers import SharedBuffer
from hbone_py.tls.records import LARGEST_PLAINTEXT

if TYPE_CHECKING:
    from hbone_py.aio.peer_output import PeerOutput

SMALL: Final = LARGEST_PLAINTEXT - HEADER_SIZE
"""Payload bytes one frame may have here: with its header it fills a record, and every peer takes it."""
_STEP: Final = HEADER_SIZE + SMALL
_SIZE: Final = 64 * 1024


class Outbox:
    """One per reactor. Its first `used` bytes are `owner`'s, and are written before what its engine has queued."""

    __slots__ = ("_first", "buffer", "owner", "used")

    def __init__(self) -> None:
        self.buffer = SharedBuffer(_SIZE)
        self.used = 0
        self.owner: PeerOutput | None = None
        self._first = self.buffer.view[HEADER_SIZE:_STEP]

    def room(self) -> memoryview:
        """Where the next frame's payload goes, `SMALL` bytes, behind its header."""
        used = self.used
        if not used:
            return self._first
        if used + _STEP > _SIZE:
            assert self.owner is not None
            self.owner.empty_outbox()
            return self._first
        return self.buffer.view[used + HEADER_SIZE : used + _STEP]

    def take(self) -> int:
        """Its owner writes it now, or is gone: how many bytes it holds for it. They stay until the next frame's."""
        used, self.used, self.owner = self.used, 0, None
        return used
