"""Bytes that two ends can compare without keeping them: the same seed gives the same stream."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 64 << 10
"""Bytes a piece; a shorter stream is a prefix of a longer one with the same seed."""


def deterministic_bytes(count: int, seed: str) -> Iterator[bytes]:
    """``count`` bytes in pieces of 64 KiB (the last may be shorter), none repeated within a stream."""
    source = random.Random(seed)
    for start in range(0, count, PIECE):
        yield source.randbytes(PIECE)[: count - start]


def digest_of(count: int, seed: str) -> str:
    """The SHA-256 (hex) of that stream."""
    digest = hashlib.sha256()
    for piece in deterministic_bytes(count, seed):
        digest.update(piece)
    return digest.hexdigest()
