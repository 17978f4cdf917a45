"""Relay: one application, one tunnel, and everything that can happen between them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from hbone_py.aio.reactor import SHORT_PIECES
from hbone_py.config import KIB, MIB, Http2Config
from hbone_py.errors import ConnectionLost, ErrorCode, HboneError, StreamReset
from tests.support.peers import clock_of
from tests.support.sockets import ROOMY, TIGHT, Buffers, Heard, turns, until
from tests.support.tcp_apps import payload

if TYPE_CHECKING:
    from tests.support.peers import HalfRelayed, PeerMaker, PeerPair, Relayed
    from tests.support.sockets import App

SMALL_WINDOWS = Http2Config(stream_window=64 * KIB, connection_window=256 * KIB)


async def relayed_pair(
    peers: PeerMaker, *, lenient: bool = False, relay_buffers: Buffers = ROOMY, **how: Any
) -> tuple[PeerPair, Relayed]:
    """One tunnel between two applications with such buffers; `how` as for `PeerMaker.pair`."""
    pair = peers.pair(**how)
    await pair.up()
    return pair, await pair.relayed(lenient=lenient, buffers=relay_buffers)


async def half_relayed(peers: PeerMaker, *, lenient: bool = False, buffers: Buffers = ROOMY) -> HalfRelayed:
    pair = peers.pair(client_config=SMALL_WINDOWS, server_config=SMALL_WINDOWS)
    await pair.up()
    return await pair.relayed_near(lenient=lenient, buffers=buffers)


async def shut_window(relayed: HalfRelayed) -> None:
    """The application talks until nothing more goes anywhere."""
    while relayed.app.stuff(payload(64 * KIB)) or not relayed.relay.stream.blocked:
        await turns()


async def say_twice(app: App) -> None:
    await app.say(b"anybody?")
    await turns()
    await app.say(b"anybody?")


# Ends ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["near", "far"])
async def test_each_direction_ends_by_itself(peers: PeerMaker, first: str) -> None:
    _, relayed = await relayed_pair(peers)
    one, other = (relayed.near, relayed.far) if first == "near" else (relayed.far, relayed.near)
    await one.say(b"question")
    one.end()
    assert await other.hear_all() == Heard(b"question", "eof")
    await other.say(b"answer")
    await turns()
    assert not relayed.results
    other.end()
    assert await one.hear_all() == Heard(b"answer", "eof")
    assert await relayed.over() == (None, None)
    relayed.close()


async def test_it_counts_what_it_carried(peers: PeerMaker) -> None:
    _, relayed = await relayed_pair(peers)
    await relayed.near.say(b"12345")
    relayed.near.end()
    await relayed.far.hear_all()
    await relayed.far.say(b"123")
    relayed.far.end()
    await relayed.over()
    assert (relayed.near_relay.sent, relayed.near_relay.received) == (5, 3)
    assert (relayed.far_relay.sent, relayed.far_relay.received) == (3, 5)
    relayed.close()


async def test_an_end_waits_for_what_is_still_held(peers: PeerMaker) -> None:
    """The server has said all and ended long before the slow application has read it."""
    relayed = await half_relayed(peers, buffers=TIGHT)
    said = payload(64 * KIB)
    relayed.send(said)
    relayed.end()
    await until(lambda: not relayed.relay.stream.remote_open, "the end received")
    assert relayed.relay.stream.unread > 0
    assert not relayed.relay.down_ended
    assert await relayed.app.hear_all() == Heard(said, "eof")
    relayed.app.close()
    assert await relayed.over() is None


async def test_an_application_that_says_and_leaves_at_once_is_heard(peers: PeerMaker) -> None:
    _, relayed = await relayed_pair(peers)
    said = payload(300 * KIB)
    taken = relayed.near.stuff(said)
    relayed.near.end()
    assert await relayed.far.hear_all() == Heard(said[:taken], "eof")
    relayed.close()
    await relayed.over()


# Resets -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "code"), [("near", ErrorCode.CONNECT_ERROR), ("far", ErrorCode.INTERNAL_ERROR)], ids=["client", "server"]
)
async def test_a_tcp_reset_is_a_stream_reset_is_a_tcp_reset(peers: PeerMaker, who: str, code: ErrorCode) -> None:
    """Downstream hears INTERNAL_ERROR, upstream CONNECT_ERROR."""
    _, relayed = await relayed_pair(peers)
    one, other = (relayed.near, relayed.far) if who == "near" else (relayed.far, relayed.near)
    one.reset()
    assert await other.hear_all() == Heard(b"", "reset")
    ends = await relayed.over()
    broke, told = ends if who == "near" else ends[::-1]
    assert isinstance(broke, ConnectionLost)
    assert isinstance(told, StreamReset)
    assert (told.code, told.by_peer) == (code, True)
    other.close()


@pytest.mark.parametrize("who", ["near", "far"])
async def test_a_reset_is_noticed_after_the_application_has_ended(peers: PeerMaker, who: str) -> None:
    _, relayed = await relayed_pair(peers)
    one, other = (relayed.near, relayed.far) if who == "near" else (relayed.far, relayed.near)
    one.end()
    assert await other.hear_all() == Heard(b"", "eof")
    one.reset()
    await relayed.over()
    # It wrote to nobody: RST reaches it as an error of its next call.
    with pytest.raises(ConnectionError):
        await say_twice(other)
    other.close()


async def test_a_reset_is_noticed_while_the_window_is_shut(peers: PeerMaker) -> None:
    relayed = await half_relayed(peers)
    await shut_window(relayed)
    relayed.app.reset()
    assert isinstance(await relayed.over(), ConnectionLost)
    await until(lambda: ("reset", ErrorCode.CONNECT_ERROR, True) in relayed.driver.told, "the server told")


async def test_a_reset_is_noticed_while_bytes_for_the_application_are_held(peers: PeerMaker) -> None:
    relayed = await half_relayed(peers, buffers=TIGHT)
    relayed.send(payload(64 * KIB))
    await until(lambda: relayed.relay.stream.unread, "bytes held")
    relayed.app.reset()
    assert isinstance(await relayed.over(), ConnectionLost)
    await until(lambda: ("reset", ErrorCode.CONNECT_ERROR, True) in relayed.driver.told, "the server told")


@pytest.mark.parametrize("code", [code for code in ErrorCode if code])
async def test_a_stream_reset_is_a_tcp_reset(peers: PeerMaker, code: ErrorCode) -> None:
    relayed = await half_relayed(peers)
    relayed.reset(code)
    assert await relayed.app.hear_all() == Heard(b"", "reset")
    error = await relayed.over()
    assert isinstance(error, StreamReset)
    assert (error.code, error.by_peer) == (code, True)
    relayed.app.close()


@pytest.mark.parametrize("lenient", [False, True])
async def test_no_error_before_the_end_is_a_reset_unless_lenient(peers: PeerMaker, lenient: bool) -> None:
    relayed = await half_relayed(peers, lenient=lenient)
    relayed.reset(ErrorCode.NO_ERROR)
    assert await relayed.app.hear_all() == Heard(b"", "eof" if lenient else "reset")
    relayed.app.close()
    error = await relayed.over()
    assert error is None if lenient else isinstance(error, StreamReset)


async def test_a_lost_connection_resets_both_applications(peers: PeerMaker) -> None:
    pair, relayed = await relayed_pair(peers)
    pair.server.abort(RuntimeError("the process is gone"))
    assert (await relayed.far.hear_all()).ended == "reset"
    assert (await relayed.near.hear_all()).ended == "reset"
    near, far = await relayed.over()
    assert isinstance(near, ConnectionLost)
    assert isinstance(far, ConnectionLost)
    relayed.close()


async def test_cut_resets_both_sides(peers: PeerMaker) -> None:
    _, relayed = await relayed_pair(peers)
    why = HboneError("no longer allowed")
    relayed.near_relay.cut(why, ErrorCode.CANCEL)
    relayed.near_relay.cut(why, ErrorCode.CANCEL)
    assert (await relayed.near.hear_all()).ended == "reset"
    assert (await relayed.far.hear_all()).ended == "reset"
    near, far = await relayed.over()
    assert near is why
    assert isinstance(far, StreamReset)
    assert far.code == ErrorCode.CANCEL
    relayed.close()


# RST_STREAM(NO_ERROR) after END_STREAM: Envoy's way to say that it does not want the rest ----------------------------


async def test_no_error_after_the_end_delivers_all_and_is_an_end(peers: PeerMaker) -> None:
    relayed = await half_relayed(peers, buffers=TIGHT)
    said = payload(64 * KIB)
    relayed.send(said)
    relayed.end()
    relayed.reset(ErrorCode.NO_ERROR)
    assert await relayed.app.hear_all() == Heard(said, "eof")
    relayed.app.close()
    assert await relayed.over() is None


async def test_nobody_wants_the_rest_but_its_writer_is_not_cut(peers: PeerMaker) -> None:
    """The application is in the middle of a large request when the answer and NO_ERROR come."""
    relayed = await half_relayed(peers, buffers=TIGHT)
    await shut_window(relayed)
    relayed.send(b"enough")
    relayed.end()
    relayed.reset(ErrorCode.NO_ERROR)
    await relayed.app.say(payload(512 * KIB))
    relayed.app.end()
    assert await relayed.app.hear_all() == Heard(b"enough", "eof")
    assert await relayed.over() is None
    relayed.app.close()


async def test_the_reset_may_come_long_after_the_end(peers: PeerMaker) -> None:
    relayed = await half_relayed(peers, buffers=TIGHT)
    await shut_window(relayed)
    relayed.end()
    await until(lambda: relayed.relay.down_ended, "the application told of the end")
    await turns()
    relayed.reset(ErrorCode.NO_ERROR)
    await relayed.app.say(payload(512 * KIB))
    relayed.app.end()
    assert await relayed.over() is None
    relayed.app.close()


async def test_an_application_that_writes_all_before_it_reads_is_not_stuck(peers: PeerMaker) -> None:
    relayed = await half_relayed(peers, buffers=TIGHT)
    await shut_window(relayed)
    said = payload(64 * KIB)
    relayed.send(said)
    relayed.end()
    relayed.reset(ErrorCode.NO_ERROR)
    await relayed.app.say(payload(512 * KIB))
    relayed.app.end()
    assert await relayed.app.hear_all() == Heard(said, "eof")
    assert await relayed.over() is None
    relayed.app.close()


async def test_an_application_that_never_stops_talking_is_left_alone_after_a_while(peers: PeerMaker) -> None:
    relayed = await half_relayed(peers)
    relayed.end()
    relayed.reset(ErrorCode.NO_ERROR)
    assert await relayed.app.hear_all() == Heard(b"", "eof")
    await turns()
    assert not relayed.ends
    clock_of(peers.near).advance(10)
    assert await relayed.over() is None
    relayed.app.close()


# Lenient: a reset is an end, as in the real ztunnel -----------------------------------------------------------------


@pytest.mark.parametrize("who", ["near", "far"])
async def test_leniently_a_tcp_reset_is_an_end_for_the_other_side(peers: PeerMaker, who: str) -> None:
    _, relayed = await relayed_pair(peers, lenient=True)
    one, other = (relayed.near, relayed.far) if who == "near" else (relayed.far, relayed.near)
    one.reset()
    assert await other.hear_all() == Heard(b"", "eof")
    other.end()
    await relayed.over()


async def test_leniently_a_broken_application_takes_no_more(peers: PeerMaker) -> None:
    """END_STREAM alone would let the other side fill the window for nobody."""
    relayed = await half_relayed(peers, lenient=True, buffers=TIGHT)
    relayed.send(payload(64 * KIB))
    await until(lambda: relayed.relay.stream.unread, "bytes held")
    relayed.app.reset()
    await relayed.over()
    await until(lambda: ("reset", ErrorCode.CANCEL, True) in relayed.driver.told, "the server told")
    assert relayed.driver.told[-2:] == ["ended", ("reset", ErrorCode.CANCEL, True)]


async def test_even_leniently_no_end_hides_missing_bytes(peers: PeerMaker) -> None:
    relayed = await half_relayed(peers, lenient=True, buffers=TIGHT)
    relayed.send(payload(64 * KIB))
    await until(lambda: relayed.relay.stream.unread, "bytes held")
    relayed.reset(ErrorCode.CANCEL)
    assert (await relayed.app.hear_all()).ended == "reset"
    assert isinstance(await relayed.over(), StreamReset)


@pytest.mark.parametrize("code", [ErrorCode.STREAM_CLOSED, ErrorCode.INTERNAL_ERROR, ErrorCode.CONNECT_ERROR])
async def test_even_leniently_other_codes_are_resets(peers: PeerMaker, code: ErrorCode) -> None:
    relayed = await half_relayed(peers, lenient=True)
    relayed.reset(code)
    assert (await relayed.app.hear_all()).ended == "reset"
    assert isinstance(await relayed.over(), StreamReset)


# Bytes --------------------------------------------------------------------------------------------------------------

FRAME_SIZES = {"16-KiB-frames": Http2Config(max_frame_size=16 * KIB), "1-MiB-frames": Http2Config()}
AROUND_FRAMES = [1, 16 * KIB - 1, 16 * KIB, 16 * KIB + 1, 48 * KIB + 5, 256 * KIB, 256 * KIB + 9, 700_001]


@pytest.mark.parametrize("config", list(FRAME_SIZES.values()), ids=list(FRAME_SIZES))
@pytest.mark.parametrize("buffers", [ROOMY, TIGHT, Buffers(256 * KIB, 64 * KIB)], ids=["roomy", "tight", "medium"])
async def test_every_byte_arrives_in_order_whatever_the_sizes(
    peers: PeerMaker, config: Http2Config, buffers: Buffers
) -> None:
    _, relayed = await relayed_pair(peers, client_config=config, server_config=config, buffers=buffers)
    sizes = AROUND_FRAMES if buffers != TIGHT else AROUND_FRAMES[:5]
    said = [payload(size, size) for size in sizes]

    async def say_all(app: App) -> None:
        for piece in said:
            await app.say(piece)
            await turns(3)  # let the relay find short reads too
        app.end()

    async with asyncio.TaskGroup() as group:
        group.create_task(say_all(relayed.near))
        group.create_task(say_all(relayed.far))
        heard = [group.create_task(app.hear_all()) for app in (relayed.near, relayed.far)]
    assert [task.result() for task in heard] == [Heard(b"".join(said), "eof")] * 2
    assert await relayed.over() == (None, None)


async def test_a_slow_reader_shuts_the_window_and_loses_nothing(peers: PeerMaker) -> None:
    _, relayed = await relayed_pair(
        peers, client_config=SMALL_WINDOWS, server_config=SMALL_WINDOWS, relay_buffers=TIGHT
    )
    said = payload(1024 * KIB)
    taken = 0
    while grown := relayed.near.stuff(memoryview(said)[taken:]) or not relayed.near_relay.stream.blocked:
        taken += grown
        await turns()
        assert peers.far.ledger.used <= SMALL_WINDOWS.stream_window
    assert peers.far.ledger.used == relayed.far_relay.stream.unread > 0
    assert taken < len(said)

    async def say_the_rest() -> None:
        await relayed.near.say(said[taken:])
        relayed.near.end()

    async with asyncio.TaskGroup() as group:
        group.create_task(say_the_rest())
        heard = group.create_task(relayed.far.hear_all())
    assert heard.result() == Heard(said, "eof")
    assert peers.far.ledger.used == 0
    relayed.far.end()
    await relayed.over()


async def test_what_is_held_is_given_a_piece_a_turn(peers: PeerMaker) -> None:
    """Megabytes wait for a reader that comes back: it has them in order, and its neighbour need not wait for all."""
    pair, slow = await relayed_pair(peers)
    neighbour = await pair.relayed()
    said = payload(16 * MIB)
    sent = 0
    while grown := slow.near.stuff(memoryview(said)[sent:]) or slow.far_relay.stream.unread < 4 * MIB:
        sent += grown
        await turns()
    await neighbour.near.say(b"and I?")
    taken = 0

    def is_given_a_piece() -> bool:
        nonlocal taken
        taken += slow.far.take()
        peers.far.short_pieces = SHORT_PIECES  # somebody says little
        return slow.far_relay._has_room

    await until(is_given_a_piece, "a piece given, and more to come")
    assert await neighbour.far.hear(6) == b"and I?"
    assert slow.far_relay.stream.unread

    async def say_the_rest() -> None:
        await slow.near.say(said[sent:])
        slow.near.end()

    async with asyncio.TaskGroup() as group:
        group.create_task(say_the_rest())
        rest = group.create_task(slow.far.hear_all())
    assert rest.result() == Heard(said[taken:], "eof")
    slow.far.end()
    await slow.over()
    neighbour.near_relay.cut(HboneError("enough"), ErrorCode.CANCEL)
    await neighbour.over()


async def test_an_unread_stream_does_not_stop_its_neighbour(peers: PeerMaker) -> None:
    pair, stuck = await relayed_pair(
        peers, client_config=SMALL_WINDOWS, server_config=SMALL_WINDOWS, relay_buffers=TIGHT
    )
    while stuck.near.stuff(payload(64 * KIB)) or not stuck.near_relay.stream.blocked:
        await turns()
    neighbour = await pair.relayed()
    said = payload(512 * KIB)

    async def say() -> None:
        await neighbour.near.say(said)

    async with asyncio.TaskGroup() as group:
        group.create_task(say())
        heard = group.create_task(neighbour.far.hear(len(said)))
    assert heard.result() == said
    stuck.far_relay.cut(HboneError("read by nobody"), ErrorCode.CANCEL)


async def flood(app: App, until_done: asyncio.Event) -> None:
    """Say something large again and again."""
    piece = payload(256 * KIB)
    while not until_done.is_set():
        app.stuff(piece)
        await asyncio.sleep(0)


async def drain(app: App, until_done: asyncio.Event) -> None:
    while not until_done.is_set():
        app.take()
        await asyncio.sleep(0)


@pytest.mark.parametrize("bottleneck", ["the loop", "the connection's window", "the tunnel's socket"])
async def test_small_talk_beside_bulk_is_heard(peers: PeerMaker, bottleneck: str) -> None:
    """One application floods; its neighbours on the same connection still get their turn at every bottleneck."""
    config = Http2Config()
    buffers = ROOMY
    if bottleneck == "the connection's window":
        config = Http2Config(stream_window=256 * KIB, connection_window=1024 * KIB)
    elif bottleneck == "the tunnel's socket":
        buffers = Buffers(32 * KIB, 32 * KIB)
    pair, *bulk = await relayed_pair(peers, client_config=config, server_config=config, buffers=buffers)
    bulk += [await pair.relayed() for _ in range(5)]
    small = [await pair.relayed() for _ in range(3)]
    done = asyncio.Event()

    async def talk(relayed: Relayed) -> None:
        for round_trip in range(20):
            words = b"round trip %d" % round_trip
            await relayed.near.say(words)
            assert await relayed.far.hear(len(words)) == words
            await relayed.far.say(words)
            assert await relayed.near.hear(len(words)) == words

    async with asyncio.TaskGroup() as group:
        for relayed in bulk:
            group.create_task(flood(relayed.near, done))
            group.create_task(drain(relayed.far, done))
        async with asyncio.TaskGroup() as talks:
            for relayed in small:
                talks.create_task(talk(relayed))
        done.set()
    shares = [relayed.far_relay.received for relayed in bulk]
    assert min(shares) * 20 > max(shares), shares
    for relayed in (*bulk, *small):
        relayed.near_relay.cut(HboneError("enough"), ErrorCode.CANCEL)
    await until(lambda: all(relayed.is_over for relayed in (*bulk, *small)), "all over")
