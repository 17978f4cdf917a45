"""CONNECT tunnels; h2 made them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab_py.inner.tcp_bytes import Piece
from lab_py.inner.tunnels import Said, tunnels
from tests.lab_py.inner.conversations import ECHO, tunnel_bytes

FIRST, GRANTED, ASKED, ANSWERED = tunnel_bytes("10.244.4.30:5000", b"GET / HTTP/1.1\r\n\r\n", ECHO)
CLIENTS, SERVERS = [Piece(1, FIRST), Piece(3, ASKED)], [Piece(2, GRANTED), Piece(4, ANSWERED)]


def test_who_was_asked_for_and_what_went_through() -> None:
    [found] = tunnels(CLIENTS, SERVERS)
    assert (found.stream, found.authority, found.opened, found.answered) == (1, "10.244.4.30:5000", 1, 2)
    assert found.said == [Said(3, True, b"GET / HTTP/1.1\r\n\r\n"), Said(4, False, ECHO), Said(4, False, b"")]


@pytest.mark.parametrize("size", [1, 7, 24])
def test_however_it_is_cut(size: int) -> None:
    def cut(pieces: list[Piece]) -> list[Piece]:
        return [Piece(at, data[begin : begin + size]) for at, data in pieces for begin in range(0, len(data), size)]

    assert tunnels(cut(CLIENTS), cut(SERVERS)) == tunnels(CLIENTS, SERVERS)


def test_one_that_was_not_granted() -> None:
    [found] = tunnels(CLIENTS[:1], [])
    assert (found.answered, found.said) == (None, [])


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_can_be_looked_at(asked: bytes, answered: bytes) -> None:
    tunnels([Piece(1, asked)], [Piece(2, answered)])
    assert len(tunnels([Piece(1, FIRST + asked)], [Piece(2, answered)])) >= 1
