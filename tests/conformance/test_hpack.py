"""RFC 7541: blocks read without a table are exactly what a full decoder reads, and move no decoder's table."""

from __future__ import annotations

from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError
from hypothesis import given, settings
from hypothesis import strategies as st

from hbone_py.header_blocks import connect_block, literals, prefix_int, read_plain, status
from tests.support.frames import block_of, decoded

NAMES = st.one_of(
    st.sampled_from([b":method", b":authority", b":path", b":status", b"baggage", b"x-long", b"te", b""]),
    st.binary(max_size=140),
)
VALUES = st.one_of(st.sampled_from([b"CONNECT", b"200", b"gzip, deflate", b""]), st.binary(max_size=300))
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=8)


@st.composite
def plain_pieces(draw: st.DrawFn) -> bytes:
    """One representation that touches no table (RFC 7541 sections 6.1, 6.2.2 and 6.2.3), now and then damaged."""
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return bytes([0x80 | draw(st.integers(0, 0x7F))])
    high = draw(st.sampled_from([0x00, 0x10]))
    index = draw(st.integers(0, 20))
    start = bytearray(prefix_int(index, 4))
    start[0] |= high
    name = b"" if index else _text(draw(NAMES))
    return bytes(start) + name + _text(draw(VALUES))


def _text(value: bytes) -> bytes:
    return prefix_int(len(value)) + value


@st.composite
def blocks(draw: st.DrawFn) -> bytes:
    """Plain representations, hpack's own output, or noise, one after the other; perhaps cut short."""
    encoder = Encoder()
    parts = draw(
        st.lists(
            plain_pieces() | st.binary(max_size=12) | HEADERS.map(block_of) | HEADERS.map(encoder.encode), max_size=5
        )
    )
    whole = b"".join(parts)
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.booleans()) else whole


def state_of(decoder: Decoder) -> object:
    table = decoder.header_table
    return list(table.dynamic_entries), table.maxsize


def fresh() -> Decoder:
    """A decoder with something in its table."""
    decoder = Decoder(max_header_list_size=1 << 24)
    decoder.decode(Encoder().encode([(b"x-early", b"1"), (b"baggage", b"2")]))
    return decoder


@settings(max_examples=400)
@given(blocks())
def test_a_plain_block_is_what_the_full_decoder_reads(block: bytes) -> None:
    headers = read_plain(block)
    if headers is None:
        return
    decoder = fresh()
    before = state_of(decoder)
    assert [(bytes(name), bytes(value)) for name, value in decoder.decode(block, raw=True)] == headers
    assert state_of(decoder) == before, "a block that changes the table is no plain block"


@settings(max_examples=200)
@given(blocks())
def test_what_no_decoder_reads_is_not_read_here(block: bytes) -> None:
    try:
        fresh().decode(block, raw=True)
    except HPACKError:
        assert read_plain(block) is None


@given(HEADERS)
def test_literals_are_always_read_without_a_table(headers: list[tuple[bytes, bytes]]) -> None:
    made = literals(headers)
    assert decoded(made) == headers
    if all(len(name) < 127 for name, _ in headers):
        assert read_plain(made) == headers


@given(st.binary(min_size=1, max_size=300), HEADERS, st.integers(100, 999))
def test_hpack_reads_what_we_write(authority: bytes, headers: list[tuple[bytes, bytes]], code: int) -> None:
    expected = [(b":method", b"CONNECT"), (b":authority", authority), *headers]
    assert decoded(connect_block(authority, literals(headers))) == expected
    assert decoded(status(code)) == [(b":status", b"%d" % code)]


@given(st.integers(0, 2**28), st.integers(1, 8))
def test_integers_by_the_rfc(value: int, bits: int) -> None:
    from hpack.hpack import decode_integer

    made = prefix_int(value, bits)
    assert decode_integer(made, bits) == (value, len(made))
