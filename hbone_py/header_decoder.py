"""hpack's decoder, with bounds on what a block may cost (RFC 7541) [pure].

Two things in it grow faster than is good for others on the same loop: it takes any number of table size updates at the
start of a block, and for each literal it copies all that is left of the block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpack import Decoder
from hpack.exceptions import HPACKDecodingError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpack import HeaderTuple

_MOST_UPDATES = 2
"""The smallest size in between, and the last one (RFC 7541 section 4.2)."""
_USUAL = 1024
"""Bytes that one literal hardly ever exceeds."""


class BoundedDecoder(Decoder):
    """Reads a block in a time that grows as the block does."""

    _updates = 0

    def decode(self, data: bytes, raw: bool = False) -> Iterable[HeaderTuple]:
        """The fields of a block. Raises HPACKError."""
        self._updates = 0
        return super().decode(data, raw)

    def _update_encoding_context(self, data: bytes | memoryview) -> int:
        self._updates += 1
        if self._updates > _MOST_UPDATES:
            raise HPACKDecodingError(f"more than {_MOST_UPDATES} table size updates in one block")
        return super()._update_encoding_context(data)

    def _decode_literal(self, data: bytes | memoryview, should_index: bool) -> tuple[HeaderTuple, int]:
        if len(data) > _USUAL:
            try:
                return super()._decode_literal(data[:_USUAL], should_index)
            except HPACKDecodingError:
                pass  # it may be longer; nothing was put into the table
        return super()._decode_literal(data, should_index)
