"""Questions of a demonstration: answers, refusals, silence; and what it makes of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from mesh_py.process import asking
from mesh_py.process.asking import AskFailed, Finding, ask_by_socks, get, sample_sum, show_findings, unless_stopped
from mesh_py.process.console import Console
from tests.support.processes import free_port
from tests.support.tcp_apps import TcpApp

if TYPE_CHECKING:
    from tests.support.tcp_apps import Behaviour, Connection

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def saying(*pieces: bytes, heard: list[bytes] | None = None) -> Behaviour:
    """Answers each thing it hears with the next piece, then ends."""
    hears = [] if heard is None else heard

    async def behave(connection: Connection) -> None:
        for piece in pieces:
            hears.append(await connection.receive())
            await connection.send(piece)
        await connection.send_eof()

    return behave


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (OK, (200, "hello")),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", (404, "")),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", (200, "until the end")),
    ],
)
async def test_an_answer(answer: bytes, expected: tuple[int, str]) -> None:
    heard: list[bytes] = []
    async with TcpApp(saying(answer, heard=heard)) as app:
        assert await get(app.host, app.port, "/ip") == expected
    assert heard[0].startswith(b"GET /ip HTTP/1.1\r\nHost: " + app.authority.encode())


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", b"nonsense", b""])
async def test_what_is_no_answer(answer: bytes) -> None:
    async with TcpApp(saying(answer)) as app:
        with pytest.raises(AskFailed, match=f"^http://{app.authority}/ip: "):
            await get(app.host, app.port, "/ip")


async def test_nobody_there() -> None:
    with pytest.raises(AskFailed):
        await get("127.0.0.1", free_port("127.0.0.1"), "/")


async def test_silence_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "DEADLINE", 0.01)

    async def silent(connection: Connection) -> None:
        while await connection.receive():
            pass

    async with TcpApp(silent) as app:
        with pytest.raises(AskFailed, match="no answer in 0 s"):
            await get(app.host, app.port, "/")


async def test_by_socks() -> None:
    granted = b"\x05\x00\x00\x01" + bytes(6)
    heard: list[bytes] = []

    async def proxy(connection: Connection) -> None:
        for answer in (b"\x05\x00", granted, OK):
            while True:  # what is asked for may come in pieces
                heard.append(await connection.receive())
                if answer != granted or heard[-1].startswith(b"\x05\x01\x00\x03"):
                    break
            await connection.send(answer)

    async with TcpApp(proxy) as app:
        found = await ask_by_socks((app.host, app.port), "cart.shop:8000", "/ip", {"x-a": "b"}, "POST")
    assert found == (200, "hello")
    assert heard[:2] == [b"\x05\x01\x00", b"\x05\x01\x00\x03\x09cart.shop" + (8000).to_bytes(2)]
    assert heard[2].startswith(b"POST /ip HTTP/1.1\r\nHost: cart.shop:8000\r\n")
    assert b"\r\nx-a: b\r\n" in heard[2]


@pytest.mark.parametrize(
    ("pieces", "complaint"),
    [
        ((b"\x05\xff",), "SOCKS5 wants authentication"),
        ((b"\x05\x00", b"\x05\x04\x00\x01" + bytes(6)), "SOCKS5 refused with code 4"),
    ],
)
async def test_a_proxy_that_refuses(pieces: tuple[bytes, ...], complaint: str) -> None:
    async with TcpApp(saying(*pieces)) as app:
        with pytest.raises(AskFailed, match=complaint):
            await ask_by_socks((app.host, app.port), "cart.shop:8000", "/ip")


def test_samples_are_summed_by_name_and_labels() -> None:
    metrics = """\
a_total{reporter="source",x="1"} 2
a_total{reporter="destination",x="1"} 4
a_total{reporter="source",x="2"} 8.0
other_a_total{reporter="source"} 16
"""
    assert sample_sum(metrics, "a_total") == 14
    assert sample_sum(metrics, "a_total", 'reporter="source"') == 10
    assert sample_sum(metrics, "a_total", 'reporter="source"', 'x="2"') == 8
    assert sample_sum(metrics, "nothing") == 0


async def test_work_is_done_unless_somebody_says_stop() -> None:
    stop = asyncio.Event()

    async def work() -> str:
        return "done"

    assert await unless_stopped(work(), stop) == "done"
    stop.set()
    assert await unless_stopped(asyncio.Event().wait(), stop) is None


@pytest.mark.parametrize("all_so", [True, False])
def test_findings_are_told_and_judged(all_so: bool, capsys: pytest.CaptureFixture[str]) -> None:
    found = [Finding(True, "the request arrived"), Finding(all_so, "the peer proved who it is")]
    assert show_findings(Console(), found, "All of it is so.") is all_so
    told = capsys.readouterr().out
    assert "ok  the request arrived" in told
    assert ("All of it is so." in told) is all_so
    assert ("NO  the peer proved who it is" in told) is not all_so
