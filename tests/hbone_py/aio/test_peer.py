"""Peer: TLS, HTTP/2 and the socket as one thing, from the first byte to the farewell."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from hbone_py.config import KIB
from tests.support.peers import clock_of
from tests.support.sockets import Buffers, turns, until

if TYPE_CHECKING:
    from tests.support.peers import PeerMaker, PeerPair

SMALL_SOCKETS = Buffers(16 * KIB, 16 * KIB)


def payload(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


async def up(peers: PeerMaker, **how: object) -> PeerPair:
    pair = peers.pair(**how)  # type: ignore[arg-type]
    await pair.up()
    return pair


# Farewell -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["client", "server"])
async def test_a_farewell_ends_both_sides_in_peace(peers: PeerMaker, who: str) -> None:
    pair = await up(peers)
    (pair.client if who == "client" else pair.server).farewell()
    await until(lambda: pair.client.is_closed and pair.server.is_closed, "both closed")
    leaving, told = pair.client_owner, pair.server_owner
    if who == "server":
        leaving, told = told, leaving
    assert leaving.ends == [None]
    assert [str(error) for error in told.ends] == ["connection closed by the peer"]
    assert told.drainings == 1


async def test_a_farewell_waits_for_what_the_socket_has_not_taken(peers: PeerMaker) -> None:
    """Closing at once would cut the last bytes of streams that are long over for us."""
    pair = await up(peers, buffers=SMALL_SOCKETS)
    near, far = await pair.open()
    said = payload(1024 * KIB)
    far.stream.sink = None
    assert pair.client.engine.send(near.stream, said) == len(said)
    pair.client.engine.end(near.stream)
    pair.server.engine.end(far.stream)
    pair.client.reactor.touch(pair.client)
    pair.server.reactor.touch(pair.server)
    await until(lambda: not pair.client.engine.streams, "the stream over for the client")
    pair.client.farewell()
    assert pair.client.is_stalled
    await until(lambda: pair.client.is_closed, "the client gone")
    assert (near.told, far.told) == (["accepted", "ended"], ["requested", "ended"])
    assert b"".join(map(bytes, far.stream.held)) == said
    pair.server.engine.consumed(far.stream, len(said))


async def test_a_farewell_tells_open_streams(peers: PeerMaker) -> None:
    pair = await up(peers)
    near, far = await pair.open()
    pair.client.farewell()
    assert [str(told) for told in near.told] == ["accepted", "connection closed"]
    await until(lambda: pair.client.is_closed and pair.server.is_closed, "both closed")
    assert far.told == ["requested", ("reset", 8, True)]


async def test_a_farewell_takes_not_for_ever(peers: PeerMaker) -> None:
    pair = await up(peers, buffers=SMALL_SOCKETS)
    near, _ = await pair.open()
    freeze(pair.server)
    pair.client.engine.send(near.stream, payload(1024 * KIB))
    pair.client.reactor.touch(pair.client)
    await turns()
    pair.client.farewell()
    pair.client.farewell()
    await turns()
    assert pair.client_owner.ends == []
    clock_of(peers.near).advance(10)
    assert pair.client_owner.ends == [None]


def freeze(peer: object) -> None:
    """It reads and answers no more, as a process that was stopped."""
    peer.reactor.unregister(peer.transport.sock.fileno())  # type: ignore[attr-defined]
