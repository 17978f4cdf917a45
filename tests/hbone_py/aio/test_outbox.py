"""The outbox: small frames of many relays and several peers share one buffer; none is lost, mixed up or overtaken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hbone_py.config import KIB
from hbone_py.frames import HEADER, HEADER_SIZE
from tests.support.sockets import turns, until
from tests.support.tcp_apps import payload

if TYPE_CHECKING:
    from tests.support.peers import PeerMaker, Relayed


async def check_told(relayed: list[Relayed], size: int) -> None:
    """All applications speak before anybody reads: one batch finds everything."""
    said = [payload(size, seed) for seed in range(len(relayed))]
    for one, words in zip(relayed, said, strict=True):
        assert one.near.stuff(words) == size
    async with asyncio.TaskGroup() as group:
        heard = [group.create_task(one.far.hear(size)) for one in relayed]
    assert [one.result() for one in heard] == said
    for one in relayed:
        one.near.end()
        one.far.end()
        await one.over()


@pytest.mark.parametrize("size", [1, 100, 12 * KIB, 16 * KIB, 16 * KIB + 1, 40 * KIB])
async def test_relays_of_one_peer_share_it(peers: PeerMaker, size: int) -> None:
    """Twelve of 12 KiB are more than it holds."""
    pair = peers.pair()
    await pair.up()
    await check_told([await pair.relayed() for _ in range(12)], size)
    assert pair.client.reactor.outbox.owner is None


async def test_peers_of_one_reactor_take_turns(peers: PeerMaker) -> None:
    relayed = []
    for _ in range(3):
        pair = peers.pair()
        await pair.up()
        relayed += [await pair.relayed(), await pair.relayed()]
    await check_told(relayed[::2] + relayed[1::2], 3 * KIB)


async def test_nothing_overtakes_what_lies_there(peers: PeerMaker) -> None:
    """An end goes behind the bytes that came before it, and a request that is queued before those that come after."""
    pair = peers.pair()
    await pair.up()
    relayed = await pair.relayed()
    words = payload(5 * KIB, 1)
    relayed.near.stuff(words)
    relayed.near.end()
    pair.request()
    await until(lambda: len(pair.server_owner.requests) == 2, "the request heard")
    assert (await relayed.far.hear_all()).data == words
    relayed.far.end()
    await relayed.over()


async def test_what_makes_room_leaves_before_the_batch_is_over(peers: PeerMaker) -> None:
    pair = peers.pair()
    await pair.up()
    relayed = await pair.relayed()
    peer, outbox, stream = pair.client, pair.client.reactor.outbox, relayed.near_relay.stream
    outbox.first[:4] = b"soon"
    HEADER.pack_into(outbox.buffer.view, 0, 4 << 8, 0, stream.stream_id)
    peer.engine.claim(stream, 4)
    outbox.owner, outbox.used = peer, HEADER_SIZE + 4
    outbox.make_room()
    assert (outbox.used, peer.is_dirty) == (0, False)
    assert await relayed.far.hear(4) == b"soon"
    relayed.close()
    await until(lambda: relayed.is_over, "both relays over")


async def test_what_a_lost_peer_had_there_is_gone(peers: PeerMaker) -> None:
    pair, another = peers.pair(), peers.pair()
    await pair.up()
    await another.up()
    outbox = pair.client.reactor.outbox
    outbox.first[:4] = b"lost"
    outbox.owner, outbox.used = pair.client, HEADER_SIZE + 4
    pair.client.abort(RuntimeError("lost"))
    left = outbox.used
    assert not left
    await check_told([await another.relayed()], KIB)
    await turns()
