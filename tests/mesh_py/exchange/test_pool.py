"""Connections are kept for the next call, and bounded in number; who finds none waits, and is woken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from mesh_py.exchange.pool import PoolLimits
from mesh_py.http.errors import UpstreamFailure, UpstreamOverflow, UpstreamReset
from tests.mesh_py.exchange.servers import OK, asked, whole
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.support.tcp_apps import Connection


async def test_one_connection_serves_one_call_after_another() -> None:
    async with asked() as server:
        for _ in range(3):
            assert await whole(await server.open()) == (200, b"ok")
        assert (server.dials, len(server.pool)) == (1, 1)


async def test_calls_at_once_have_connections_of_their_own() -> None:
    async with asked() as server:
        calls = [await server.open() for _ in range(3)]
        assert [await whole(call) for call in calls] == [(200, b"ok")] * 3
        assert server.dials == 3


async def test_at_the_limit_a_call_waits_its_turn() -> None:
    async with asked() as server:
        server.limits = PoolLimits(connections=1)
        first = await server.open()
        async with asyncio.TaskGroup() as group:
            second = group.create_task(server.open())
            await asyncio.sleep(0)
            assert not second.done()
            assert await whole(first) == (200, b"ok")
        assert await whole(second.result()) == (200, b"ok")
        assert server.dials == 1


async def test_an_edited_limit_holds_at_once() -> None:
    async with asked() as server:
        first = await server.open()
        server.limits = PoolLimits(connections=1, waiting=0)
        with pytest.raises(UpstreamOverflow):
            await server.open()
        await whole(first)


async def test_too_many_wait() -> None:
    async with asked() as server:
        server.limits = PoolLimits(connections=1, waiting=0)
        first = await server.open()
        with pytest.raises(UpstreamOverflow):
            await server.open()
        await whole(first)


async def test_who_gives_up_waiting_leaves_the_turn_to_the_next() -> None:
    async with asked() as server:
        server.limits = PoolLimits(connections=1)
        first = await server.open()
        begin = asyncio.get_running_loop().create_task
        impatient, patient = begin(server.open()), begin(server.open())
        await asyncio.sleep(0)
        impatient.cancel()
        await whole(first)
        assert await whole(await patient) == (200, b"ok")
        assert impatient.cancelled()


async def test_a_call_that_is_given_up_takes_its_connection_with_it() -> None:
    async with asked() as server:
        call = await server.open()
        call.release()
        with pytest.raises(UpstreamReset):
            await call.response()
        await eventually(lambda: len(server.pool) == 0, "forgotten")
        assert await whole(await server.open()) == (200, b"ok")


async def test_a_server_that_hangs_up_is_not_asked_again() -> None:
    async def once(connection: Connection) -> None:
        await connection.receive()
        await connection.send(OK)

    async with asked(once) as server:
        assert await whole(await server.open()) == (200, b"ok")
        await eventually(lambda: len(server.pool) == 0, "noticed")
        assert await whole(await server.open()) == (200, b"ok")
        assert server.dials == 2


async def test_nobody_listens() -> None:
    async with asked() as server:
        server.app._port = 1
        with pytest.raises(UpstreamFailure):
            await server.lease()
        assert len(server.pool) == 0


async def test_close_ends_what_is_idle() -> None:
    async with asked() as server:
        await whole(await server.open())
        server.pool.close()
        await eventually(lambda: len(server.pool) == 0, "closed")


# Connections that were opened before anybody knew what for -----------------------------------------------------------


async def test_what_is_adopted_serves_the_next_call() -> None:
    async with asked() as server:
        assert await whole(await server.open()) == (200, b"ok")
        assert await server.adopt()
        assert await whole(await server.open()) == (200, b"ok")
        assert (server.dials, len(server.app.connections)) == (2, 2)
        # The one that stood unused has made room.
        await eventually(lambda: server.app.connections[0].ended == "eof", "hung up")
        assert len(server.pool) == 1


async def test_those_that_have_not_served_yet_stay() -> None:
    async with asked() as server:
        assert [await server.adopt() for _ in range(3)] == [True] * 3
        calls = [await server.open() for _ in range(3)]
        assert [await whole(call) for call in calls] == [(200, b"ok")] * 3
        assert len(server.app.connections) == 3


async def test_nothing_is_adopted_over_the_limit() -> None:
    async with asked() as server:
        server.limits = PoolLimits(connections=1)
        assert [await server.adopt(), await server.adopt()] == [True, False]
        assert len(server.pool) == 1
