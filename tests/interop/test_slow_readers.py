"""A reader that stops: its sender stops at a known bound, its neighbours go on, and in the end nothing is lost."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from tests.interop.callers import Caller, read_exactly, talk
from tests.interop.pairs import PAIRS_WITH_OURS, Pair
from tests.support.processes import settled
from tests.support.tcp_apps import Gate, TcpApp, echo, payload

# Between two Envoys a neighbour may stop as well, and what they hold is theirs: their connection windows are
# 1.5 stream windows, and credit comes back only by the half.
pytestmark = [pytest.mark.interop, pytest.mark.parametrize("pair", PAIRS_WITH_OURS, indirect=True)]

MIB = 1 << 20
BLOCK = payload(MIB, seed=5)
BLOCKS = 60
BOUND = 48 * MIB
"""What two sides of ours may hold for a reader that does not read: a stream window of 16 MiB each, and as much for
what a process grows by once. The rest of the blocks is to stay in kernels, in Envoy, and with the sender."""


class Pouring:
    """A sender of BLOCKS blocks that tells how far it has come."""

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self, caller: Caller) -> None:
        for _ in range(BLOCKS):
            await caller.send(BLOCK)
            self.sent += MIB
        await caller.send_eof()


def whole_digest() -> str:
    whole = hashlib.sha256()
    for _ in range(BLOCKS):
        whole.update(BLOCK)
    return whole.hexdigest()


async def test_an_application_that_does_not_read_stops_its_caller_and_loses_nothing(pair: Pair) -> None:
    gate, pouring = Gate(), Pouring()
    before = pair.held_bytes()
    async with (
        TcpApp(gate, pair.address) as slow,
        TcpApp(echo, pair.address) as lively,
        pair.call(slow.authority) as caller,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(pouring(caller))
        await settled(lambda: pouring.sent)
        assert pair.held_bytes() - before <= BOUND
        async with pair.call(lively.authority) as neighbour:
            await talk(neighbour, b"we go on")
        gate.allow(BLOCKS * MIB + 1)
        assert await slow.ended() == "eof"
        assert slow.connections[0].digest == whole_digest()


async def test_a_caller_that_does_not_read_stops_its_application_and_loses_nothing(pair: Pair) -> None:
    pouring = Pouring()
    before = pair.held_bytes()
    async with TcpApp(pouring, pair.address) as app, pair.call(app.authority) as caller:
        # Envoy's server drops what waits for window if its application ends before the caller did.
        await caller.send_eof()
        await settled(lambda: pouring.sent)
        assert pair.held_bytes() - before <= BOUND
        heard = hashlib.sha256()
        for _ in range(BLOCKS):
            heard.update(await read_exactly(caller, MIB))
        assert heard.hexdigest() == whole_digest()
        assert await caller.receive() == b""
