"""Long work leaves others their turn, and the garbage collector out of it."""

from __future__ import annotations

import asyncio
import gc

import pytest

from mesh_py.xds import time_slices
from mesh_py.xds.time_slices import in_slices, without_collection


async def turns_during(items: int) -> int:
    """How often others ran while so many items were handed out."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        counting = group.create_task(count())
        await asyncio.sleep(0)
        turns = 0
        assert [item async for item in in_slices(range(items))] == list(range(items))
        counting.cancel()
    return turns


async def test_others_run_between_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_slices, "SLICE_SECONDS", -1.0)
    assert await turns_during(10) == 10


async def test_short_work_is_not_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_slices, "SLICE_SECONDS", 60.0)
    assert await turns_during(10) == 0


@pytest.mark.parametrize("was_enabled", [True, False])
def test_the_collector_is_held_back_for_many_and_comes_back(was_enabled: bool) -> None:
    frozen = gc.get_freeze_count()
    (gc.enable if was_enabled else gc.disable)()
    try:
        with without_collection(time_slices.MANY - 1):
            assert gc.isenabled() is was_enabled
        assert gc.get_freeze_count() == frozen
        with without_collection(time_slices.MANY):
            assert not gc.isenabled()
        assert gc.isenabled() is was_enabled
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()
        gc.enable()


def test_it_comes_back_after_a_failure_too() -> None:
    try:
        with pytest.raises(ValueError, match="trouble"), without_collection(time_slices.MANY):
            raise ValueError("trouble")
        assert gc.isenabled()
    finally:
        gc.unfreeze()
