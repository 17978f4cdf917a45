"""The stream table's entry: one tunnel on one connection [pure].

A stream is two directions that end apart. `unread` is what arrived and nobody has taken yet: it is bounded by the
window we announced, since credit returns only as bytes are consumed.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from hbone_py.flow import ReceiveWindow

if TYPE_CHECKING:
    from collections.abc import Callable

    Sink = Callable[[list[memoryview], int], int]
    """Takes payload pieces and their total size, returns how many bytes it took; it keeps no view."""


_JOIN = 16 * 1024
_NOTHING: deque[bytearray | memoryview] = deque()
"""What every stream holds until it holds something: few ever do."""


class Stream:
    """One tunnel. The engine owns every field but `sink` and `owner`, which belong to whoever drives the engine."""

    __slots__ = (
        "answered",
        "blocked",
        "expected",
        "held",
        "local_open",
        "owner",
        "receive_window",
        "remote_open",
        "send_window",
        "sink",
        "stream_id",
        "unread",
    )

    def __init__(self, stream_id: int, send_window: int, receive_window: int) -> None:
        self.stream_id = stream_id
        self.send_window = send_window
        """Bytes the peer still lets us send on this stream; may be negative (RFC 9113 section 6.9.2)."""
        self.receive_window = ReceiveWindow(receive_window)
        self.local_open = True
        """We have not ended our direction."""
        self.remote_open = True
        """The peer has not ended its direction."""
        self.answered = False
        """The 200 was sent or received."""
        self.blocked = False
        """Somebody wanted to send and the window was shut."""
        self.expected: int | None = None
        """How many payload bytes may still come: the rest of a declared content-length, or none at all before the
        answer to our CONNECT. None, any number, in every ordinary tunnel."""
        self.held = _NOTHING
        """Received pieces that the sink did not take."""
        self.unread = 0
        """Bytes in `held`."""
        self.sink: Sink | None = None
        """Where payload goes as it arrives; without one it is held."""
        self.owner: Any = None
        """The driver's own object for this stream."""

    def __repr__(self) -> str:
        ends = f"local {'open' if self.local_open else 'ended'}, remote {'open' if self.remote_open else 'ended'}"
        return f"<stream {self.stream_id}: {ends}, unread {self.unread}, send window {self.send_window}>"

    def hold(self, pieces: list[memoryview], skip: int = 0) -> int:
        """Copy what lies behind the first `skip` bytes of `pieces` into `held`; returns how many bytes that is."""
        added = 0
        if self.held is _NOTHING:
            self.held = deque()
        for piece in pieces:
            if skip >= len(piece):
                skip -= len(piece)
                continue
            self._keep(piece[skip:])
            added += len(piece) - skip
            skip = 0
        self.unread += added
        return added

    def hold_first(self, piece: memoryview) -> None:
        """The same with all of one piece, where nothing is held yet."""
        self.held = deque((bytearray(piece),))
        self.unread = len(piece)

    def _keep(self, piece: memoryview) -> None:
        """Small pieces are joined: a peer that sends byte by byte must not make each byte cost an object."""
        last = self.held[-1] if self.held else None
        if type(last) is bytearray and len(last) < _JOIN:
            last += piece
        else:
            self.held.append(bytearray(piece))

    def release(self, count: int) -> None:
        """The first `count` held bytes were delivered: drop them."""
        self.unread -= count
        held = self.held
        while count:
            piece = held[0]
            if len(piece) > count:
                held[0] = memoryview(piece)[count:]
                return
            count -= len(piece)
            held.popleft()
