"""Windows a peer sends into, and the budget of unread bytes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from hbone_py.config import Http2Config
from hbone_py.errors import ErrorCode
from hbone_py.flow import BULK_RUN, ReceiveWindow, UnreadLedger
from tests.support.frames import connect, data, ok, rst, window, wire
from tests.support.playbook import (
    Player,
    does,
    end_code,
    ended,
    hears,
    holds,
    play,
    reads,
    reports,
    requested,
    says,
    server,
    then,
)

if TYPE_CHECKING:
    from hbone_py.connection import HboneConnection

SMALL = Http2Config(stream_window=1000, connection_window=65_536)


def tunnel(ledger: UnreadLedger, *numbers: int) -> HboneConnection:
    engine = server(SMALL, ledger=ledger)
    return play(engine, hears(*map(connect, numbers)), reports(*map(requested, numbers))).engine


def fill(ledger: UnreadLedger, count: int) -> HboneConnection:
    """Another connection of the process, with `count` bytes unread."""
    return play(
        server(ledger=ledger), hears(connect(1), data(1, bytes(count))), reports(requested(1)), holds(1, bytes(count))
    ).engine


if TYPE_CHECKING:
    from hbone_py.streams import Stream


@pytest.mark.parametrize(("size", "step"), [(16_777_216, 8_388_608), (65_535, 32_767), (1, 1)])
def test_credit_is_announced_by_halves(size: int, step: int) -> None:
    mine = ReceiveWindow(size)
    assert (mine.left, mine.owed, mine.step) == (size, 0, step)
    mine.left, mine.owed = 0, size
    assert mine.announce() == size
    assert (mine.left, mine.owed) == (size, 0)


def _knows(number: int, stream: Stream, player: Player) -> None:
    """The stream has left the table; who reads it still has it."""
    player.streams[number] = stream


class TestLedger:
    def test_it_counts_what_every_connection_holds(self) -> None:
        ledger = UnreadLedger(10_000)
        first, second = fill(ledger, 300), fill(ledger, 400)
        assert (ledger.used, first.unread, second.unread) == (700, 300, 400)
        first.consumed(first.streams[1], 300)
        assert ledger.used == 400
        second.reset(second.streams[1], ErrorCode.CANCEL)
        assert ledger.used == 0

    def test_what_a_sink_takes_is_never_counted(self) -> None:
        ledger = UnreadLedger(10)
        engine = tunnel(ledger, 1)
        engine.streams[1].sink = lambda pieces, size: size
        play(engine, hears(data(1, bytes(500))), says(window(1, 500)))
        assert ledger.used == 0

    def test_near_the_limit_credit_is_withheld_and_returned_later(self) -> None:
        ledger = UnreadLedger(8000)
        other = fill(ledger, 6000)
        engine = tunnel(ledger, 1)
        play(engine, hears(data(1, b"x" * 1000)), holds(1, b"x" * 1000), reads(1, b"x" * 1000))
        assert ledger.is_near
        assert ledger.withheld == {engine}
        assert ledger.relieved() == []
        other.consumed(other.streams[1], 1)
        assert ledger.relieved() == [engine]
        assert ledger.relieved() == []
        engine.return_credit()
        play(engine, says(window(1, 1000)))

    def test_credit_withheld_from_a_connection_without_streams_comes_back(self) -> None:
        ledger = UnreadLedger(100_000)
        numbers = list(range(1, 131, 2))
        engine = server(SMALL, ledger=ledger)
        play(engine, hears(*map(connect, numbers)), reports(*map(requested, numbers)))
        other = fill(ledger, 80_000)
        for number in numbers[:40]:
            stream = engine.streams[number]
            play(
                engine,
                hears(data(number, b"x" * 1000, end=True)),
                reports(ended(number)),
                does("accept_tunnel", number),
                does("end", number),
                says(ok(number), data(number, end=True)),
                partial(_knows, number, stream),
                reads(number, b"x" * 1000),
            )
        for stream in list(engine.streams.values()):
            engine.reset(stream, ErrorCode.CANCEL)
        engine.data_to_send()
        other.consumed(other.streams[1], 80_000)
        assert ledger.relieved() == [engine]
        engine.return_credit()
        play(engine, says(window(0, 40_000)))

    def test_dropped_bytes_return_their_window_even_near_the_limit(self) -> None:
        """They take no memory any more."""
        ledger = UnreadLedger(100)
        fill(ledger, 90)
        engine = tunnel(ledger, *range(1, 81, 2))
        for number in range(1, 67, 2):
            engine.receive_data(wire(data(number, bytes(1000))))
            engine.reset(engine.streams[number], ErrorCode.CANCEL)
        assert bytes(window(0, 33_000)) in engine.data_to_send()

    def test_a_connection_that_ends_leaves_the_list(self) -> None:
        ledger = UnreadLedger(100)
        fill(ledger, 90)
        engine = tunnel(ledger, 1)
        play(engine, hears(data(1, b"x" * 1000)), holds(1, b"x" * 1000), reads(1, b"x" * 400))
        assert ledger.withheld == {engine}
        stream = engine.streams[1]
        engine.close()
        assert ledger.withheld == set()
        engine.consumed(stream, 600)
        assert ledger.withheld == set()
        assert ledger.used == 90

    def test_without_a_limit_nothing_is_ever_near(self) -> None:
        ledger = UnreadLedger()
        ledger.used = 1 << 60
        assert not ledger.is_near

    def test_the_greediest_stream_can_be_reset_and_its_neighbours_go_on(self) -> None:
        ledger = UnreadLedger(1500)
        play(
            tunnel(ledger, 1, 3),
            hears(data(1, b"x" * 1000), data(3, b"y" * 600)),
            holds(1, b"x" * 1000),
            holds(3, b"y" * 600),
            then(lambda engine: engine.ledger.used > engine.ledger.limit, "over the limit"),
            does("reset", 1, ErrorCode.ENHANCE_YOUR_CALM),
            says(rst(1, ErrorCode.ENHANCE_YOUR_CALM)),
            holds(1, b""),
            reads(3, b"y" * 600),
            says(window(3, 600)),
        )


def test_one_unread_stream_never_stops_its_neighbours() -> None:
    """The connection's window holds four full streams; three unread ones leave room for the fourth, over and over."""
    config = Http2Config(stream_window=16_384, connection_window=65_536, max_frame_size=16_384)
    engine = server(config)
    numbers = (1, 3, 5, 7)
    play(engine, hears(*map(connect, numbers)), reports(*map(requested, numbers)))
    for number in numbers[:3]:
        engine.receive_data(wire(data(number, bytes(16_384))))
    stream = engine.streams[7]
    connection = 65_536 - 3 * 16_384
    for _ in range(100):
        assert stream.receive_window.left >= 16_384
        assert connection >= 16_384, "the peer may send"
        engine.receive_data(wire(data(7, bytes(16_384))))
        connection -= 16_384
        engine.consumed(stream, 16_384)
        connection += sum(
            int.from_bytes(frame[9:13]) for frame in engine.data_to_send() if frame[:9] == bytes(window(0, 0))[:9]
        )
    assert end_code(engine) is None


def test_a_connection_is_crowded_when_a_fourth_stream_is_left_unread() -> None:
    config = Http2Config(stream_window=16_384, connection_window=65_536, max_frame_size=16_384)
    engine = server(config)
    numbers = (1, 3, 5, 7)
    play(engine, hears(*map(connect, numbers)), reports(*map(requested, numbers)))
    for number in numbers[:3]:
        engine.receive_data(wire(data(number, bytes(16_384))))
    told = [engine.is_crowded]
    engine.receive_data(wire(data(7, b"x")))
    told.append(engine.is_crowded)
    engine.consumed(engine.streams[7], 1)
    assert [*told, engine.is_crowded] == [False, True, False]


def test_a_peer_whose_window_is_used_up_is_crowded_until_it_gives_more() -> None:
    engine = server()
    play(engine, hears(connect(1)), reports(requested(1)))
    stream = engine.streams[1]
    engine.accept_tunnel(stream)
    assert engine.send(stream, bytes(100_000)) == 65_535
    told = [engine.is_crowded]
    engine.receive_data(wire(window(0, 1)))
    assert [*told, engine.is_crowded] == [True, False]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        pytest.param([BULK_RUN], True, id="one large"),
        pytest.param([BULK_RUN - 1], False, id="one small"),
        pytest.param([100] * 200, False, id="many small of one stream, each for itself"),
        pytest.param([100, BULK_RUN, 100], True, id="one large among small"),
    ],
)
def test_bulk_is_told_from_many_small_messages_once(sizes: list[int], expected: bool) -> None:
    engine = play(server(), hears(connect(1)), reports(requested(1))).engine
    for size in sizes:
        engine.receive_data(wire(data(1, bytes(size))))
    assert engine.saw_bulk() is expected
    assert not engine.saw_bulk()
