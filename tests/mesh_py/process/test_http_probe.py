"""Questions over HTTP and SOCKS5 to servers that answer well, badly, or not at all; and what metrics say."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from mesh_py.process import http_probe
from mesh_py.process.http_probe import AskFailed, ask_by_socks, get, sample_sum
from tests.support.tcp_apps import TcpApp

if TYPE_CHECKING:
    from tests.support.tcp_apps import Behaviour, Connection


def says(*pieces: bytes) -> Behaviour:
    """A server that says one piece for each that it hears, and closes."""

    async def behaviour(connection: Connection) -> None:
        for piece in pieces:
            await connection.receive()
            await connection.send(piece)

    return behaviour


async def asked(server: Behaviour) -> http_probe.Answer:
    async with TcpApp(server) as app:
        host, _, port = app.authority.rpartition(":")
        return await get(host, int(port), "/x")


async def test_a_body_of_some_length() -> None:
    assert await asked(says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) == (200, "ok")


async def test_a_body_to_the_end() -> None:
    assert await asked(says(b"HTTP/1.1 404 Not Found\r\n\r\nnothing")) == (404, "nothing")


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", b"", b"hello\r\n\r\n", b"x" * 100_000]
)
async def test_what_is_no_answer(said: bytes) -> None:
    with pytest.raises(AskFailed, match="/x: "):
        await asked(says(said))


async def test_silence_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(connection: Connection) -> None:
        with contextlib.suppress(ConnectionError):
            while await connection.receive():
                pass

    monkeypatch.setattr(http_probe, "DEADLINE", 0.05)
    with pytest.raises(AskFailed, match="no answer in"):
        await asked(silent)


async def by_socks(*pieces: bytes) -> http_probe.Answer:
    async with TcpApp(says(*pieces)) as app:
        host, _, port = app.authority.rpartition(":")
        return await ask_by_socks((host, int(port)), "web.default:80", "/")


async def test_a_name_is_asked_for_by_socks() -> None:
    answer = await by_socks(b"\x05\x00", b"\x05\x00\x00\x01" + bytes(6), b"HTTP/1.1 204 No Content\r\n\r\n")
    assert answer == (204, "")


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [((b"\x05\xff",), "wants authentication"), ((b"\x05\x00", b"\x05\x04\x00\x01" + bytes(6)), "refused with code 4")],
)
async def test_socks_that_refuses(pieces: tuple[bytes, ...], reason: str) -> None:
    with pytest.raises(AskFailed, match=reason):
        await by_socks(*pieces)


def test_samples_are_summed_by_their_labels() -> None:
    text = '# TYPE a counter\na{x="1",y="2"} 2\na{x="1",y="3"} 3.0\na_total{x="1"} 5\nb{x="1"} 7\n'
    assert (sample_sum(text, "a", 'x="1"'), sample_sum(text, "a", 'x="1"', 'y="3"'), sample_sum(text, "c")) == (5, 3, 0)
