"""What a stream holds: pieces joined when small, released from the front, never more objects than needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hbone_py.streams import Stream


def held(stream: Stream) -> bytes:
    return b"".join(map(bytes, stream.held))


def hold(stream: Stream, *pieces: bytes | bytearray, skip: int = 0) -> int:
    return stream.hold([memoryview(piece) for piece in pieces], skip)


def test_what_a_sink_took_is_skipped() -> None:
    stream = Stream(1, 0, 100)
    assert hold(stream, b"abc", b"de", b"fgh", skip=4) == 4
    assert (held(stream), stream.unread) == (b"efgh", 4)


def test_it_keeps_copies_and_no_views() -> None:
    stream = Stream(1, 0, 100)
    buffer = bytearray(b"abc")
    hold(stream, buffer)
    buffer[:] = b"xyz"
    buffer.clear()
    assert held(stream) == b"abc"


def test_small_pieces_are_joined_large_ones_are_not() -> None:
    stream = Stream(1, 0, 1 << 20)
    for _ in range(1000):
        hold(stream, b"x" * 100)
    assert len(stream.held) < 10
    hold(stream, bytes(100_000))
    hold(stream, b"y")
    assert len(stream.held[-1]) == 1


@given(st.lists(st.tuples(st.binary(max_size=40_000), st.integers(0, 50_000)), max_size=12))
def test_first_in_first_out(steps: list[tuple[bytes, int]]) -> None:
    stream, expected = Stream(1, 0, 100), b""
    for piece, take in steps:
        hold(stream, piece)
        expected += piece
        count = min(take, stream.unread)
        assert held(stream)[:count] == expected[:count]
        stream.release(count)
        expected = expected[count:]
        assert (held(stream), stream.unread) == (expected, len(expected))
    stream.release(stream.unread)
    assert not stream.held


def test_it_says_how_it_stands() -> None:
    stream = Stream(7, 65_535, 100)
    stream.local_open = False
    assert repr(stream) == "<stream 7: local ended, remote open, unread 0, send window 65535>"
