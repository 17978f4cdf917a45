"""Streams that are no longer open, or never were, and what may still come for them [pure].

RFC 9113 section 5.1. A frame may arrive late, for a stream we reset while it travelled: that is no fault.
"""

from __future__ import annotations

from collections import deque

from hbone_py.errors import ErrorCode, RemoteProtocolError

_REMEMBERED = 1024
"""Resets whose late frames are forgiven. More than a peer has streams open, or 200s under way to us."""
_REMEMBERED_GAPS = 64


class PastStreams:
    """Of one connection. Whoever asks has made sure that the stream is not idle."""

    __slots__ = ("_gaps", "_resets")

    def __init__(self) -> None:
        self._resets: dict[int, bool] = {}  # the latest ones: True when the peer has been told
        self._gaps: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED_GAPS)

    def passed_over(self, low: int, high: int) -> None:
        """The peer opened `high` behind `low`: none between will ever be (RFC 9113 section 5.1.1)."""
        self._gaps.append((low, high))

    def reset(self, stream_id: int, *, told: bool) -> None:
        """It ended by a reset: ours, of which the peer was `told`, or the peer's."""
        self._resets[stream_id] = told
        if len(self._resets) > _REMEMBERED:
            del self._resets[next(iter(self._resets))]

    def has_late_data(self, stream_id: int) -> bool:
        """DATA came. Whether that is forgiven, since our reset may not have arrived yet; else it is a stream error."""
        return self._resets.get(stream_id, False)

    def has_late_head(self, stream_id: int) -> bool:
        """HEADERS likewise; but a stream that ended in peace, or was passed over, cannot have any (5.1, 5.1.1).

        Raises RemoteProtocolError for those.
        """
        if any(low < stream_id < high for low, high in self._gaps):
            raise RemoteProtocolError(f"HEADERS on stream {stream_id}, which was passed over")
        if stream_id not in self._resets:
            raise RemoteProtocolError(f"HEADERS on closed stream {stream_id}", ErrorCode.STREAM_CLOSED)
        return self._resets[stream_id]
