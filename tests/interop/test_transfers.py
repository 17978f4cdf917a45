"""What every pair of peers must carry: raw TCP, HTTP, megabytes both ways, half-close by the client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.interop.callers import Outcome, read_exactly, read_to_end, talk
from tests.support.processes import run_tool
from tests.support.require import require_tool
from tests.support.tcp_apps import Connection, TcpApp, answer_at_end, digest, echo, payload, sink, source

if TYPE_CHECKING:
    from tests.interop.pairs import Pair

pytestmark = pytest.mark.interop

FIVE_MEGABYTES = 5_000_000


async def test_small_messages_go_to_and_fro(pair: Pair) -> None:
    async with TcpApp(echo, pair.address) as app, pair.call(app.authority) as caller:
        for words in (b"one", b"two", b"a third, rather longer message"):
            await talk(caller, words)


async def test_five_megabytes_up(pair: Pair) -> None:
    data = payload(FIVE_MEGABYTES)
    async with TcpApp(answer_at_end, pair.address) as app, pair.call(app.authority) as caller:
        await caller.send(data)
        await caller.send_eof()
        assert await read_to_end(caller) == Outcome(digest(data).encode(), "eof")


async def test_five_megabytes_down(pair: Pair) -> None:
    data = payload(FIVE_MEGABYTES)
    async with TcpApp(source(data), pair.address) as app, pair.call(app.authority) as caller:
        await caller.send_eof()
        answer, ended = await read_to_end(caller)
    assert (digest(answer), ended) == (digest(data), "eof")


async def test_five_megabytes_both_ways_at_once(pair: Pair) -> None:
    data = payload(FIVE_MEGABYTES)
    async with TcpApp(echo, pair.address) as app, pair.call(app.authority) as caller:
        async with asyncio.TaskGroup() as both:
            both.create_task(caller.send(data))
            heard = both.create_task(read_exactly(caller, len(data)))
        await caller.send_eof()
        assert await read_to_end(caller) == Outcome(b"", "eof")
    assert digest(heard.result()) == digest(data)


async def test_the_client_may_end_first_and_still_hear_the_answer(pair: Pair) -> None:
    async with TcpApp(answer_at_end, pair.address) as app, pair.call(app.authority) as caller:
        await caller.send(b"that is all")
        await caller.send_eof()
        assert await read_to_end(caller) == Outcome(digest(b"that is all").encode(), "eof")
        assert await app.ended() == "eof"


async def test_curl_gets_its_page(pair: Pair) -> None:
    curl = require_tool("curl")
    async with TcpApp(page, pair.address) as app, pair.front(app.authority) as front:
        answer = await run_tool(curl, "-sS", "-d", "@-", f"http://{front.authority}/", stdin=b"x" * 10_000)
    assert answer.stdout == b"10000 bytes came", answer.stderr


async def test_an_application_that_says_nothing_loses_nothing(pair: Pair) -> None:
    data = payload(300_000, seed=2)
    async with TcpApp(sink, pair.address) as app, pair.call(app.authority) as caller:
        await caller.send(data)
        await caller.send_eof()
        assert await read_to_end(caller) == Outcome(b"", "eof")
        assert (await app.connection()).digest == digest(data)


async def page(connection: Connection) -> None:
    """A web page for a POST with content-length: it tells how long the body was."""
    asked = b""
    while b"\r\n\r\n" not in asked:
        asked += await connection.receive()
    head, _, body = asked.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += await connection.receive()
    answer = b"%d bytes came" % len(body)
    await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(answer), answer))
