"""Signals to this very process: the first asks, the second insists, and later ones are not ours."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from mesh_py.process.signals import stop_signals

SECONDS = 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_first_asks_and_the_second_insists(number: signal.Signals) -> None:
    stop, now = asyncio.Event(), asyncio.Event()
    with stop_signals(stop, now):
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.wait(), SECONDS)
        assert not now.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(now.wait(), SECONDS)


async def test_afterwards_signals_do_what_they_did() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_signals(asyncio.Event(), asyncio.Event()):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
