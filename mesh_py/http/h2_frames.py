"""HTTP/2 bytes cut into frames, so that GOAWAY is ours and everything else is h2's [pure].

To h2 a GOAWAY is the end of everything. To a proxy it begins a drain: the streams under way go on (RFC 9113 6.8).
"""

from __future__ import annotations

from typing import NamedTuple

from hbone_py import frames

_BLOCKS = frozenset({frames.HEADERS, frames.PUSH_PROMISE, frames.CONTINUATION})


class GoAway(NamedTuple):
    """What a GOAWAY says."""

    last_stream: int
    code: int
    debug: bytes


class Overlong(NamedTuple):
    """A frame larger than we allow begins here. h2 would wait for all of it before it says so."""

    length: int


Part = bytes | GoAway | Overlong


class FrameCutter:
    """Gives back what h2 may see, in order, and the GOAWAYs between."""

    __slots__ = ("_frame_size", "_held", "_in_block", "_preface")

    def __init__(self, *, client: bool, frame_size: int) -> None:
        """`frame_size` is what we announced."""
        self._held = b""
        self._preface = 0 if client else len(frames.PREFACE)
        self._frame_size = frame_size
        self._in_block = False

    def cut(self, data: bytes) -> list[Part]:
        """The pieces in `data`: whole frames for h2, and GOAWAYs. What is not whole waits for more."""
        if self._held:
            data, self._held = self._held + data, b""
        start = position = min(self._preface, len(data))
        parts: list[Part] = []
        if start:
            self._preface -= start
            start = 0
        end = len(data)
        while position + frames.HEADER_SIZE <= end:
            word, flags, stream = frames.HEADER.unpack_from(data, position)
            length, kind = word >> 8, word & 0xFF
            if length > self._frame_size:
                return [*parts, data[start:position], Overlong(length)]
            after = position + frames.HEADER_SIZE + length
            if after > end:
                break
            if kind in _BLOCKS:
                self._in_block = not flags & frames.END_HEADERS
            elif kind == frames.GOAWAY and length >= 8 and not stream and not self._in_block:
                if position > start:
                    parts.append(data[start:position])
                parts.append(_goaway(data[position + frames.HEADER_SIZE : after]))
                start = after
            position = after
        if position > start:
            parts.append(data if position - start == end else data[start:position])
        self._held = data[position:]
        return parts


def _goaway(payload: bytes) -> GoAway:
    return GoAway(frames.u32(payload) & frames.MAX_STREAM_ID, frames.u32(payload[4:]), payload[8:])
