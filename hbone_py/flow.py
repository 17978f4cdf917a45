"""The windows a peer sends into [pure].

Credit goes back as the *reader* consumes, never before, and in large steps: a peer may count small ones as a flood
(Envoy does), and each costs a frame. A sender's windows are plain numbers in the stream table.
"""

from __future__ import annotations


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
