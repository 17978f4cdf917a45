"""What a block may cost: measured in what hpack is given to copy, not in time. What it means is hpack's."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder
from hpack.exceptions import HPACKDecodingError

from hbone_py.header_decoder import BoundedDecoder

EMPTY, FULL = b"\x20", b"\x3f\xe1\x1f"
FIELD = b"\x82"


def test_a_table_may_shrink_and_grow_in_front_of_a_block() -> None:
    decoder = BoundedDecoder()
    for _ in range(3):  # counted for each block anew
        assert list(decoder.decode(EMPTY + FULL + FIELD, raw=True)) == [(b":method", b"GET")]


def test_more_changes_of_its_size_have_no_use() -> None:
    with pytest.raises(HPACKDecodingError, match="2 table size updates"):
        BoundedDecoder().decode(EMPTY * 3 + FIELD)


@pytest.mark.parametrize("huffman", [True, False])
@pytest.mark.parametrize("size", [0, 1, 900, 1020, 1024, 1030, 5000])
def test_literals_of_any_length_are_read_as_hpack_reads_them(size: int, huffman: bool) -> None:
    encoder, plain, bounded = Encoder(), Decoder(), BoundedDecoder()
    for _ in range(3):
        fields = [(b"x" * (size + 1), b"y" * size), (b"name", b"v" * size), (b"cookie", b"w" * 10)]
        block = encoder.encode(fields, huffman=huffman)
        assert list(bounded.decode(block, raw=True)) == list(plain.decode(block, raw=True)) == fields
    assert bounded.header_table.dynamic_entries == plain.header_table.dynamic_entries


def test_a_small_literal_copies_no_large_block(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    read = Decoder._decode_literal

    def counted(self: Decoder, data: memoryview, should_index: bool) -> object:
        given.append(len(data))
        return read(self, data, should_index)

    monkeypatch.setattr(Decoder, "_decode_literal", counted)
    assert len(list(BoundedDecoder(10**6).decode(b"\x40\x01a\x01b" * 1000, raw=True))) == 1000
    assert max(given) <= 1024


def test_a_literal_that_is_cut_short_is_none() -> None:
    with pytest.raises(HPACKDecodingError, match="Truncated"):
        BoundedDecoder().decode(b"\x40\x01a\x7f\x90\x10" + b"y" * 1500)
