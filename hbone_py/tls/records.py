"""How many whole TLS records a piece of ciphertext completes [pure].

OpenSSL hands out one record per read and tells "nothing left" only by a read in vain, which costs a small message a
quarter of its time. Counting records as they come in makes that read needless. RFC 8446 5.1: a record is five bytes,
of which the last two are the length of what follows.
"""

from __future__ import annotations

HEADER_SIZE = 5
LARGEST_BODY = (1 << 14) + 2048
"""More than this no record may hold (RFC 5246 6.2.3; TLS 1.3 allows less). OpenSSL refuses it by its header alone."""
RECORD_TYPES = range(20, 25)

LARGEST_PLAINTEXT = 1 << 14
"""What one record holds at most (RFC 8446 section 5.1), bytes."""
FULL_RECORD = HEADER_SIZE + LARGEST_PLAINTEXT + 17
"""A full record of TLS 1.3: its plaintext, the byte that tells its type, the tag of an AEAD."""
_FULL_HIGH = bytes([(FULL_RECORD - HEADER_SIZE) >> 8])
_FULL_LOW = bytes([(FULL_RECORD - HEADER_SIZE) & 0xFF])

Bytes = bytes | bytearray | memoryview


class RecordCounter:
    """Follows record boundaries over pieces of any size."""

    __slots__ = ("_header", "_missing")

    def __init__(self) -> None:
        self._missing = 0  # bytes of the open record's body that are still to come
        self._header = b""  # of the open record, while it is not complete

    @property
    def is_inside(self) -> bool:
        """Whether a record has begun and not ended."""
        return bool(self._missing or self._header)

    def count(self, data: Bytes, size: int) -> int:
        """How many records end within the first `size` bytes of `data`, which follow what was counted before.

        What cannot be a record ends with its header: the error is there to be read.
        """
        if self._missing or self._header:
            return self._resume(data, size)
        # The common case, a small message: exactly one record.
        if size > HEADER_SIZE and HEADER_SIZE + (data[3] << 8 | data[4]) == size:
            return 1
        return self._walk(data, 0, size)

    def _resume(self, data: Bytes, size: int) -> int:
        """Close the open record first."""
        position = 0
        if self._header:
            position = min(size, HEADER_SIZE - len(self._header))
            self._header += bytes(data[:position])
            if len(self._header) < HEADER_SIZE:
                return 0
            self._missing = _body_length(self._header)
            self._header = b""
        if self._missing > size - position:
            self._missing -= size - position
            return 0
        position += self._missing
        self._missing = 0
        return 1 + self._walk(data, position, size)

    def _walk(self, data: Bytes, position: int, size: int) -> int:
        """Count from `position`, where a record begins, and remember the one that stays open."""
        records = _full_records(data, position, size)
        start = position + records * FULL_RECORD
        while start + HEADER_SIZE <= size:
            end = start + HEADER_SIZE + (data[start + 3] << 8 | data[start + 4])
            if end > size:
                return records + self._leave_open(bytes(data[start : start + HEADER_SIZE]), size - start)
            records += 1
            start = end
        self._header = bytes(data[start:size])
        return records

    def _leave_open(self, header: bytes, present: int) -> int:
        """A record of which `present` bytes are here: 1 if OpenSSL will refuse it by its header."""
        self._missing = max(0, HEADER_SIZE + _body_length(header) - present)
        return 0 if self._missing else 1


def _full_records(data: Bytes, position: int, size: int) -> int:
    """How many records of the size that bulk comes in follow each other from `position` on; 0 if not all do.

    Two strided looks, whatever the number: a look at each header would cost bulk five percent.
    """
    records = (size - position) // FULL_RECORD
    if records < 2:
        return 0
    end = position + records * FULL_RECORD
    high, low = data[position + 3 : end : FULL_RECORD], data[position + 4 : end : FULL_RECORD]
    are_full = bytes(high) == _FULL_HIGH * records and bytes(low) == _FULL_LOW * records
    return records if are_full else 0


def _body_length(header: bytes) -> int:
    """The length a record's header tells; 0 if this cannot be a record's header."""
    length = header[3] << 8 | header[4]
    return length if header[0] in RECORD_TYPES and header[1] == 3 and length <= LARGEST_BODY else 0
