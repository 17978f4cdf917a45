"""HPACK with short cuts: what leaves the compression table alone is written from a cache, and read by one [pure].

Our encoder never uses the dynamic table: static entries and literals without indexing are valid in any decoder's state,
so every field is encoded once and remembered. Our decoder reads such blocks itself, and remembers any block that
changed nothing for as long as nothing changes; the rest is hpack's (RFC 7541 6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpack import Encoder
from hpack.exceptions import OversizedHeaderListError
from hpack.table import HeaderTable

from hbone_py.header_blocks import literal, prefix_int, read_plain, text
from hbone_py.header_decoder import BoundedDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable

_REMEMBERED = 2000
_LONGEST = 256
"""Longer fields and blocks are not remembered."""
_ENTRY_OVERHEAD = 32

_STATIC_FIELDS = {field: bytes((0x80 | index,)) for index, field in enumerate(HeaderTable.STATIC_TABLE, 1)}
_STATIC_NAMES = {name: index for index, (name, _) in reversed(list(enumerate(HeaderTable.STATIC_TABLE, 1)))}
_ENCODED: dict[tuple[bytes, bytes], bytes] = {}

# Values that guessing must not find by the size of a block, and no cache should hold (RFC 7541 7.1.3).
_SECRET = frozenset({b"authorization", b"cookie", b"set-cookie", b"proxy-authorization"})


class PlainEncoder(Encoder):
    """Writes blocks that leave the peer's table alone."""

    def encode(self, headers: Any, huffman: bool = True) -> bytes:
        """The block of these fields; in front of it, once, a change of the table's size that the peer asked for."""
        start = self._encode_table_size_change() if self.table_size_changes else b""
        known = _ENCODED
        return start + b"".join([known.get(field) or _encode_field(field) for field in headers])


def _encode_field(field: tuple[bytes, bytes]) -> bytes:
    name, value = field
    encoded = _STATIC_FIELDS.get(field)
    if encoded is None:
        kind = 0x10 if name in _SECRET else 0x00  # never indexed, not by anybody behind us either
        index = _STATIC_NAMES.get(name)
        if index is not None:
            head = prefix_int(index, 4)
            encoded = bytes((head[0] | kind,)) + head[1:] + text(value)
        else:
            encoded = bytes((kind,)) + literal(name, value)[1:]
    if len(encoded) <= _LONGEST and len(_ENCODED) < _REMEMBERED and name not in _SECRET:
        _ENCODED[name, value] = encoded
    return encoded


class QuickDecoder(BoundedDecoder):
    """Reads blocks, most of them without the table."""

    def __init__(self, max_header_list_size: int) -> None:
        super().__init__(max_header_list_size)
        self._known: dict[bytes, list[Any]] = {}
        self._known_at: tuple[object, int] = (None, 0)
        """The state of the table that `_known` holds for."""

    def decode(self, data: bytes, raw: bool = False) -> Iterable[Any]:
        """The fields of a block, always as bytes."""
        state = self._state()
        if state != self._known_at:
            self._known.clear()
            self._known_at = state
        known = self._known.get(data)
        if known is not None:
            return known
        headers: list[Any] | None = read_plain(data)
        if headers is None:
            headers = list(super().decode(data, raw=True))
        else:
            self._assert_valid_table_size()
            self._check_size(headers)
        if len(data) <= _LONGEST and self._state() == state and len(self._known) < _REMEMBERED:
            self._known[bytes(data)] = headers
        return headers

    def _state(self) -> tuple[object, int]:
        # Whatever is added stands first, and is a new object.
        table = self.header_table
        entries = table.dynamic_entries
        return (id(entries[0]) if entries else None, table.maxsize)

    def _check_size(self, headers: list[tuple[bytes, bytes]]) -> None:
        size = sum([len(name) + len(value) + _ENTRY_OVERHEAD for name, value in headers])
        if size > self.max_header_list_size:
            raise OversizedHeaderListError(f"a header list larger than {self.max_header_list_size}")
