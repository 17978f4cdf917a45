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
STEP: Final = HEADER_SIZE + SMALL
"""One such frame."""
_SIZE: Final = 64 * 1024
LAST: Final = _SIZE - STEP
"""Behind more than so many used bytes there may be no room for another frame."""


class Outbox:
    """One per reactor. Its first `used` bytes are `owner`'s, and are written before what its engine has queued."""

    __slots__ = ("buffer", "first", "owner", "used")

    def __init__(self) -> None:
        self.buffer = SharedBuffer(_SIZE)
        self.used = 0
        self.owner: PeerOutput | None = None
        self.first = self.buffer.view[HEADER_SIZE:STEP]
        """Where the payload of the first frame goes, `SMALL` bytes, behind its header."""

    def make_room(self) -> None:
        """More than `LAST` bytes are used: its owner sends them now, so that who hears them may begin."""
        assert self.owner is not None
        self.owner.flush()

    def take(self) -> int:
        """Its owner writes it now, or is gone: how many bytes it holds for it. They stay until the next frame's."""
        used, self.used, self.owner = self.used, 0, None
        return used
