"""Whoever reads takes what is there while somebody wants more, in turns, until an end that is told once."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any

from hbone_py.errors import ConnectionLost, HboneError
from mesh_py.exchange.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


class Source:
    """A stream in which lie some pieces; None for one that breaks when it is read to there."""

    def __init__(self, *pieces: bytes | None) -> None:
        self.pieces = list(pieces)
        self.on_data: Callable[[], None] | None = None

    def receive_now(self) -> bytes | None:
        if not self.pieces:
            return None
        piece = self.pieces.pop(0)
        if piece is None:
            raise ConnectionLost("gone")
        return piece


class Taker:
    """Codec and reader in one: takes pieces until it has enough."""

    def __init__(self, most: int = 1000) -> None:
        self.most = most
        self.taken: list[bytes] = []
        self.told: list[str] = []
        self.is_closing = False
        self.has_rest = False

    def receive_data(self, data: bytes) -> None:
        self.taken.append(data)
        self.has_rest = data == b"long"

    def go_on(self) -> None:
        self.receive_data(b"rest")

    def receive_eof(self) -> None:
        self.told.append("end")

    def has_enough(self) -> bool:
        return len(self.taken) >= self.most

    def came(self) -> None:
        if self.taken[-1:] == [b"last"]:
            self.is_closing = True

    def broke(self, error: HboneError) -> None:
        self.told.append(str(error))

    def turned(self) -> None:
        self.told.append("turn")


def reading(source: Source, taker: Taker) -> Reading:
    anything: Any = source
    other: Any = taker
    return Reading(anything, other, taker)


async def test_what_is_there_and_then_what_comes() -> None:
    source, taker = Source(b"one", b"two"), Taker()
    reading(source, taker).begin()
    assert (taker.taken, taker.told) == ([b"one", b"two"], ["turn"])
    source.pieces += [b"three", b"", b"never"]
    assert source.on_data is not None
    source.on_data()
    source.on_data()
    assert (taker.taken, taker.told) == ([b"one", b"two", b"three"], ["turn", "end", "turn"])


async def test_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh_py.exchange.reading._now", lambda: 1.0)
    source, taker = Source(*[b"piece"] * 40), Taker()
    reading(source, taker).begin()
    assert len(taker.taken) == 16
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(taker.taken) == 40


async def test_dear_pieces_are_fewer_in_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes 6 ms: that makes two more behind the first."""
    clock = count(1.0, 0.006)
    monkeypatch.setattr("mesh_py.exchange.reading._now", lambda: next(clock))
    source, taker = Source(*[b"piece"] * 5), Taker()
    reading(source, taker).begin()
    assert len(taker.taken) == 3
    await asyncio.sleep(0)
    assert len(taker.taken) == 5


async def test_a_long_piece_is_taken_in_turns() -> None:
    source, taker = Source(b"long", b"next"), Taker()
    reading(source, taker).begin()
    assert (taker.taken, taker.told) == ([b"long"], ["turn"])
    await asyncio.sleep(0)
    assert taker.taken == [b"long", b"rest", b"next"]


async def test_enough_is_enough() -> None:
    source, taker = Source(*[b"piece"] * 5), Taker(most=2)
    line = reading(source, taker)
    line.begin()
    line.read()
    line.resume()  # it still has enough
    await asyncio.sleep(0)
    assert (len(taker.taken), line.is_paused) == (2, True)
    taker.most = 4
    line.resume()
    await asyncio.sleep(0)
    assert (len(taker.taken), line.is_paused) == (4, True)


async def test_a_break_is_told_once() -> None:
    source, taker = Source(b"one", None, b"never"), Taker()
    line = reading(source, taker)
    line.begin()
    line.read()
    assert (taker.taken, taker.told, line.is_over) == ([b"one"], ["gone", "turn"], True)


async def test_nothing_is_read_behind_what_ends_the_connection() -> None:
    source, taker = Source(b"last", b"never"), Taker()
    reading(source, taker).begin()
    assert (taker.taken, source.pieces) == ([b"last"], [b"never"])


async def test_a_turn_put_off_is_none_once_nobody_reads() -> None:
    source, taker = Source(*[b"piece"] * 20), Taker()
    line = reading(source, taker)
    line.begin()
    line.end()
    await asyncio.sleep(0)
    assert (len(taker.taken), source.on_data) == (16, None)
