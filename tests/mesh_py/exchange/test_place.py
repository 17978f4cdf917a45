"""Of the connections of one way the last one used is the next; they are given up when worn or idle."""

from __future__ import annotations

from mesh_py.exchange.pool import PoolLimits
from tests.mesh_py.exchange.servers import asked, whole
from tests.support.processes import eventually


async def test_the_last_one_used_is_the_next() -> None:
    async with asked() as server:
        calls = [await server.open() for _ in range(3)]
        assert [await whole(call) for call in calls] == [(200, b"ok")] * 3
        for _ in range(2):
            last = await server.open()
            assert await whole(last) == (200, b"ok")
        assert await server.lease() is last._connection
        assert server.dials == 3


async def test_a_worn_connection_is_replaced() -> None:
    async with asked() as server:
        server.limits = PoolLimits(calls_per_connection=2)
        for _ in range(4):
            assert await whole(await server.open()) == (200, b"ok")
        assert server.dials == 2


async def test_an_idle_connection_closes() -> None:
    async with asked() as server:
        server.limits = PoolLimits(idle=0.02)
        await whole(await server.open())
        assert await server.app.ended() == "eof"
        await eventually(lambda: len(server.pool) == 0, "forgotten")
