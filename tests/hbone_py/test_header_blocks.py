"""Blocks we write, spelled out, and blocks we may read without a table."""

from __future__ import annotations

import pytest

from hbone_py.header_blocks import (
    EMPTY_TABLE,
    STATUS_200,
    connect_block,
    literal,
    literals,
    prefix_int,
    read_plain,
    status,
)
from tests.support.frames import decoded


@pytest.mark.parametrize(
    ("value", "bits", "expected"),
    [
        pytest.param(10, 5, "0a", id="RFC 7541 C.1.1: 10, five bits"),
        pytest.param(1337, 5, "1f9a0a", id="RFC 7541 C.1.2: 1337, five bits"),
        pytest.param(42, 8, "2a", id="RFC 7541 C.1.3: 42, eight bits"),
        pytest.param(126, 7, "7e", id="the largest in one byte"),
        pytest.param(127, 7, "7f00", id="the prefix full"),
        pytest.param(255, 7, "7f8001", id="two more bytes"),
    ],
)
def test_integers(value: int, bits: int, expected: str) -> None:
    assert prefix_int(value, bits) == bytes.fromhex(expected)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(STATUS_200, "88", id="200"),
        pytest.param(status(200), "88", id="200 again"),
        pytest.param(status(503), "08 03 353033", id="503"),
        pytest.param(connect_block(b"a:1"), "02 07 434f4e4e454354 01 03 613a31", id="a plain CONNECT"),
        pytest.param(literal(b"ab", b"c"), "00 02 6162 01 63", id="a literal"),
        pytest.param(EMPTY_TABLE, "20", id="table size 0"),
    ],
)
def test_what_is_written(made: bytes, expected: str) -> None:
    assert made == bytes.fromhex(expected)


def test_hpack_reads_what_we_write() -> None:
    headers = [(b"baggage", b"x" * 300), (b"forwarded", b'for="10.0.0.1:5"'), (b"empty", b"")]
    made = EMPTY_TABLE + connect_block(b"[fd00::7]:8080", literals(headers))
    expected = [(b":method", b"CONNECT"), (b":authority", b"[fd00::7]:8080"), *headers]
    assert decoded(made) == expected
    assert read_plain(made[1:]) == expected


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        pytest.param("88", [(b":status", b"200")], id="a static entry"),
        pytest.param("bd", [(b"www-authenticate", b"")], id="the last static entry, 61"),
        pytest.param("08 03 343031", [(b":status", b"401")], id="a static name"),
        pytest.param("18 03 343031", [(b":status", b"401")], id="never indexed"),
        pytest.param("00 01 61 00", [(b"a", b"")], id="an empty value"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_what_is_read_without_a_table(block: str, expected: list[tuple[bytes, bytes]]) -> None:
    assert read_plain(bytes.fromhex(block)) == expected


@pytest.mark.parametrize(
    "block",
    [
        pytest.param("be", id="the first dynamic entry"),
        pytest.param("80", id="entry 0"),
        pytest.param("ff00", id="an entry of several bytes"),
        pytest.param("41 01 61", id="with indexing"),
        pytest.param("20", id="a table size"),
        pytest.param("08 82 1065", id="a Huffman value"),
        pytest.param("00 81 1f 01 61", id="a Huffman name"),
        pytest.param("0f 00 01 61", id="a static name of several bytes"),
        pytest.param("08 03 3430", id="a value cut short"),
        pytest.param("00 05 6162", id="a name cut short"),
        pytest.param("00", id="no name"),
        pytest.param("08", id="no value"),
        pytest.param("08 7f", id="an integer cut short"),
        pytest.param("08 7fffffffffff01 61", id="an integer without end"),
        pytest.param("00 7f00" + "61" * 127 + "0161", id="a long name"),
    ],
)
def test_what_is_left_to_the_full_decoder(block: str) -> None:
    assert read_plain(bytes.fromhex(block)) is None
