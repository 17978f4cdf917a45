"""Header blocks as they arrive: HEADERS and CONTINUATION joined, then decoded [pure].

Two decoders, one order: `header_blocks.read_plain` for blocks that leave the compression table alone, hpack for the
rest. Every block must be decoded even when its stream is unwelcome, or the table runs out of step.
"""

from __future__ import annotations

from hpack.exceptions import HPACKError, OversizedHeaderListError

from hbone_py import frames
from hbone_py.errors import ErrorCode, RemoteProtocolError
from hbone_py.header_blocks import HeaderList, list_size, read_plain
from hbone_py.header_decoder import BoundedDecoder

_MAX_CONTINUATIONS = 32
_MOST_PER_BYTE = 64
"""One byte of a plain block is at most one static entry, which counts 60 bytes of header list."""


class HeaderReader:
    """Collects one block at a time. `limit` is the largest header list that is fit to be looked at, bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._decoder = BoundedDecoder(max_header_list_size=4 * limit)
        self._block = bytearray()
        self._pieces = 0
        self.stream_id = 0
        """The stream whose block is still coming; 0 between blocks."""
        self.was_plain = False
        """The block decoded last means the same in every decoder's state."""
        self._ends = False

    def begin(self, flags: int, stream_id: int, payload: bytes) -> tuple[bytes, bool] | None:
        """A HEADERS frame. Returns (block, ends the stream) if it is whole, else None until `go_on` completes it."""
        if stream_id == 0:
            raise RemoteProtocolError("HEADERS on stream 0")
        block = payload
        if flags & (frames.PADDED | frames.HAS_PRIORITY):
            block = frames.strip_padding(payload, flags)
        if flags & frames.END_HEADERS:
            return block, bool(flags & frames.END_STREAM)
        self.stream_id, self._ends, self._pieces = stream_id, bool(flags & frames.END_STREAM), 0
        self._block = bytearray(block)
        return None

    def go_on(self, kind: int, flags: int, stream_id: int, payload: bytes) -> tuple[bytes, bool] | None:
        """The next frame while a block is open: only CONTINUATION of that stream will do (RFC 9113 section 6.10)."""
        if kind != frames.CONTINUATION or stream_id != self.stream_id:
            raise RemoteProtocolError("a header block was interrupted")
        self._pieces += 1
        self._block += payload
        if self._pieces > _MAX_CONTINUATIONS or len(self._block) > 4 * self._limit:
            raise RemoteProtocolError("too_many_continuations", ErrorCode.ENHANCE_YOUR_CALM)
        if not flags & frames.END_HEADERS:
            return None
        block, self._block, self.stream_id = bytes(self._block), bytearray(), 0
        return block, self._ends

    def decode(self, block: bytes) -> tuple[HeaderList, bool]:
        """The header list of a whole block, and whether it is larger than announced.

        Raises RemoteProtocolError: COMPRESSION_ERROR if the block has no list, ENHANCE_YOUR_CALM if the list is so
        large that decoding it to the end would be a danger.
        """
        headers = read_plain(block)
        self.was_plain = headers is not None
        if headers is not None:
            return headers, len(block) * _MOST_PER_BYTE > self._limit and list_size(headers) > self._limit
        try:
            decoded = self._decoder.decode(block, raw=True)
        except OversizedHeaderListError as error:
            raise RemoteProtocolError("header list far too large", ErrorCode.ENHANCE_YOUR_CALM) from error
        except HPACKError as error:
            raise RemoteProtocolError(f"header block: {error}", ErrorCode.COMPRESSION_ERROR) from error
        headers = [(bytes(name), bytes(value)) for name, value in decoded]
        return headers, list_size(headers) > self._limit
