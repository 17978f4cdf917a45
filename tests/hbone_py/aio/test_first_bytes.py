"""What an application says before its tunnel is open: sent behind the CONNECT, once, and nothing lost or said twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.outbox import SMALL
from hbone_py.config import KIB, Http2Config
from hbone_py.errors import ConnectionLost, ErrorCode
from tests.support.sockets import ROOMY, TIGHT, Heard, turns, until
from tests.support.tcp_apps import payload

if TYPE_CHECKING:
    from tests.support.peers import Beginning, Driver, PeerMaker, PeerPair
    from tests.support.sockets import Buffers


async def waiting_pair(peers: PeerMaker, server_config: Http2Config | None = None) -> PeerPair:
    """A server that answers when the test says so."""
    pair = peers.pair(accepting=False, server_config=server_config)
    await pair.up()
    return pair


async def held(far: Driver, count: int) -> bytes:
    """What the server has of the stream, as soon as it is `count` bytes."""
    await until(lambda: far.stream.unread >= count, f"{count} bytes there")
    await turns()
    return b"".join(far.stream.held)


async def check_the_rest(beginning: Beginning, said: bytes) -> None:
    """Once the tunnel is open all that was said arrives, and what is said then."""
    relayed = await beginning.relayed()
    await relayed.near.say(b" and more")
    relayed.near.end()
    assert await relayed.far.hear_all() == Heard(said + b" and more", "eof")
    await relayed.far.say(b"an answer")
    relayed.far.end()
    assert await relayed.near.hear_all() == Heard(b"an answer", "eof")
    assert await relayed.over() == (None, None)
    assert relayed.near_relay.sent == relayed.far_relay.received == len(said) + 9
    relayed.close()


async def test_what_is_there_goes_with_the_request(peers: PeerMaker) -> None:
    beginning = (await waiting_pair(peers)).begin(b"hello")
    assert await held(await beginning.asked(), 5) == b"hello"
    await check_the_rest(beginning, b"hello")


async def test_what_comes_before_the_answer_goes_at_once(peers: PeerMaker) -> None:
    beginning = (await waiting_pair(peers)).begin()
    far = await beginning.asked()
    assert not far.stream.unread
    await beginning.app.say(b"hello")
    assert await held(far, 5) == b"hello"
    await check_the_rest(beginning, b"hello")


async def test_what_comes_behind_it_waits_for_the_answer(peers: PeerMaker) -> None:
    beginning = (await waiting_pair(peers)).begin()
    far = await beginning.asked()
    for words in (b"hello", b" there"):
        await beginning.app.say(words)
        assert await held(far, 5) == b"hello"
    await check_the_rest(beginning, b"hello there")


async def test_nobody_has_to_say_anything(peers: PeerMaker) -> None:
    """The server speaks first."""
    relayed = await (await waiting_pair(peers)).begin().relayed()
    await relayed.far.say(b"220 ready")
    assert await relayed.near.hear(9) == b"220 ready"
    await relayed.near.say(b"HELO")
    assert await relayed.far.hear(4) == b"HELO"
    relayed.close()
    assert await relayed.over() == (None, None)


@pytest.mark.parametrize("size", [SMALL - 1, SMALL, SMALL + 1, 5 * SMALL])
async def test_it_is_one_frame_at_most(peers: PeerMaker, size: int) -> None:
    said = payload(size)
    beginning = (await waiting_pair(peers)).begin(said)
    assert await held(await beginning.asked(), min(size, SMALL)) == said[:SMALL]
    await check_the_rest(beginning, said)


@pytest.mark.parametrize("window", [7, 1000])
async def test_it_is_no_more_than_the_peer_s_window(peers: PeerMaker, window: int) -> None:
    said = payload(2 * KIB)
    beginning = (await waiting_pair(peers, Http2Config(stream_window=window, connection_window=65_535))).begin(said)
    assert await held(await beginning.asked(), window) == said[:window]
    await check_the_rest(beginning, said)


async def test_behind_a_full_socket_nothing_is_put(peers: PeerMaker) -> None:
    pair = await waiting_pair(peers)
    pair.client.is_stalled = True
    beginning = pair.begin(b"hello")
    await turns()
    pair.client.is_stalled = False
    pair.client.flush()
    far = await beginning.asked()
    await turns()
    assert not far.stream.unread
    await check_the_rest(beginning, b"hello")


async def test_an_end_waits_for_the_answer(peers: PeerMaker) -> None:
    """Not every server has been seen to take END_STREAM before it has answered."""
    beginning = (await waiting_pair(peers)).begin()
    far = await beginning.asked()
    await beginning.app.say(b"all I have to say")
    beginning.app.end()
    assert await held(far, 17) == b"all I have to say"
    assert far.stream.remote_open
    relayed = await beginning.relayed()
    assert await relayed.far.hear_all() == Heard(b"all I have to say", "eof")
    relayed.far.end()
    assert await relayed.over() == (None, None)
    relayed.close()


async def test_so_does_one_that_came_with_the_bytes(peers: PeerMaker) -> None:
    pair = await waiting_pair(peers)
    beginning = pair.begin(b"bye")
    beginning.app.end()
    far = await beginning.asked()
    assert await held(far, 3) == b"bye"
    assert far.stream.remote_open
    relayed = await beginning.relayed()
    assert await relayed.far.hear_all() == Heard(b"bye", "eof")
    relayed.close()
    await relayed.over()


@pytest.mark.parametrize("said", [b"", b"hello"], ids=["silent", "after its first bytes"])
async def test_an_application_that_has_reset_meanwhile_is_found_out(peers: PeerMaker, said: bytes) -> None:
    beginning = (await waiting_pair(peers)).begin(said)
    await beginning.asked()
    beginning.app.reset()
    await turns()
    relayed = await beginning.relayed()
    near, _ = await relayed.over()
    assert isinstance(near, ConnectionLost)
    assert (await relayed.far.hear_all()).ended == "reset"


async def answer(beginning: Beginning, said: bytes) -> None:
    """The 200, and behind it in one record these bytes."""
    far, server = await beginning.asked(), beginning.pair.server
    server.engine.accept_tunnel(far.stream)
    server.engine.send(far.stream, said)
    server.reactor.touch(server)


async def test_what_comes_with_the_answer_waits_for_nobody(peers: PeerMaker) -> None:
    beginning = (await waiting_pair(peers)).begin(b"hello")
    await answer(beginning, b"welcome")
    assert await beginning.app.hear(7) == b"welcome"
    assert beginning.pair.client.engine.unread == 0
    assert beginning.first.heard == 7
    await check_the_rest(beginning, b"hello")


@pytest.mark.parametrize("buffers", [TIGHT, ROOMY], ids=["a full socket", "a socket with room"])
async def test_a_long_word_with_the_answer_arrives_whole(peers: PeerMaker, buffers: Buffers) -> None:
    word = payload(60 * KIB)
    beginning = (await waiting_pair(peers)).begin(b"hello", buffers)
    await answer(beginning, word)
    await until(lambda: beginning.near.told, "the answer")
    assert (beginning.pair.client.engine.unread > 0) == (buffers is TIGHT)
    relayed = await beginning.relayed()
    assert await relayed.near.hear(len(word)) == word
    assert relayed.near_relay.received == len(word)
    relayed.close()
    await relayed.over()


async def test_an_application_that_is_gone_is_found_out_by_the_first_word(peers: PeerMaker) -> None:
    beginning = (await waiting_pair(peers)).begin(b"hello")
    await beginning.asked()
    beginning.app.reset()
    await answer(beginning, b"welcome")
    await until(lambda: beginning.near.told, "the answer")
    relayed = await beginning.relayed()
    near, _ = await relayed.over()
    assert isinstance(near, ConnectionLost)
    assert relayed.near_relay.received == 0


async def test_who_is_refused_still_has_its_bytes(peers: PeerMaker) -> None:
    """For another try, word for word; and nobody watches its socket any more."""
    pair = await waiting_pair(peers)
    beginning = pair.begin(b"once")
    far = await beginning.asked()
    assert await held(far, 4) == b"once"
    pair.server.engine.reset(far.stream, ErrorCode.REFUSED_STREAM)
    pair.server.reactor.touch(pair.server)
    await until(lambda: beginning.near.told, "the refusal")
    beginning.first.stop()
    assert beginning.inside.recv(100) == b"once"
    assert pair.client.reactor.open_sockets == 1
    assert pair.server.engine.unread == 0


async def test_who_was_waited_for_in_vain_is_watched_no_more(peers: PeerMaker) -> None:
    pair = await waiting_pair(peers)
    beginning = pair.begin()
    assert pair.client.reactor.open_sockets == 2
    beginning.first.stop()
    assert pair.client.reactor.open_sockets == 1
