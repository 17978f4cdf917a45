"""Captured TLS opened again; OpenSSL made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab_py.inner.tcp_bytes import Conversation, Piece
from lab_py.inner.tls_records import opened, read_key_log
from tests.lab_py.inner.conversations import CLIENT, SERVER, Talk, talk
from tests.support.certificates import TestRoot

if TYPE_CHECKING:
    from pathlib import Path

HELLO = bytes.fromhex("160301000101")
LONG = bytes(range(256)) * 200
"""More than three records."""


@pytest.fixture
def said(tmp_path: Path) -> Talk:
    found = talk(TestRoot(tmp_path / "root").issue("server", "default/server"))
    found.client.send(b"hello\0")
    found.move()
    found.server.sendall(LONG)
    found.client.send(b"again")
    found.move()
    return found


def whole(pieces: list[Piece]) -> bytes:
    return b"".join(piece.data for piece in pieces)


def test_both_directions_are_opened(said: Talk) -> None:
    asked, answered = opened(said.conversation, read_key_log(said.key_log))
    assert whole(asked) == b"hello\0again"
    assert whole(answered) == LONG
    assert [piece.data for piece in asked] == [b"hello\0", b"again"]
    assert asked[0].nanoseconds < asked[1].nanoseconds


def test_without_the_secrets_it_stays_closed(said: Talk) -> None:
    assert opened(said.conversation, {}) == ([], [])
    one_side = [line for line in said.key_log if line.startswith(b"CLIENT")]
    asked, answered = opened(said.conversation, read_key_log(one_side))
    assert (whole(asked), answered) == (b"hello\0again", [])


def test_what_was_changed_on_the_way_ends_it(said: Talk) -> None:
    last = said.asked[-1]
    said.asked[-1] = last._replace(data=last.data[:-1] + bytes([last.data[-1] ^ 1]))
    asked, _ = opened(said.conversation, read_key_log(said.key_log))
    assert whole(asked) == b"hello\0"


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\n\r\n", HELLO[:5], HELLO * 3])
def test_what_is_no_tls_stays_closed(data: bytes) -> None:
    pieces = [Piece(1, data)]
    assert opened(Conversation(CLIENT, SERVER, pieces, pieces), {}) == ([], [])


def test_a_key_log_with_other_lines() -> None:
    text = b"# a comment\nCLIENT_RANDOM 0a 0b\nnothing\nCLIENT_RANDOM zz 00\n"
    assert read_key_log([text]) == {("CLIENT_RANDOM", b"\x0a"): b"\x0b"}
