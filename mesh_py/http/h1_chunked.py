"""Chunked bodies: llhttp takes them apart, and we find where they end [pure].

httptools does not say at which byte a message ended. So the lines of the sizes are read here too, only to go from one
to the next without looking into the payload, and bytes are handed over up to the end that was found. Where the two
readers disagree, nobody guesses.
"""

from __future__ import annotations

import re

import httptools

from mesh_py.http.errors import BadMessage, HeadTooLarge
from mesh_py.http.h1_head import HEAD_END, known_name
from mesh_py.http.headers import NOT_IN_TRAILERS, Field, Headers

_PEEK = len(HEAD_END) - 1
_SIZE_LINE = 20
"""Bytes that a chunk may take beside its payload: 16 digits and two line ends."""
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[;\t ][^\r\n]*)?\r\n").match
_SMALL_CHUNKS = re.compile(
    b"(?:" + b"|".join(rb"[%x%X](?:;[^\r\n]*+)?\r\n.{%d}\r\n" % (size, size, size) for size in range(1, 16)) + b")*+",
    re.DOTALL,
).match
"""Any number of whole ones: who sends bytes one by one must not cost more than they are worth."""
# A parser begins with a head. This one says no more than what concerns the body.
_OPENING = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"


class ChunkedBody:
    """Takes one chunked body apart."""

    __slots__ = (
        *("_ahead", "_in_trailers", "_limit", "_line", "_overhead", "_parser", "_pieces", "_started", "_tail"),
        *("_trailers", "is_complete"),
    )

    def __init__(self, trailer_bytes: int) -> None:
        """A body whose trailer section, and whose chunk extensions, are at most `trailer_bytes` long."""
        self._limit = trailer_bytes
        self._started = False
        self._trailers: list[Field] = []
        self._pieces: list[bytes] = []
        self._overhead = 0
        self._ahead = 0
        """Bytes to the end of the chunk that has begun: its payload and a line end."""
        self._line = b""
        """What there is of a size's line that has not ended."""
        self._in_trailers = False
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
        end = self._end_in(data)
        found = end <= len(data)
        piece = data[:end]
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserError as error:
            raise BadMessage(f"malformed chunked body: {error}") from None
        if self.is_complete is not found:
            raise BadMessage("a chunked body whose end is doubtful")
        self._count_overhead(len(piece))
        return self._pieces, len(piece)

    def trailers(self) -> Headers | None:
        """The trailer fields of a complete body, None without any."""
        kept = [field for field in self._trailers if field[0] not in NOT_IN_TRAILERS]
        return Headers(kept) if kept else None

    def _end_in(self, data: bytes) -> int:
        """Where the body ends; beyond the data if that is still to come."""
        position, size = 0, len(data)
        while not self._in_trailers:
            position += self._ahead
            if position >= size:
                self._ahead = position - size
                return size + 1
            line = None
            if not self._line and (small := _SMALL_CHUNKS(data, position)):
                position = small.end()
                line = _SIZE(data, position)
            if line is None:
                position = self._take_piece(data, position)
            else:
                position = line.end()
                self._take_size(line[1])
        return self._end_of_trailers(data, position)

    def _take_piece(self, data: bytes, start: int) -> int:
        """A size's line that does not lie whole in one read, or is none; where what there is of it ends."""
        self._ahead = 0
        end = data.find(b"\n", start) + 1 or len(data)
        self._line += data[start:end]
        if len(self._line) > self._limit + _SIZE_LINE:
            raise HeadTooLarge(f"a chunk's size and extensions of more than {self._limit} bytes")
        if self._line.endswith(b"\n"):
            line, self._line = _SIZE(self._line), b""
            if line is None:
                raise BadMessage("malformed chunked body: a size that is none")
            self._take_size(line[1])
        return end

    def _take_size(self, digits: bytes) -> None:
        count = int(digits, 16)
        if count:
            self._ahead = count + 2
        else:
            self._in_trailers, self._tail = True, b"\r\n"

    def _end_of_trailers(self, data: bytes, start: int) -> int:
        joint = (self._tail + data[start : start + _PEEK]).find(HEAD_END)
        if joint >= 0:
            return start + joint + len(HEAD_END) - len(self._tail)
        found = data.find(HEAD_END, start)
        self._tail = (self._tail + data[max(start, len(data) - _PEEK) :])[-_PEEK:]
        return len(data) + 1 if found < 0 else found + len(HEAD_END)

    def _count_overhead(self, size: int) -> None:
        """Bound what is neither payload nor the size in front of it, since the last payload."""
        payload = self._pieces
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

    def on_message_begin(self) -> None:
        if self._started:  # bytes behind the end
            raise BadMessage("a chunked body that ends before its end")

    def on_message_complete(self) -> None:
        self.is_complete = True
