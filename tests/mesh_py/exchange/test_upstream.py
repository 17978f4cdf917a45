"""Calls to a server: interim answers, cuts, early answers, and bodies that nobody reads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from mesh_py.exchange.reading import HELD
from mesh_py.http.errors import UpstreamBadMessage, UpstreamReset
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest, HttpResponse
from tests.mesh_py.exchange.servers import OK, asked, whole
from tests.support.processes import settled

if TYPE_CHECKING:
    from tests.support.tcp_apps import Connection


async def test_interim_answers_come_before() -> None:
    async def early(connection: Connection) -> None:
        await connection.receive()
        await connection.send(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK)

    heard: list[HttpResponse] = []
    async with asked(early) as server:
        connection = await server.lease()
        call = connection.open(HttpRequest("GET", "/", "server", Headers()), ended=True, interim=heard.append)
        assert await whole(call) == (200, b"ok")
    assert [response.status for response in heard] == [103]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        pytest.param(b"", UpstreamReset, id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", UpstreamReset, id="half a body"),
        pytest.param(b"nonsense\r\n\r\n", UpstreamBadMessage, id="no HTTP"),
    ],
)
async def test_what_is_cut_short_is_no_answer(said: bytes, error: type[Exception]) -> None:
    async def cut(connection: Connection) -> None:
        await connection.receive()
        await connection.send(said)

    async with asked(cut) as server:
        with pytest.raises(error):
            await whole(await server.open())


async def test_an_answer_before_the_end_of_the_request_ends_it() -> None:
    async def hasty(connection: Connection) -> None:
        await connection.receive()
        await connection.send(OK)
        while await connection.receive():
            pass

    async with asked(hasty) as server:
        connection = await server.lease()
        headers = Headers([("content-length", "1000000")])
        call = connection.open(HttpRequest("POST", "/", "server", headers), ended=False)
        await call.send(bytes(1000))
        assert await whole(call) == (200, b"ok")
        await call.send(bytes(1000))  # goes nowhere
        assert call.sent == 1000
        assert not connection.can_open


async def test_a_body_that_nobody_reads_stops_the_server() -> None:
    sent = 0

    async def pour(connection: Connection) -> None:
        nonlocal sent
        await connection.receive()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            await connection.send(bytes(65536))
            sent += 65536

    async with asked(pour) as server:
        call = await server.open()
        await call.response()
        stopped = await settled(lambda: sent)
        assert call.body.held < HELD + 1_000_000
        await call.body.read()
        async with asyncio.timeout(5):
            while call.body.held >= HELD:
                await call.body.read()
        assert await settled(lambda: sent) >= stopped
        call.release()
