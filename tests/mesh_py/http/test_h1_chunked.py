"""Chunked bodies by themselves: what comes out, and where they end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.http.errors import BadMessage, HeadTooLarge
from mesh_py.http.h1_chunked import ChunkedBody
from mesh_py.http.headers import Headers

PIECES = st.lists(st.binary(min_size=1, max_size=40) | st.just(b"a\r\n\r\nb") | st.just(b"0\r\n\r\n"), max_size=6)


def wire_of(pieces: list[bytes], trailer: bytes = b"") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailer + b"\r\n"


@given(pieces=PIECES, rest=st.binary(max_size=20), cut=st.integers(0, 200), trailer=st.sampled_from([b"", b"a: b\r\n"]))
def test_it_ends_where_it_ends(pieces: list[bytes], rest: bytes, cut: int, trailer: bytes) -> None:
    body, wire = ChunkedBody(1000), wire_of(pieces, trailer) + rest
    out, taken = body.feed(wire[:cut])
    if not body.is_complete:
        more, further = body.feed(wire[cut:])
        out, taken = out + more, taken + further
    assert body.is_complete
    assert b"".join(out) == b"".join(pieces)
    assert wire[taken:] == rest
    assert body.trailers() == (Headers([("a", "b")]) if trailer else None)


def test_trailers_that_would_change_the_message_are_dropped() -> None:
    body = ChunkedBody(1000)
    body.feed(wire_of([], b"Host: x\r\nX-Forwarded-For: 1.2.3.4\r\nSet-Cookie: a=b\r\nGrpc-Status: 0\r\n"))
    assert body.trailers() == Headers([("grpc-status", "0")])


def test_small_chunks_are_no_overhead() -> None:
    body = ChunkedBody(100)
    out, _ = body.feed(wire_of([b"x"] * 1000))
    assert b"".join(out) == b"x" * 1000


@pytest.mark.parametrize("extra", [b"1;" + b"x" * 300, b"0\r\n" + b"a: b\r\n" * 50], ids=["extension", "trailers"])
def test_overhead_is_bounded(extra: bytes) -> None:
    body = ChunkedBody(100)
    for index in range(100):
        body.feed(extra[index : index + 1])
    with pytest.raises(HeadTooLarge):
        body.feed(extra[100:])


def test_a_payload_is_not_looked_into() -> None:
    """Full of what an end looks like, it still is one piece: taking it apart there cost 50 ms for 64 KiB."""
    body = ChunkedBody(100)
    out, taken = body.feed(b"ffff\r\n" + b"\r\n0\r\n\r\n" * 6000)
    assert [len(piece) for piece in out] == [taken - 6]
    assert not body.is_complete


@pytest.mark.parametrize(
    "line",
    [
        *(
            b"\r\n",
            b"x\r\n",
            b"-1\r\n",
            b"+1\r\n",
            b" 1\r\n",
            b"1 \r\n",
            b"0x1\r\n",
            b"1,1\r\n",
            b"1_0\r\n",
            b"\xb2\r\n",
        ),
        *(b"1\n", b"1\r", b"1;\n", b"1;a\rb\r\n", b"1;a\0\r\n", b'1;a="\r\n"\r\n', b"11111111111111111\r\n"),
    ],
)
@pytest.mark.parametrize("cut", [100, 1], ids=["whole", "byte by byte"])
def test_a_size_that_two_readers_might_read_in_two_ways(line: bytes, cut: int) -> None:
    wire = line + b"a\r\n0\r\n\r\n"
    with pytest.raises(BadMessage):
        feed_all(ChunkedBody(1000), [wire[at : at + cut] for at in range(0, len(wire), cut)])


def feed_all(body: ChunkedBody, pieces: list[bytes]) -> None:
    for piece in pieces:
        body.feed(piece)


@pytest.mark.parametrize("gap", [b"", b"\n", b"\r", b"x\r\n", b"\r\n\r\n"])
def test_a_payload_ends_where_its_size_says(gap: bytes) -> None:
    with pytest.raises(BadMessage):
        ChunkedBody(1000).feed(b"1\r\na" + gap + b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n")
