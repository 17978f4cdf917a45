"""Whichever comes first."""

from __future__ import annotations

import asyncio

from mesh_py.process.waiting import any_of, done_before, unless_stopped


async def test_an_event_that_is_set_already_needs_no_waiting() -> None:
    done = asyncio.Event()
    done.set()
    assert await any_of(asyncio.Event(), done)


async def test_the_first_of_several_is_enough() -> None:
    one, other = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().call_soon(other.set)
    assert await any_of(one, other)
    assert not one.is_set()


async def test_none_in_time_is_said() -> None:
    assert not await any_of(asyncio.Event(), seconds=0)


async def test_nothing_is_left_waiting() -> None:
    await any_of(asyncio.Event(), seconds=0)
    assert len(asyncio.all_tasks()) == 1


async def test_work_that_ends_is_done() -> None:
    assert await done_before(asyncio.sleep(0), asyncio.Event())
    assert len(asyncio.all_tasks()) == 1


async def test_work_that_is_not_waited_for_is_cancelled() -> None:
    now, forever = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().call_soon(now.set)
    assert not await done_before(forever.wait(), now)
    assert len(asyncio.all_tasks()) == 1


async def test_work_ends_by_itself_or_because_it_is_told_to() -> None:
    stop = asyncio.Event()

    async def seven() -> int:
        return 7

    assert await unless_stopped(seven(), stop) == 7
    stop.set()
    assert await unless_stopped(asyncio.sleep(60, 7), stop) is None
