"""PeerLife: the signs of life a peer is asked for, and the ways it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hbone_py.config import KIB, Keepalive
from hbone_py.errors import ConnectionClosing, ConnectionLost, ErrorCode, HboneError
from tests.support.frames import GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, connect, data, ping, settings
from tests.support.peers import Owner, clock_of, up
from tests.support.sockets import SMALL_SOCKETS, turns, until
from tests.support.tcp_apps import payload

if TYPE_CHECKING:
    from tests.support.peers import PeerMaker


def freeze(peer: object) -> None:
    """It reads and answers no more, as a process that was stopped."""
    peer.reactor.unregister(peer.transport.sock.fileno())  # type: ignore[attr-defined]


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


# Keepalive ----------------------------------------------------------------------------------------------------------


async def test_a_peer_is_asked_for_a_sign_of_life(peers: PeerMaker) -> None:
    owner = Owner()
    peer, puppet = peers.facing_server(owner, keepalive=Keepalive(interval=10, timeout=20))
    await puppet.shake_hands()
    puppet.say(PREFACE, settings())
    await until(lambda: peer.is_up, "up")
    for _ in range(3):
        clock_of(peer.reactor).advance(10.5)
        asked = await puppet.hear(PING)
        assert asked.payload == bytes.fromhex("3b7cdb7a0b8716b4")
        clock_of(peer.reactor).advance(19)
        puppet.say(ping(asked.payload, ack=True))
        await turns()
    assert owner.ends == []


async def test_a_peer_that_gives_none_is_given_up(peers: PeerMaker) -> None:
    pair = await up(peers, keepalive=Keepalive(interval=10, timeout=20))
    near, far = await pair.open()
    freeze(pair.server)
    clock_of(peers.near).advance(10.5)
    clock_of(peers.near).advance(19)
    assert pair.client_owner.ends == []
    clock_of(peers.near).advance(2)
    assert [str(error) for error in pair.client_owner.ends] == ["the peer does not answer PINGs"]
    assert isinstance(near.told[-1], ConnectionLost)
    assert far.told == ["requested"]


# GOAWAY -------------------------------------------------------------------------------------------------------------


async def test_a_drain_takes_two_steps_and_lets_open_tunnels_be(peers: PeerMaker) -> None:
    peer, puppet = peers.facing_server()
    await puppet.shake_hands()
    puppet.say(PREFACE, settings(), connect(1))
    await puppet.hear(HEADERS)
    peer.drain()
    first = await puppet.hear(GOAWAY)
    assert first.payload[:4] == (2**31 - 1).to_bytes(4)
    asked = await puppet.hear(PING)
    puppet.say(connect(3), ping(asked.payload, ack=True))
    assert (await puppet.hear(GOAWAY)).payload[:4] == (3).to_bytes(4)
    assert (await puppet.hear(HEADERS)).stream_id == 3
    puppet.say(connect(5))
    assert (await puppet.hear(RST_STREAM)).payload == ErrorCode.REFUSED_STREAM.to_bytes(4)
    puppet.say(data(1, b"still here"))
    await until(lambda: peer.engine.streams[1].unread == 10, "open tunnels go on")


async def test_a_draining_server_gets_no_new_tunnels(peers: PeerMaker) -> None:
    pair = await up(peers)
    near, _ = await pair.open()
    pair.server.drain()
    await until(lambda: pair.client_owner.drainings == 2, "both GOAWAYs")
    with pytest.raises(ConnectionClosing):
        pair.request()
    assert near.told == ["accepted"]


# Ends ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["reset", "end of file", "stopped by us"])
async def test_a_lost_connection_takes_its_tunnels_along(peers: PeerMaker, how: str) -> None:
    owner = Owner()
    peer, puppet = peers.facing_server(owner)
    await puppet.shake_hands()
    puppet.say(PREFACE, settings(), connect(1), connect(3))
    await until(lambda: len(owner.requests) == 2, "two tunnels")
    if how == "reset":
        puppet.app.reset()
    elif how == "end of file":
        puppet.app.end()
    else:
        peer.close(HboneError("stopped by us"))
    await until(lambda: owner.ends, "the end told")
    assert [driver.told[1:] for driver in owner.drivers.values()] == [[owner.ends[0]]] * 2
    assert isinstance(owner.ends[0], HboneError)
    assert how != "stopped by us" or str(owner.ends[0]) == how


async def test_a_closed_peer_takes_no_more_tunnels(peers: PeerMaker) -> None:
    pair = await up(peers, keepalive=Keepalive(interval=10, timeout=20))
    freeze(pair.server)
    clock_of(peers.near).advance(40)
    assert pair.client.is_closed
    assert pair.client.engine.room == 0
    with pytest.raises(ConnectionClosing):
        pair.request()
