"""Which answer of ours a client speaks of: acknowledgements, refusals, and what is too old to count [pure]."""

from __future__ import annotations

from enum import Enum

MOST_REMEMBERED = 64
"""Answers whose acknowledgement may be outstanding; of older ones nothing is expected any more."""


class Reply(Enum):
    """What a client's request is, seen as an answer to ours."""

    FIRST = "first"
    """It opens the subscription."""
    UNPROMPTED = "unprompted"
    """It speaks of no answer: it only changes what it asks for."""
    ACK = "ack"
    NACK = "nack"
    STALE = "stale"
    """It speaks of an answer that was followed by newer ones, or that we never gave."""


class Nonces:
    """The answers of one type on one stream."""

    def __init__(self) -> None:
        self.sent = ""
        """The last one given."""
        self.acknowledged = ""
        self.refused = ""
        self.refusal = ""
        """What the client said about the last answer it refused."""
        self._count = 0
        self._outstanding: dict[str, None] = {}

    def next(self) -> str:
        """The nonce of a new answer."""
        self._count += 1
        self.sent = str(self._count)
        self._outstanding[self.sent] = None
        if len(self._outstanding) > MOST_REMEMBERED:
            del self._outstanding[next(iter(self._outstanding))]
        return self.sent

    def judge(self, nonce: str, refusal: str | None) -> Reply:
        """What a request with this nonce is.

        Args:
            refusal: the text of its `error_detail`; None where there is none. Its code says nothing: the real
                ztunnel leaves it at 0 (hbone-controlplane 2.4).
        """
        if not nonce:
            return Reply.UNPROMPTED
        if nonce not in self._outstanding:
            return Reply.STALE
        del self._outstanding[nonce]
        if refusal is None:
            self.acknowledged = nonce
            return Reply.ACK
        self.refused, self.refusal = nonce, refusal
        return Reply.NACK
