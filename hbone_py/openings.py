"""Requests that begin like an earlier one of their connection: that part is read once (hot-path 5) [pure].

Requests for one destination differ in their last two headers only, `forwarded` and `traceparent`. Sound for plain
blocks alone (`header_blocks.read_plain`): what they mean is what their pieces mean, whatever the compression table
holds. A block that begins otherwise is read from its beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hbone_py.connect import continue_request, read_request
from hbone_py.errors import BadConnect, MalformedRequest
from hbone_py.header_blocks import list_size, read_plain

if TYPE_CHECKING:
    from hbone_py.connect import ConnectRequest

_OWN: Final = b"\x00\x09forwarded"
"""Where the part begins that is each request's own."""
_TRACE: Final = b"\x00\x0btraceparent\x37"
"""Before the last 55 bytes, which are its value."""
_TRACE_SIZE: Final = len(_TRACE) + 55
_LONG: Final = 0x7F  # a length that takes more than one byte, or is of a Huffman code
_OWN_COSTS: Final = 2 * 32  # its two headers, beside their text (RFC 9113 section 6.5.2)
_KEPT: Final = 64


class Openings:
    """How requests on one connection have begun. `limit` is the largest header list that is fit to be looked at."""

    __slots__ = ("_known", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: dict[bytes, tuple[ConnectRequest, int]] = {}  # and how long the rest may be

    def request(self, block: bytes) -> ConnectRequest | None:
        """The request in a block that begins as one did before; None where the whole has to be read."""
        position = block.find(_OWN)
        known = self._known.get(block[:position]) if position > 0 else None
        if known is None or len(block) - position > known[1]:
            return None
        start, end = position + len(_OWN) + 1, len(block) - _TRACE_SIZE
        size = end - start
        if not 0 < size < _LONG or block[start - 1] != size or not block.startswith(_TRACE, end):
            return None
        return continue_request(known[0], block[start:end], block[end + len(_TRACE) :])

    def learn(self, block: bytes) -> None:
        """Remember how this plain block begins, if that is a proper request by itself."""
        position = block.find(_OWN)
        opening = block[:position]
        headers = read_plain(opening) if position > 0 and opening not in self._known else None
        if headers is None:
            return
        try:
            begun = read_request(headers)
        except (MalformedRequest, BadConnect):
            return
        begun.opening = opening
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[opening] = begun, self._limit - list_size(headers) - _OWN_COSTS
