"""HTTP/2 frames as values, for conversations: written plainly, read back from bytes.

Independent of the code under test: packed with `struct`, header blocks written as literals that touch no table
(`lines` to bytes) and read by hpack's own decoder.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from hpack import Decoder

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
NAMES = (
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20


class Frame(NamedTuple):
    """One frame. `bytes(frame)` is its wire form."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes = b""

    def __bytes__(self) -> bytes:
        length = len(self.payload)
        head = struct.pack(">BHBBI", length >> 16, length & 0xFFFF, self.kind, self.flags, self.stream_id)
        return head + self.payload

    def __repr__(self) -> str:
        name = NAMES[self.kind] if self.kind < len(NAMES) else f"type {self.kind:#x}"
        payload = self.payload if len(self.payload) <= 64 else self.payload[:61] + b"..."
        return f"{name}(stream {self.stream_id}, flags {self.flags:#x}, {len(self.payload)} bytes {payload!r})"


def wire(*frames: Frame | bytes) -> bytes:
    """Their bytes, one after the other."""
    return b"".join(map(bytes, frames))


def split(data: bytes) -> Iterator[Frame]:
    """The frames of `data`, which must hold whole ones only."""
    while data:
        high, low, kind, flags, stream_id = struct.unpack_from(">BHBBI", data)
        end = 9 + (high << 16 | low)
        assert len(data) >= end, f"a frame is cut short: {data[:32]!r}"
        yield Frame(kind, flags, stream_id, data[9:end])
        data = data[end:]


# Header blocks ------------------------------------------------------------------------------------------------------


def pairs(*lines: str) -> list[tuple[bytes, bytes]]:
    """`":status 200"` is the header `:status` of value `200`: the first space that is not at the start divides."""
    found = []
    for line in lines:
        name, _, value = line.partition(" ")
        found.append((name.encode("latin-1"), value.encode("latin-1")))
    return found


def integer(value: int, bits: int, high: int = 0) -> bytes:
    """RFC 7541 section 5.1."""
    full = (1 << bits) - 1
    if value < full:
        return bytes([high | value])
    out, value = [high | full], value - full
    while value > 127:
        out.append(value % 128 | 128)
        value //= 128
    return bytes([*out, value])


def block(*lines: str) -> bytes:
    """A block of literals without indexing, no Huffman coding (RFC 7541 section 6.2.2)."""
    return block_of(pairs(*lines))


def block_of(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The same, from names and values as bytes."""
    return b"".join(b"\0" + integer(len(name), 7) + name + integer(len(value), 7) + value for name, value in headers)


def decoded(payload: bytes, decoder: Decoder | None = None) -> list[tuple[bytes, bytes]]:
    """A block's headers, by hpack."""
    headers = (decoder or Decoder()).decode(payload, raw=True)
    return [(bytes(name), bytes(value)) for name, value in headers]


# One builder for each kind of frame ---------------------------------------------------------------------------------


def headers(stream_id: int, *lines: str, end: bool = False, pad: int | None = None) -> Frame:
    """HEADERS of a whole block."""
    return headers_of(stream_id, block(*lines), end=end, pad=pad)


def headers_of(
    stream_id: int, payload: bytes, *, end: bool = False, pad: int | None = None, last: bool = True
) -> Frame:
    """HEADERS with a given block; `last` false leaves END_HEADERS to a CONTINUATION."""
    flags = END_HEADERS * last | END_STREAM * end
    if pad is not None:
        flags, payload = flags | PADDED, bytes([pad]) + payload + bytes(pad)
    return Frame(HEADERS, flags, stream_id, payload)


def connect(stream_id: int, authority: str = "10.1.0.2:8080", *lines: str, end: bool = False) -> Frame:
    """A plain CONNECT."""
    return headers(stream_id, ":method CONNECT", f":authority {authority}", *lines, end=end)


def ok(stream_id: int, *lines: str, end: bool = False) -> Frame:
    """The 200."""
    return headers(stream_id, ":status 200", *lines, end=end)


def continuation(stream_id: int, payload: bytes = b"", *, last: bool = True) -> Frame:
    """CONTINUATION, the block's end by default."""
    return Frame(CONTINUATION, END_HEADERS * last, stream_id, payload)


def data(stream_id: int, payload: bytes = b"", *, end: bool = False, pad: int | None = None) -> Frame:
    """DATA."""
    flags = END_STREAM * end
    if pad is not None:
        flags, payload = flags | PADDED, bytes([pad]) + payload + bytes(pad)
    return Frame(DATA, flags, stream_id, payload)


def rst(stream_id: int, code: int) -> Frame:
    """RST_STREAM."""
    return Frame(RST_STREAM, 0, stream_id, struct.pack(">I", code))


def window(stream_id: int, increment: int) -> Frame:
    """WINDOW_UPDATE."""
    return Frame(WINDOW_UPDATE, 0, stream_id, struct.pack(">I", increment))


def settings(values: dict[int, int] | None = None) -> Frame:
    """SETTINGS."""
    return Frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *item) for item in (values or {}).items()))


SETTINGS_ACK = Frame(SETTINGS, ACK, 0)


def ping(payload: bytes = b"12345678", *, ack: bool = False) -> Frame:
    """PING."""
    return Frame(PING, ACK * ack, 0, payload)


def goaway(last: int, code: int = 0, debug: bytes = b"") -> Frame:
    """GOAWAY."""
    return Frame(GOAWAY, 0, 0, struct.pack(">II", last, code) + debug)


def priority(stream_id: int, depends_on: int = 0) -> Frame:
    """PRIORITY."""
    return Frame(PRIORITY, 0, stream_id, struct.pack(">IB", depends_on, 15))
