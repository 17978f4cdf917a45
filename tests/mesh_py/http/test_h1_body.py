"""Bodies of each framing, in and out."""

from __future__ import annotations

import pytest

from mesh_py.http.errors import UnwritableMessage
from mesh_py.http.h1_body import BodyReader, BodyWriter
from mesh_py.http.h1_head import Framing, Head
from mesh_py.http.headers import Headers


def test_a_whole_read_passes_without_a_copy() -> None:
    data = bytes(1000)
    reader = BodyReader(Head(Framing.LENGTH, 5000, True), 100)
    assert reader.feed(data)[0] is data


def test_a_counted_body_takes_no_more_than_its_own() -> None:
    reader = BodyReader(Head(Framing.LENGTH, 3, True), 100)
    assert reader.feed(b"abcd") == (b"abc", 3)
    assert reader.is_complete


@pytest.mark.parametrize("framing", [Framing.CLOSE, Framing.TUNNEL])
def test_a_body_that_ends_with_the_connection_is_never_complete(framing: Framing) -> None:
    reader = BodyReader(Head(framing, 0, False), 100)
    assert reader.feed(b"abc") == (b"abc", 3)
    assert not reader.is_complete
    assert reader.ends_with_connection


@pytest.mark.parametrize(
    ("framing", "length", "pieces", "expected"),
    [
        pytest.param(Framing.LENGTH, 4, [b"ab", b"cd"], b"abcd", id="length"),
        pytest.param(
            Framing.CHUNKED, 0, [b"ab", b"", b"c" * 16], b"2\r\nab\r\n10\r\n" + b"c" * 16 + b"\r\n", id="chunks"
        ),
        pytest.param(Framing.CLOSE, 0, [b"ab", b"cd"], b"abcd", id="close"),
    ],
)
def test_what_is_written(framing: Framing, length: int, pieces: list[bytes], expected: bytes) -> None:
    writer, out = BodyWriter(framing, length), list[bytes]()
    for piece in pieces:
        writer.write(piece, out)
    assert b"".join(out) == expected


def test_a_large_chunk_is_not_copied() -> None:
    out: list[bytes] = []
    data = bytes(100_000)
    BodyWriter(Framing.CHUNKED).write(data, out)
    assert any(piece is data for piece in out)


def test_trailers_follow_the_last_chunk_alone() -> None:
    out: list[bytes] = []
    BodyWriter(Framing.CHUNKED).end(Headers([("a", "b")]), out)
    BodyWriter(Framing.LENGTH, 0).end(Headers([("a", "b")]), out)
    assert b"".join(out) == b"0\r\na: b\r\n\r\n"


def test_no_body_may_be_written_where_none_may_be() -> None:
    with pytest.raises(UnwritableMessage):
        BodyWriter(Framing.NONE).write(b"x", [])
