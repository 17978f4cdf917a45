"""Header blocks without a compression table: the third lane (hot-path 5) [pure].

A block made of static-table entries and literals without indexing is valid in any decoder's state and changes none,
so we may write such blocks from prepared pieces, and read them without the connection's HPACK decoder. Any block
that touches the dynamic table, or uses Huffman coding, is left to that decoder, in order (RFC 7541 sections 2 and 6).
"""

from __future__ import annotations

from hpack.table import HeaderTable

HeaderList = list[tuple[bytes, bytes]]

_STATIC: tuple[tuple[bytes, bytes], ...] = ((b"", b""), *HeaderTable.STATIC_TABLE)
ONE_BYTE = 0x7F
"""Texts shorter than this say their length in one byte."""
_SMALL = tuple(bytes((size,)) for size in range(ONE_BYTE))
"""Lengths of texts that take one byte."""

STATUS_200 = b"\x88"
"""`:status: 200`, static entry 8: a whole response block."""
CONNECT_METHOD = b"\x02\x07CONNECT"
"""`:method: CONNECT`, name of static entry 2, literal without indexing."""
EMPTY_TABLE = b"\x20"
"""Dynamic table size 0: owed to a peer that made the table smaller (RFC 7541 section 4.2)."""


def prefix_int(value: int, bits: int = 7) -> bytes:
    """An integer with an N-bit prefix whose upper bits are zero (RFC 7541 section 5.1)."""
    full = (1 << bits) - 1
    if value < full:
        return bytes((value,))
    out = bytearray((full,))
    value -= full
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value: bytes) -> bytes:
    """A string literal without Huffman coding (RFC 7541 section 5.2)."""
    size = len(value)
    return (_SMALL[size] if size < ONE_BYTE else prefix_int(size)) + value


def literal(name: bytes, value: bytes) -> bytes:
    """One header as a literal without indexing, new name (RFC 7541 section 6.2.2)."""
    return b"\x00" + text(name) + text(value)


def literals(headers: list[tuple[bytes, bytes]]) -> bytes:
    """Several headers, each as `literal`."""
    return b"".join([literal(name, value) for name, value in headers])


def status(code: int) -> bytes:
    """`:status` as a whole response block."""
    if code == 200:
        return STATUS_200
    return b"\x08" + text(b"%d" % code)


def connect_block(authority: bytes, prepared: bytes = b"") -> bytes:
    """The block of a plain CONNECT: `:method`, `:authority`, then headers already encoded by `literals`."""
    return CONNECT_METHOD + b"\x01" + text(authority) + prepared


def list_size(headers: HeaderList) -> int:
    """As RFC 9113 section 6.5.2 counts: 32 bytes more for each header."""
    return sum([len(name) + len(value) + 32 for name, value in headers])


def read_plain(block: bytes) -> HeaderList | None:
    """The headers of a block that leaves the dynamic table alone; None when the full decoder must read it."""
    headers: HeaderList = []
    position, end = 0, len(block)
    try:
        while position < end:
            first = block[position]
            position += 1
            if first & 0x80:
                headers.append(_STATIC[first & 0x7F])  # IndexError above the static table: not ours to read
                if first == 0x80:
                    return None
                continue
            if first >= 0x20:  # with indexing, or a table size update
                return None
            index = first & 0x0F
            if index == 0:
                length = block[position]
                if length >= 0x7F:
                    return None
                name = block[position + 1 : position + 1 + length]
                position += 1 + length
            elif index == 15:
                return None
            else:
                name = _STATIC[index][0]
            length = block[position]
            position += 1
            if length >= 0x7F:
                if length & 0x80:  # Huffman
                    return None
                length, position = _long_int(block, position)
            value_end = position + length
            headers.append((name, block[position:value_end]))
            position = value_end
    except IndexError:
        return None
    return headers if position == end else None


def _long_int(block: bytes, position: int) -> tuple[int, int]:
    """The rest of an integer whose seven prefix bits are all ones; a block has at most a few MiB, so 4 bytes do."""
    value, shift = 0x7F, 0
    while True:
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7
        if shift > 21:
            raise IndexError
