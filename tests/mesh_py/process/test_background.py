"""Work that begins and ends with a body."""

from __future__ import annotations

import asyncio

import pytest

from mesh_py.process.background import background


async def test_it_runs_beside_the_body_and_ends_with_it() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with background(work(), work()):
        await asyncio.wait_for(begun.wait(), 10)
        assert not ended.is_set()
    assert ended.is_set()
    assert len(asyncio.all_tasks()) == 1


async def test_its_failure_ends_the_body() -> None:
    async def fail() -> None:
        raise LookupError("lost")

    with pytest.raises(ExceptionGroup) as failure:
        async with background(fail()):
            await asyncio.Event().wait()
    assert failure.group_contains(LookupError, match="lost")
