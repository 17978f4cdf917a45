"""The windows a peer sends into, and the bytes that arrived and nobody has read [pure].

Credit goes back as the *reader* consumes, never before, and in large steps: a peer may count small ones as a flood
(Envoy does), and each costs a frame. A sender's windows are plain numbers in the stream table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hbone_py import frames

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hbone_py.connection import HboneConnection
    from hbone_py.incoming import Incoming
    from hbone_py.streams import Stream

DEFAULT_WINDOW: Final = 65_535
"""Every window's size until somebody says otherwise (RFC 9113 section 6.9.2)."""
MAX_WINDOW: Final = 2**31 - 1
_NEVER: Final = 1 << 62

BULK_RUN: Final = 8 * 1024
"""Payload of one stream in one piece that makes it one of bulk, not of many small messages."""


class UnreadLedger:
    """Unread bytes of every connection of a process, against one budget.

    Above `near` no credit is returned; above `limit` the driver resets the greediest streams. `withheld` holds the
    connections that owe credit; `relieved` hands them back once memory is no longer short.
    """

    def __init__(self, limit: int = 1 << 62) -> None:
        self.used = 0
        self.holding: dict[Stream, HboneConnection] = {}
        """Who holds unread bytes, on which connection; streams that are over and connections that are gone too."""
        self.set_limit(limit)
        self.withheld: set[Incoming] = set()

    def set_limit(self, limit: int) -> None:
        """Change the budget, bytes."""
        self.limit = limit
        self.near = limit * 3 // 4

    @property
    def is_near(self) -> bool:
        """Memory is short: return no credit, announce small windows."""
        return self.used >= self.near

    def relieved(self) -> list[Incoming]:
        """Connections that may be given their credit now (empty while memory is short)."""
        if self.is_near or not self.withheld:
            return []
        ready, self.withheld = list(self.withheld), set()
        return ready


class ReceiveWindow:
    """What a peer may still send, on one stream or on the connection.

    `left` is what the peer believes it may send; `owed` is read but not yet announced back. A stream announces at
    `step`, half of its window. The connection cannot wait for half: other streams may hold that much unread. It
    announces when as much is owed as is left.
    """

    __slots__ = ("left", "owed", "step")

    def __init__(self, size: int) -> None:
        self.left = size
        self.owed = 0
        self.step = size // 2 or 1

    def announce(self) -> int:
        """The increment to tell the peer: everything owed."""
        owed, self.owed = self.owed, 0
        self.left += owed
        return owed


class ReceiveCredit:
    """The unread bytes of one connection, and the credit it owes its peer for what was read."""

    __slots__ = ("_connection", "_out", "crowd", "ledger", "saw_bulk", "unread", "window")

    def __init__(self, connection: Incoming, size: int, ledger: UnreadLedger, out: list[bytes]) -> None:
        self.window = ReceiveWindow(size)
        self.ledger = ledger
        self.unread = 0
        """Bytes received and not taken by any sink, over all streams."""
        self.saw_bulk = False
        """A stream had BULK_RUN or more in one piece since somebody looked last."""
        self._connection: Incoming | None = connection
        self.crowd = size * 3 // 4
        """So much unread, left by streams that nobody reads, is most of the window: what comes next may starve."""
        self._out = out

    def read(self, stream: Stream, count: int) -> None:
        """A reader took `count` payload bytes: both windows may have them back."""
        mine, ours = stream.receive_window, self.window
        mine.owed += count
        ours.owed += count
        if self.ledger.used >= self.ledger.near:
            if self._connection is not None and not self._connection.ended:
                self.ledger.withheld.add(self._connection)
            return
        if mine.owed >= mine.step and stream.remote_open:
            self._out.append(frames.window_update(stream.stream_id, mine.announce()))
        if ours.owed >= ours.left:
            self.skip(0)

    def skip(self, count: int) -> None:
        """`count` bytes came for nobody: only the connection's window has them back, and at once."""
        window = self.window
        window.owed += count
        if window.owed >= window.left and window.owed:
            self._out.append(frames.window_update(0, window.announce()))

    def hold(self, stream: Stream, pieces: list[memoryview], skip: int) -> None:
        """Keep what lies behind the first `skip` bytes of `pieces` until somebody reads it."""
        held = stream.hold(pieces, skip)
        self.unread += held
        self.ledger.used += held
        if self._connection is not None:
            self.ledger.holding[stream] = self._connection  # type: ignore[assignment]  # it is the whole, not its half

    def hold_first(self, stream: Stream, piece: memoryview) -> None:
        """Keep all of one piece for a stream that holds nothing: what follows a CONNECT at once."""
        stream.hold_first(piece)
        held = stream.unread
        self.unread += held
        self.ledger.used += held
        if self._connection is not None:
            self.ledger.holding[stream] = self._connection  # type: ignore[assignment]  # as in `hold`

    def release(self, stream: Stream, count: int) -> None:
        """The reader has `count` of the held bytes."""
        if count == stream.unread:
            stream.unread = 0
            stream.held.clear()
            self.ledger.holding.pop(stream, None)
        else:
            stream.release(count)
        self.unread -= count
        self.ledger.used -= count
        self.read(stream, count)

    def drop(self, stream: Stream) -> None:
        """Nobody will read what the stream holds."""
        if count := stream.unread:
            stream.unread = 0
            stream.held.clear()
            self.unread -= count
            self.ledger.used -= count
            self.ledger.holding.pop(stream, None)
            self.skip(count)

    def stop(self, streams: Iterable[Stream]) -> None:
        """Nothing more can come, so no credit is announced any more, whatever is read.

        The connection is let go of: we are a part of it, and each would keep the other alive.
        """
        if self._connection is not None:
            self.ledger.withheld.discard(self._connection)
            self._connection = None
        self.window.left = _NEVER
        for stream in streams:
            stream.receive_window.step = _NEVER

    def return_withheld(self, streams: Iterable[Stream]) -> None:
        """Memory is free again: announce what is due."""
        self.skip(0)
        for stream in streams:
            self.read(stream, 0)
