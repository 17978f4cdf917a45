"""relay() in plain coroutines: the specification of the fast one, and what library users call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.plain_relay import Transferred, relay
from hbone_py.aio.tcp_stream import TcpStream
from hbone_py.errors import ConnectionLost
from tests.support.sockets import App, Heard, tcp_pair, turns, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hbone_py.aio.reactor import Reactor


class Joined:
    """Two applications, each with a connection to us; we join the two."""

    def __init__(self, reactor: Reactor) -> None:
        near_inside, near_outside = tcp_pair()
        far_inside, far_outside = tcp_pair()
        self.near, self.far = App(near_outside), App(far_outside)
        self.streams = TcpStream(reactor, near_inside), TcpStream(reactor, far_inside)
        self.relaying = asyncio.get_running_loop().create_task(relay(*self.streams))

    async def close(self) -> None:
        for stream in self.streams:
            await stream.aclose()
        await asyncio.gather(self.relaying, return_exceptions=True)


@pytest.fixture(name="joined")
async def _joined(reactor: Reactor) -> AsyncIterator[Joined]:
    joined = Joined(reactor)
    yield joined
    await joined.close()


async def test_it_tells_what_it_carried(joined: Joined) -> None:
    await joined.near.say(b"question")
    joined.near.end()
    assert await joined.far.hear_all() == Heard(b"question", "eof")
    await joined.far.say(b"answer")
    joined.far.end()
    assert await joined.near.hear_all() == Heard(b"answer", "eof")
    assert await joined.relaying == Transferred(sent=8, received=6)


@pytest.mark.parametrize("who", ["near", "far"])
async def test_a_break_is_raised_and_resets_both(joined: Joined, who: str) -> None:
    one, other = (joined.near, joined.far) if who == "near" else (joined.far, joined.near)
    one.reset()
    assert (await other.hear_all()).ended == "reset"
    with pytest.raises(ConnectionLost):
        await joined.relaying


async def test_a_cancelled_one_resets_both(joined: Joined) -> None:
    await turns()
    joined.relaying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joined.relaying
    assert (await joined.near.hear_all()).ended == (await joined.far.hear_all()).ended == "reset"


async def test_a_slow_side_stops_the_other(joined: Joined) -> None:
    piece = bytes(1 << 20)
    said = 0
    idle = 0
    while idle < 50:
        taken = joined.near.stuff(piece)
        said += taken
        idle = 0 if taken else idle + 1
        await turns(2)
    heard = 0

    def all_heard() -> bool:
        nonlocal heard
        heard += joined.far.take()
        return heard == said

    await until(all_heard, "everything heard")
