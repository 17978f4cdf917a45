"""Frames as bytes, spelled out."""

from __future__ import annotations

import pytest

from hbone_py import frames
from hbone_py.errors import ErrorCode, RemoteProtocolError


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(frames.window_update(3, 65_536), "000004 08 00 00000003 00010000", id="WINDOW_UPDATE"),
        pytest.param(frames.rst_stream(5, 8), "000004 03 00 00000005 00000008", id="RST_STREAM"),
        pytest.param(frames.end_stream(7), "000000 00 01 00000007", id="an end"),
        pytest.param(frames.goaway(9, 11, b"hm"), "00000a 07 00 00000000 00000009 0000000b 686d", id="GOAWAY"),
        pytest.param(frames.ping(b"12345678"), "000008 06 00 00000000 3132333435363738", id="PING"),
        pytest.param(frames.settings({4: 1, 3: 2}), "00000c 04 00 00000000 0004 00000001 0003 00000002", id="SETTINGS"),
        pytest.param(frames.frame(1, 5, 1, bytes(70_000))[:9], "011170 01 05 00000001", id="24 bits of length"),
    ],
)
def test_what_is_written(made: bytes, expected: str) -> None:
    assert made == bytes.fromhex(expected)


def test_four_bytes_as_a_number() -> None:
    assert frames.u32(memoryview(b"\x80\0\0\x01rest")) == 2**31 + 1


@pytest.mark.parametrize(
    ("payload", "flags", "expected"),
    [
        pytest.param(b"block", 0, b"block", id="nothing to strip"),
        pytest.param(b"\x03block\0\0\0", frames.PADDED, b"block", id="padding"),
        pytest.param(b"\0\0\0\x01\x0fblock", frames.HAS_PRIORITY, b"block", id="priority"),
        pytest.param(b"\x02\0\0\0\x01\x0fblock\0\0", frames.PADDED | frames.HAS_PRIORITY, b"block", id="both"),
        pytest.param(b"\x02\0\0", frames.PADDED, b"", id="padding alone"),
    ],
)
def test_headers_lose_padding_and_priority(payload: bytes, flags: int, expected: bytes) -> None:
    assert frames.strip_padding(payload, flags) == expected


@pytest.mark.parametrize(
    ("payload", "flags", "code"),
    [
        pytest.param(b"", frames.PADDED, ErrorCode.FRAME_SIZE_ERROR, id="no length of padding"),
        pytest.param(b"1234", frames.HAS_PRIORITY, ErrorCode.FRAME_SIZE_ERROR, id="no priority"),
        pytest.param(b"\x01", frames.PADDED, ErrorCode.PROTOCOL_ERROR, id="no padding"),
        pytest.param(b"\x01\0\0\0\0\0", frames.PADDED | frames.HAS_PRIORITY, ErrorCode.PROTOCOL_ERROR, id="neither"),
    ],
)
def test_padding_that_does_not_fit(payload: bytes, flags: int, code: int) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        frames.strip_padding(payload, flags)
    assert refused.value.code == code
