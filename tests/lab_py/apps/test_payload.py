"""Streams of bytes that a seed decides."""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from lab_py.apps.payload import PIECE, deterministic_bytes, digest_of


@settings(max_examples=20)
@given(st.integers(0, 3 * PIECE), st.text(max_size=5))
def test_the_length_is_what_was_asked_for(count: int, seed: str) -> None:
    assert sum(map(len, deterministic_bytes(count, seed))) == count


def test_a_shorter_stream_is_a_prefix_of_a_longer_one() -> None:
    long = b"".join(deterministic_bytes(3 * PIECE, "s"))
    for count in (0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 7):
        assert b"".join(deterministic_bytes(count, "s")) == long[:count]


def test_pieces_do_not_repeat() -> None:
    first, second = deterministic_bytes(2 * PIECE, "s")
    assert first != second


def test_the_digest_is_that_of_the_bytes() -> None:
    body = b"".join(deterministic_bytes(100_000, "s"))
    assert digest_of(100_000, "s") == hashlib.sha256(body).hexdigest()
