"""Who may end first. The client always may (test_transfers.py); the server, unless Envoy's server is in the way."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.interop.callers import BROKEN, Outcome, read_to_end
from tests.support.processes import eventually
from tests.support.tcp_apps import TcpApp, digest, payload, source

if TYPE_CHECKING:
    from tests.interop.pairs import Pair

pytestmark = pytest.mark.interop


async def test_the_server_may_end_first_and_its_words_arrive(pair: Pair) -> None:
    data = payload(200_000)
    async with TcpApp(source(data), pair.address) as app, pair.call(app.authority) as caller:
        answer, ended = await read_to_end(caller)
        assert (digest(answer), ended) == (digest(data), "eof")


async def test_an_application_that_speaks_and_ends_at_once_is_heard_each_time(pair: Pair) -> None:
    """Its words and its end may come before anybody is ready for them."""
    async with TcpApp(source(b"bye"), pair.address) as app:
        for _ in range(30):
            async with pair.call(app.authority) as caller:
                assert await read_to_end(caller) == Outcome(b"bye", "eof")


async def test_what_is_said_after_the_servers_end(pair: Pair) -> None:
    """In full where our server stands; dropped by Envoy's server, which resets its side at once: a fact of it."""
    later = payload(200_000, seed=3)
    async with TcpApp(source(b"bye"), pair.address) as app, pair.call(app.authority) as caller:
        assert await read_to_end(caller) == Outcome(b"bye", "eof")
        with contextlib.suppress(*BROKEN):
            await caller.send(later)
            await caller.send_eof()
        connection = await app.connection()
        await eventually(lambda: connection.ended != "open", "the application's end")
        heard = connection.digest
    assert heard == digest(later if pair.server == "ours" else b"")
