"""How bulk is cut: what one read takes of an application fills TLS records to the last byte.

One byte more would be a record of its own, which the other side reads, and hands to its application, by itself.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from hbone_py.frames import HEADER, HEADER_SIZE
from hbone_py.tls.records import LARGEST_PLAINTEXT

if TYPE_CHECKING:
    from collections.abc import Iterable

RECORDS: Final = 48
"""Records that one read of bulk may fill. Fewer cost more calls and wake-ups, and that more than what no longer fits
the cache."""
SHORT_RECORDS: Final = 2
"""The same while somebody beside it says little and often (`Reactor.short_pieces`)."""
READ_SIZE: Final = RECORDS * LARGEST_PLAINTEXT
PIECE: Final = READ_SIZE - HEADER_SIZE
SHORT_PIECE: Final = SHORT_RECORDS * LARGEST_PLAINTEXT - HEADER_SIZE
"""Payload of one frame that fills as many records."""
PIECES_A_CALL: Final = 64
"""What one `sendmsg` is given at most."""
SCATTERED_FRAME: Final = LARGEST_PLAINTEXT - HEADER_SIZE
"""Payload of each of as many frames, a record each, for a peer that takes only small ones."""


def scattered(view: memoryview) -> list[memoryview]:
    """Where the payloads of RECORDS small frames lie in `view`, each behind room for its header."""
    return [view[at + HEADER_SIZE : at + LARGEST_PLAINTEXT] for at in range(0, READ_SIZE, LARGEST_PLAINTEXT)]


def write_headers(view: memoryview, count: int, stream_id: int) -> int:
    """Before `count` bytes of payload that lie so: the headers of their frames. How many bytes both are."""
    whole, rest = divmod(count, SCATTERED_FRAME)
    end = whole * LARGEST_PLAINTEXT
    for at in range(0, end, LARGEST_PLAINTEXT):
        HEADER.pack_into(view, at, SCATTERED_FRAME << 8, 0, stream_id)
    if not rest:
        return end
    HEADER.pack_into(view, end, rest << 8, 0, stream_id)
    return end + HEADER_SIZE + rest


def first_of(held: Iterable[bytearray | memoryview], size: int) -> list[bytearray | memoryview]:
    """The first of what is held, `size` bytes of it at most."""
    pieces: list[bytearray | memoryview] = []
    for piece in islice(held, PIECES_A_CALL):
        if len(piece) >= size:
            pieces.append(memoryview(piece)[:size])
            break
        pieces.append(piece)
        size -= len(piece)
    return pieces
