"""A deadline strikes once, not before its time, and not at all once it is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from hbone_py.aio.reactor import Reactor
from mesh_py.exchange.deadline import NEAR, Deadline


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.02, NEAR + 0.02], ids=["past", "now", "near", "far"])
async def test_it_strikes_in_time(seconds: float) -> None:
    wheel, struck = Reactor.current().wheel, asyncio.Event()
    at = wheel.now + seconds
    Deadline(wheel, at, struck.set)
    async with asyncio.timeout(5):
        await struck.wait()
    assert wheel.now >= at - 0.001  # a loop's clock counts milliseconds
    assert not wheel.pending


@pytest.mark.parametrize("seconds", [0.01, NEAR + 0.01], ids=["near", "far"])
async def test_cancelled_it_does_not(seconds: float) -> None:
    wheel, struck = Reactor.current().wheel, asyncio.Event()
    cancelled = Deadline(wheel, wheel.now + seconds, lambda: pytest.fail("it was cancelled"))
    Deadline(wheel, wheel.now + seconds + 0.01, struck.set)
    cancelled.cancel()
    cancelled.cancel()
    async with asyncio.timeout(5):
        await struck.wait()
