"""HTTP/2 frames as bytes: the only byte arithmetic of the protocol [pure].

A frame header is 24 bits of length, 8 of type, 8 of flags, 32 of stream id (RFC 9113 section 4.1). Length and type
are packed as one 32-bit number: `length << 8 | type`.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from hbone_py.errors import ErrorCode, RemoteProtocolError

HEADER: Final = Struct(">IBI")
HEADER_SIZE: Final = 9
MAX_STREAM_ID: Final = 2**31 - 1
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
HAS_PRIORITY: Final = 0x20

HEADER_TABLE_SIZE: Final = 0x1
ENABLE_PUSH: Final = 0x2
MAX_CONCURRENT_STREAMS: Final = 0x3
INITIAL_WINDOW_SIZE: Final = 0x4
MAX_FRAME_SIZE: Final = 0x5
MAX_HEADER_LIST_SIZE: Final = 0x6

_U32: Final = Struct(">I")
_HEADER_U32: Final = Struct(">IBII")
_GOAWAY: Final = Struct(">IBIII")
_SETTING: Final = Struct(">HI")


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """One whole frame."""
    return HEADER.pack(len(payload) << 8 | kind, flags, stream_id) + payload


def window_update(stream_id: int, increment: int) -> bytes:
    """WINDOW_UPDATE: `increment` more bytes of credit (RFC 9113 section 6.9)."""
    return _HEADER_U32.pack(4 << 8 | WINDOW_UPDATE, 0, stream_id, increment)


def rst_stream(stream_id: int, code: int) -> bytes:
    """RST_STREAM (RFC 9113 section 6.4)."""
    return _HEADER_U32.pack(4 << 8 | RST_STREAM, 0, stream_id, code)


def end_stream(stream_id: int) -> bytes:
    """An empty DATA frame with END_STREAM: the end of one direction."""
    return HEADER.pack(DATA, END_STREAM, stream_id)


def goaway(last_stream_id: int, code: int, debug: bytes = b"") -> bytes:
    """GOAWAY (RFC 9113 section 6.8)."""
    return _GOAWAY.pack((8 + len(debug)) << 8 | GOAWAY, 0, 0, last_stream_id, code) + debug


def ping(payload: bytes) -> bytes:
    """A PING that asks for an answer; `payload` is eight bytes (RFC 9113 section 6.7)."""
    return frame(PING, 0, 0, payload)


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame with `values` in their order (RFC 9113 section 6.5)."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(key, value) for key, value in values.items()))


def u32(payload: bytes | memoryview) -> int:
    """The first four bytes as a number."""
    value: int = _U32.unpack_from(payload)[0]
    return value


def strip_padding(payload: bytes, flags: int) -> bytes:
    """The block of a HEADERS frame without padding and priority fields (RFC 9113 section 6.2).

    Raises RemoteProtocolError: FRAME_SIZE_ERROR when the fields are not there (4.2), PROTOCOL_ERROR when the padding
    does not fit.
    """
    start, end = int(bool(flags & PADDED)), len(payload)
    if flags & HAS_PRIORITY:
        start += 5
    if start > end:
        raise RemoteProtocolError("HEADERS shorter than its fields", ErrorCode.FRAME_SIZE_ERROR)
    if flags & PADDED:
        end -= payload[0]
    if start > end:
        raise RemoteProtocolError("HEADERS with more padding than payload")
    return payload[start:end]


def check_acknowledgement(kind: int, flags: int, payload: bytes) -> None:
    """SETTINGS with ACK carry nothing (RFC 9113 section 6.5), of which h2 says PROTOCOL_ERROR.

    Raises RemoteProtocolError.
    """
    if payload and kind == SETTINGS and flags & ACK:
        raise RemoteProtocolError("SETTINGS with ACK and a payload", ErrorCode.FRAME_SIZE_ERROR)
