"""A connection is lost under a relay: what had arrived is the application's, then it sees a reset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.tcp import unacknowledged
from hbone_py.config import KIB, Http2Config
from hbone_py.errors import ConnectionLost
from tests.support.peers import clock_of
from tests.support.sockets import TIGHT, Heard, until
from tests.support.tcp_apps import payload

if TYPE_CHECKING:
    from tests.support.peers import HalfRelayed, PeerMaker

SMALL_WINDOWS = Http2Config(stream_window=64 * KIB, connection_window=256 * KIB)
LOSSES = {
    "broken": lambda pair: pair.client.abort(RuntimeError("no route")),
    "closed by the peer": lambda pair: pair.server.close(),
    "closed by us": lambda pair: pair.client.close(),
    "left by us": lambda pair: pair.client.farewell(),
}


async def lost_while_slow(peers: PeerMaker, how: str, *, ended: bool = False) -> tuple[bytes, HalfRelayed]:
    """Something has arrived that the application has not taken yet, and the connection goes."""
    pair = peers.pair(client_config=SMALL_WINDOWS, server_config=SMALL_WINDOWS)
    await pair.up()
    relayed = await pair.relayed_near(buffers=TIGHT)
    said = payload(64 * KIB)
    relayed.send(said)
    if ended:
        relayed.end()
    stream = relayed.relay.stream
    await until(lambda: stream.unread + relayed.relay.received == len(said) and stream.remote_open != ended, "arrived")
    LOSSES[how](relayed.pair)
    await until(lambda: stream not in relayed.pair.client.engine.streams.values(), "the connection lost")
    assert stream.unread
    return said, relayed


@pytest.mark.parametrize("how", LOSSES)
async def test_what_arrived_before_the_connection_was_lost_is_heard_before_the_reset(
    peers: PeerMaker, how: str
) -> None:
    said, relayed = await lost_while_slow(peers, how)
    clock_of(peers.near).advance(10)
    assert not relayed.ends
    assert await relayed.app.hear(len(said)) == said
    await until(lambda: not unacknowledged(relayed.relay.sock), "the application's kernel has all")
    clock_of(peers.near).advance(1)
    assert await relayed.app.hear_all() == Heard(b"", "reset")
    assert isinstance(await relayed.over(), ConnectionLost)
    assert relayed.relay.received == len(said)


async def test_an_end_that_arrived_before_the_connection_was_lost_is_an_end(peers: PeerMaker) -> None:
    said, relayed = await lost_while_slow(peers, "broken", ended=True)
    assert await relayed.app.hear_all() == Heard(said, "eof")
    await until(lambda: not unacknowledged(relayed.relay.sock), "the end acknowledged")
    clock_of(peers.near).advance(1)
    assert isinstance(await relayed.over(), ConnectionLost)


@pytest.mark.parametrize("why", ["it does not read", "it is gone", "memory is short"])
async def test_an_application_that_does_not_take_what_arrived_is_not_waited_for(peers: PeerMaker, why: str) -> None:
    _, relayed = await lost_while_slow(peers, "broken")
    if why == "it does not read":
        clock_of(peers.near).advance(32)
    elif why == "it is gone":
        relayed.app.reset()
    else:
        peers.near.ledger.set_limit(1024)
        peers.near.again(relayed.relay)
    assert await relayed.over() is not None
    assert peers.near.ledger.used == 0
