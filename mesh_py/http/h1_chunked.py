"""Chunked bodies: llhttp takes them apart, and we find where they end [pure].

httptools does not say at which byte a message ended, so bytes are handed over in pieces that stop behind every empty
line: a chunked body can end nowhere else (RFC 9112 7.1).
"""

from __future__ import annotations

import httptools

from mesh_py.http.errors import BadMessage, HeadTooLarge
from mesh_py.http.h1_head import HEAD_END, known_name
from mesh_py.http.headers import NOT_IN_TRAILERS, Field, Headers

_PEEK = len(HEAD_END) - 1
_SIZE_LINE = 20
"""Bytes that a chunk may take beside its payload: 16 digits and two line ends."""
# A parser begins with a head. This one says no more than what concerns the body.
_OPENING = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"


class ChunkedBody:
    """Takes one chunked body apart."""

    __slots__ = ("_limit", "_overhead", "_parser", "_pieces", "_started", "_tail", "_trailers", "is_complete")

    def __init__(self, trailer_bytes: int) -> None:
        """A body whose trailer section, and whose chunk extensions, are at most `trailer_bytes` long."""
        self._limit = trailer_bytes
        self._started = False
        self._trailers: list[Field] = []
        self._pieces: list[bytes] = []
        self._overhead = 0
        self._tail = b""
        self.is_complete = False
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(_OPENING)
        self._started = True

    def feed(self, data: bytes) -> tuple[list[bytes], int]:
        """The pieces of body in `data`, and how many bytes were taken: less than all once `is_complete`.

        Raises:
            BadMessage: it is malformed.
        """
        self._pieces = []
        taken = 0
        while taken < len(data) and not self.is_complete:
            end = self._next_stop(data, taken)
            self._feed_piece(data if end == len(data) and not taken else data[taken:end])
            taken = end
        return self._pieces, taken

    def trailers(self) -> Headers | None:
        """The trailer fields of a complete body, None without any."""
        kept = [field for field in self._trailers if field[0] not in NOT_IN_TRAILERS]
        return Headers(kept) if kept else None

    def _next_stop(self, data: bytes, start: int) -> int:
        if self._tail:
            joint = (self._tail + data[start : start + _PEEK]).find(HEAD_END)
            if joint >= 0:
                return start + joint + len(HEAD_END) - len(self._tail)
        found = data.find(HEAD_END, start)
        return len(data) if found < 0 else found + len(HEAD_END)

    def _feed_piece(self, piece: bytes) -> None:
        before = len(self._pieces)
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserError as error:
            raise BadMessage(f"malformed chunked body: {error}") from None
        self._count_overhead(len(piece), self._pieces[before:])
        self._tail = (self._tail + piece)[-_PEEK:] if len(piece) < _PEEK else piece[-_PEEK:]

    def _count_overhead(self, size: int, payload: list[bytes]) -> None:
        """Bound what is neither payload nor the size in front of it, since the last payload."""
        overhead = max(size - sum(map(len, payload)) - _SIZE_LINE * len(payload), 0)
        self._overhead = overhead if payload else self._overhead + overhead
        if self._overhead > self._limit:
            raise HeadTooLarge(f"more than {self._limit} bytes of chunk extensions or trailers")

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._started:
            self._trailers.append((known_name(name), value.decode("latin-1").rstrip(" \t")))

    def on_body(self, data: bytes) -> None:
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        self.is_complete = True
