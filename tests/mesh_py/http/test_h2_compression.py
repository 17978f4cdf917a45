"""HPACK's short cuts beside hpack itself."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError, OversizedHeaderListError
from hypothesis import given, reject
from hypothesis import strategies as st

from mesh_py.http import h2_compression
from mesh_py.http.h2_compression import PlainEncoder, QuickDecoder

NAMES = st.sampled_from([b":method", b":path", b"x-a", b"cookie", b"authorization", b"accept", b"www-authenticate"])
VALUES = st.sampled_from([b"GET", b"/", b"", b"v"]) | st.binary(max_size=300)
BLOCK = st.lists(st.tuples(NAMES, VALUES), max_size=8)


def plain(headers: object) -> list[tuple[bytes, bytes]]:
    return [(bytes(name), bytes(value)) for name, value in headers]  # type: ignore[attr-defined]


@given(blocks=st.lists(BLOCK, max_size=6))
def test_hpack_reads_what_we_write(blocks: list[list[tuple[bytes, bytes]]]) -> None:
    ours, theirs = PlainEncoder(), Decoder()
    for block in blocks:
        assert plain(theirs.decode(ours.encode(block), raw=True)) == block
    assert theirs.header_table.dynamic_entries == Decoder().header_table.dynamic_entries


@given(
    blocks=st.lists(st.tuples(BLOCK, st.booleans(), st.booleans()), max_size=10),
    sizes=st.lists(st.integers(0, 4096), max_size=10),
)
def test_we_read_what_hpack_and_we_write(
    blocks: list[tuple[list[tuple[bytes, bytes]], bool, bool]], sizes: list[int]
) -> None:
    """In one connection's order, with its table changing between and blocks coming again."""
    encoder, plain_encoder, decoder = Encoder(), PlainEncoder(), QuickDecoder(1 << 20)
    for number, (block, from_hpack, huffman) in enumerate(blocks):
        # hpack forgets a change that is made twice before it is told.
        if from_hpack and number < len(sizes) and sizes[number] != encoder.header_table_size:
            encoder.header_table_size = sizes[number]
        for _ in range(2):
            wire = encoder.encode(block, huffman=huffman) if from_hpack else plain_encoder.encode(block)
            assert plain(decoder.decode(wire, raw=True)) == block


@given(data=st.binary(max_size=60), again=st.booleans())
def test_any_bytes_are_read_as_hpack_reads_them(data: bytes, again: bool) -> None:
    for _ in range(2 if again else 1):
        ours, theirs = QuickDecoder(65_536), Decoder()
        assert outcome(ours, data) == outcome(theirs, data)


def outcome(decoder: Decoder, data: bytes) -> object:
    try:
        return plain(decoder.decode(data, raw=True))
    except HPACKError as error:
        if "table size updates" in str(error):
            reject()  # a bound of ours: hpack takes any number
        return type(error).__name__


def test_a_smaller_table_is_acknowledged_once() -> None:
    ours, theirs = PlainEncoder(), Decoder()
    theirs.max_allowed_table_size = 0
    ours.header_table_size = 0
    ours.header_table_size = 0
    first, second = ours.encode([(b"x", b"y")]), ours.encode([(b"x", b"y")])
    assert first != second
    assert plain(theirs.decode(first, raw=True)) == plain(theirs.decode(second, raw=True)) == [(b"x", b"y")]


def test_a_list_that_is_too_large_is_refused() -> None:
    wire = PlainEncoder().encode([(b"x", b"y" * 200)])
    with pytest.raises(OversizedHeaderListError):
        QuickDecoder(200).decode(wire)


def test_secrets_are_marked_and_not_remembered() -> None:
    [field] = [(b"authorization", b"Bearer secret-of-this-test")]
    wire = PlainEncoder().encode([field])
    [decoded] = Decoder().decode(wire, raw=True)
    assert not decoded.indexable
    assert field not in h2_compression._ENCODED


def test_memory_is_bounded() -> None:
    encoder, decoder = PlainEncoder(), QuickDecoder(65_536)
    for number in range(3000):
        decoder.decode(encoder.encode([(b"x-%d" % number, b"y")]))
    assert len(h2_compression._ENCODED) <= 2000
    assert len(decoder._known) <= 2000
