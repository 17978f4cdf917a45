"""The windows a peer sends into [pure].

Credit goes back as the *reader* consumes, never before, and in large steps: a peer may count small ones as a flood
(Envoy does), and each costs a frame. A sender's windows are plain numbers in the stream table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hbone_py.connection import HboneConnection


class UnreadLedger:
    """Unread bytes of every connection of a process, against one budget.

    Above `near` no credit is returned; above `limit` the driver resets the greediest streams. `withheld` holds the
    connections that owe credit; `relieved` hands them back once enough has been read.
    """

    def __init__(self, limit: int = 1 << 62) -> None:
        self.limit = limit
        self.near = limit * 3 // 4
        self.used = 0
        self.withheld: set[HboneConnection] = set()

    @property
    def is_near(self) -> bool:
        """Memory is short: return no credit, announce small windows."""
        return self.used >= self.near

    def relieved(self) -> list[HboneConnection]:
        """Connections that may be given their credit now (empty while memory is short)."""
        if self.used >= self.limit // 2 or not self.withheld:
            return []
        ready, self.withheld = list(self.withheld), set()
        return ready


class ReceiveWindow:
    """What a peer may still send, on one stream or on the connection.

    `left` is what the peer believes it may send; `owed` is consumed but not yet announced back.
    """

    __slots__ = ("left", "owed", "step")

    def __init__(self, size: int) -> None:
        self.left = size
        self.owed = 0
        self.step = size // 2

    def consume(self, count: int) -> int:
        """`count` bytes have been read; returns the increment to announce now, or 0 to wait for more."""
        owed = self.owed + count
        if owed < self.step:
            self.owed = owed
            return 0
        self.owed = 0
        self.left += owed
        return owed
