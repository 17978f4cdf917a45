"""Header blocks: joined, bounded, decoded in order. What becomes of bad ones: test_header_lane.py."""

from __future__ import annotations

import pytest
from hpack import Encoder

from hbone_py.errors import ErrorCode, RemoteProtocolError
from hbone_py.header_reader import HeaderReader
from tests.support.frames import CONTINUATION, END_HEADERS, END_STREAM, block_of

LINES = [(b":method", b"CONNECT"), (b"x", b"y")]


def test_a_whole_block_is_given_back_at_once() -> None:
    assert HeaderReader(1000).begin(END_HEADERS | END_STREAM, 1, b"block") == (b"block", True)


def test_a_block_in_pieces_is_given_back_at_its_end() -> None:
    reader = HeaderReader(1000)
    assert reader.begin(END_STREAM, 5, b"one") is None
    assert reader.stream_id == 5
    assert reader.go_on(CONTINUATION, 0, 5, b"two") is None
    assert reader.go_on(CONTINUATION, END_HEADERS, 5, b"three") == (b"onetwothree", True)
    assert reader.stream_id == 0
    assert reader.begin(END_HEADERS, 7, b"next") == (b"next", False)


def test_plain_and_compressed_blocks_give_the_same() -> None:
    encoder, reader = Encoder(), HeaderReader(1000)
    for made in (encoder.encode(LINES), block_of(LINES), encoder.encode(LINES)):
        assert reader.decode(made) == (LINES, False)


@pytest.mark.parametrize("count", [1, 10, 200])
def test_the_size_of_a_list_is_counted_by_the_rfc(count: int) -> None:
    """RFC 9113 section 6.5.2: `count` headers of 3 bytes are 35 * `count`."""
    lines = [(b"ab", b"c")] * count
    for made in (block_of(lines), Encoder().encode(lines)):
        assert HeaderReader(35 * count).decode(made) == (lines, False)
        assert HeaderReader(35 * count - 1).decode(made) == (lines, True)


def test_static_entries_are_counted_in_full() -> None:
    """One byte of block, 60 bytes of list: `accept-encoding: gzip, deflate`."""
    assert HeaderReader(60 * 100).decode(b"\x90" * 100)[1] is False
    assert HeaderReader(60 * 100 - 1).decode(b"\x90" * 100)[1] is True


def test_decoding_stops_at_four_times_the_limit() -> None:
    made = Encoder().encode([(b"a", b"x" * 5000)])
    with pytest.raises(RemoteProtocolError) as refused:
        HeaderReader(1000).decode(made)
    assert refused.value.code == ErrorCode.ENHANCE_YOUR_CALM
