"""DATA, from frames to sinks: what is taken, what is held, and the credit that goes back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from hbone_py.config import Http2Config
from hbone_py.errors import ErrorCode
from tests.support.frames import connect, data, headers, headers_of, ok, rst, window, wire
from tests.support.playbook import (
    accepted,
    client,
    does,
    end_code,
    ended,
    hears,
    holds,
    opens,
    over,
    play,
    reads,
    reports,
    requested,
    says,
    server,
    then,
    was_reset,
)

if TYPE_CHECKING:
    from hbone_py.connection import HboneConnection

SMALL = Http2Config(stream_window=100, connection_window=65_536)


def tunnel(config: Http2Config | None = None) -> HboneConnection:
    """A server with stream 1 requested."""
    return play(server(config), hears(connect(1)), reports(requested(1))).engine


class Sink:
    """Takes what it is offered, up to a limit; keeps copies."""

    def __init__(self, limit: int = 1 << 30) -> None:
        self.limit = limit
        self.calls: list[bytes] = []

    def __call__(self, pieces: list[memoryview], size: int) -> int:
        whole = b"".join(pieces)
        assert len(whole) == size
        taken = whole[: self.limit]
        self.calls.append(taken)
        return len(taken)


def _tell(told: list[tuple[int, bytes]], number: int, pieces: list[memoryview], size: int) -> int:
    told.append((number, b"".join(pieces)))
    return size


class TestSinks:
    def test_neighbouring_frames_of_a_stream_come_in_one_call(self) -> None:
        engine = tunnel()
        engine.streams[1].sink = sink = Sink()
        engine.receive_data(wire(data(1, b"one"), data(1, b"two"), data(1, b""), data(1, b"three", pad=4)))
        assert sink.calls == [b"onetwo", b"three"]

    def test_streams_are_told_apart_and_kept_in_order(self) -> None:
        engine = play(server(), hears(connect(1), connect(3)), reports(requested(1), requested(3))).engine
        told: list[tuple[int, bytes]] = []
        for stream in engine.streams.values():
            stream.sink = partial(_tell, told, stream.stream_id)
        engine.receive_data(wire(data(1, b"a"), data(3, b"b"), data(3, b"c"), data(1, b"d", end=True)))
        assert told == [(1, b"a"), (3, b"bc"), (1, b"d")]

    def test_what_a_sink_leaves_is_held_and_later_bytes_queue_behind(self) -> None:
        engine = tunnel()
        engine.streams[1].sink = sink = Sink(limit=2)
        play(
            engine,
            hears(data(1, b"abcd"), data(1, b"ef")),
            holds(1, b"cdef"),
            hears(data(1, b"gh")),
            holds(1, b"cdefgh"),
            reads(1, b"cdefgh"),
            hears(data(1, b"ij")),
            then(lambda _: sink.calls == [b"ab", b"ij"], "the sink is asked again once nothing is held"),
        )

    def test_a_sink_that_takes_nothing_leaves_all(self) -> None:
        engine = tunnel()
        engine.streams[1].sink = Sink(limit=0)
        play(
            engine,
            hears(data(1, b"abcd")),
            holds(1, b"abcd"),
        )

    def test_a_sink_may_reset_its_stream(self) -> None:
        engine = tunnel()
        stream = engine.streams[1]

        def take(pieces: list[memoryview], size: int) -> int:
            engine.reset(stream, ErrorCode.CONNECT_ERROR)
            return 1

        stream.sink = take
        play(engine, hears(data(1, b"abcd"), data(1, b"ef", end=True)), says(rst(1, ErrorCode.CONNECT_ERROR)))
        assert (engine.unread, engine.ledger.used) == (0, 0)
        assert engine._credit.window.owed == 6

    def test_a_sink_may_end_our_direction(self) -> None:
        engine = tunnel()
        stream = engine.streams[1]
        engine.accept_tunnel(stream)

        def take(pieces: list[memoryview], size: int) -> int:
            engine.end(stream)
            return 0

        stream.sink = take
        play(
            engine,
            says(ok(1)),
            hears(data(1, b"abcd")),
            says(data(1, end=True)),
            holds(1, b"abcd"),
        )


class TestCredit:
    def test_credit_returns_only_as_the_reader_consumes_and_in_large_steps(self) -> None:
        play(
            tunnel(SMALL),
            hears(data(1, b"x" * 100)),
            holds(1, b"x" * 100),
            reads(1, b"x" * 49),
            reads(1, b"x"),
            says(window(1, 50)),
            reads(1, b"x" * 50),
            says(window(1, 50)),
        )

    def test_the_connections_credit_is_counted_over_all_streams(self) -> None:
        engine = play(
            server(Http2Config(stream_window=16_384, connection_window=65_536)),
            hears(connect(1), connect(3)),
            reports(requested(1), requested(3)),
        ).engine
        for stream in engine.streams.values():
            stream.sink = Sink()
        play(
            engine,
            hears(data(1, bytes(16_000))),
            says(window(1, 16_000)),
            hears(data(3, bytes(16_384))),
            says(window(3, 16_384)),
            hears(data(1, bytes(384))),
            says(window(0, 32_768)),
        )

    def test_a_direction_that_ended_gets_no_more_credit(self) -> None:
        play(
            tunnel(SMALL),
            hears(data(1, b"x" * 100, end=True)),
            reports(ended(1)),
            reads(1, b"x" * 100),
        )

    def test_padding_counts_and_is_given_back_by_itself(self) -> None:
        """RFC 9113 section 6.9.1: all of the frame counts, also the padding and its length."""
        play(
            tunnel(SMALL),
            hears(data(1, b"x" * 10, pad=60)),
            says(window(1, 61)),
            holds(1, b"x" * 10),
            then(lambda engine: engine.streams[1].receive_window.left == 90, "ten are unread"),
        )

    def test_a_frame_of_padding_alone_may_end_a_stream(self) -> None:
        play(tunnel(), hears(data(1, b"", pad=9, end=True)), reports(ended(1)))

    def test_a_peer_that_exceeds_a_streams_window_is_cut_off(self) -> None:
        play(
            tunnel(SMALL),
            hears(data(1, b"x" * 100), data(1, b"x")),
            says_goaway(ErrorCode.FLOW_CONTROL_ERROR),
            reports(over(ErrorCode.FLOW_CONTROL_ERROR)),
            holds(1, b"x" * 100),
        )

    def test_a_peer_that_exceeds_the_connections_window_is_cut_off(self) -> None:
        config = Http2Config(stream_window=16_384, connection_window=65_536, max_frame_size=16_384)
        engine = server(config)
        numbers = range(1, 11, 2)
        engine.receive_data(wire(*map(connect, numbers)))
        engine.receive_data(wire(*[data(number, bytes(16_384)) for number in numbers]))
        assert (end_code(engine), engine.unread) == (ErrorCode.FLOW_CONTROL_ERROR, 65_536)

    @pytest.mark.parametrize("cut", [9, 10, 1000, 16_392], ids=lambda cut: f"after {cut} bytes")
    def test_a_frame_half_here_when_its_stream_dies_gives_all_of_its_window_back(self, cut: int) -> None:
        engine = tunnel(Http2Config(stream_window=16_384, connection_window=65_536))
        frame = bytes(data(1, bytes(16_384)))
        engine.receive_data(frame[:cut])
        engine.reset(engine.streams[1], ErrorCode.CANCEL)
        engine.receive_data(frame[cut:])
        window = engine._credit.window
        assert (window.left + window.owed, engine.unread) == (65_536, 0)

    def test_padding_for_a_stream_that_is_over_is_given_back_too(self) -> None:
        engine = tunnel()
        whole = engine._credit.window.left
        engine.reset(engine.streams[1], ErrorCode.CANCEL)
        engine.receive_data(wire(data(1, bytes(1000), pad=200)))
        window = engine._credit.window
        assert (window.left + window.owed, window.left) == (whole, whole - 1201)

    def test_data_for_a_stream_that_is_over_gives_its_window_back(self) -> None:
        config = Http2Config(stream_window=16_384, connection_window=65_536)
        engine = play(
            tunnel(config), lambda player: player.engine.reset(player.engine.streams[1], 8), says(rst(1, 8))
        ).engine
        play(engine, hears(data(1, bytes(16_384)), data(1, bytes(16_384))), says(window(0, 32_768)))


def read_at_once(engine: HboneConnection) -> Sink:
    """Give stream 1 a reader that takes everything; a frame that comes alone then goes straight to it."""
    engine.streams[1].sink = sink = Sink()
    return sink


class TestStraightToTheReader:
    """The common frame on its shortest way: what stands in its way elsewhere does so here."""

    def test_a_window_is_used_up_and_reopened(self) -> None:
        engine = tunnel(SMALL)
        sink = read_at_once(engine)
        play(
            engine,
            hears(data(1, b"x" * 49)),
            hears(data(1, b"y")),
            says(window(1, 50)),
            hears(data(1, b"z" * 100)),
            says(window(1, 100)),
        )
        assert (b"".join(sink.calls), end_code(engine)) == (b"x" * 49 + b"y" + b"z" * 100, None)

    def test_what_the_reader_took_of_a_frame_is_given_back_at_once_and_the_rest_when_it_is_read(self) -> None:
        engine = tunnel(SMALL)
        read_at_once(engine).limit = 60
        play(
            engine,
            hears(data(1, b"x" * 60 + b"y" * 40)),
            says(window(1, 60)),
            holds(1, b"y" * 40),
            reads(1, b"y" * 40),
            then(lambda engine: engine.streams[1].receive_window.owed == 40, "forty more are owed"),
        )

    @pytest.mark.parametrize("sizes", [(101,), (49, 52)], ids=str)
    def test_a_peer_that_exceeds_a_streams_window_is_cut_off(self, sizes: tuple[int, ...]) -> None:
        engine = tunnel(SMALL)
        sink = read_at_once(engine)
        for size in sizes:
            engine.receive_data(wire(data(1, bytes(size))))
        assert end_code(engine) == ErrorCode.FLOW_CONTROL_ERROR
        assert len(b"".join(sink.calls)) == sum(sizes[:-1])

    def test_a_peer_that_exceeds_the_connections_window_is_cut_off(self) -> None:
        engine = tunnel(Http2Config(stream_window=16_384, connection_window=65_536))
        sink = read_at_once(engine)
        for number in range(3, 11, 2):
            engine.receive_data(wire(connect(number)))
            engine.receive_data(wire(data(number, bytes(16_384))))
        engine.receive_data(wire(data(1, b"one too many")))
        assert (end_code(engine), sink.calls) == (ErrorCode.FLOW_CONTROL_ERROR, [])

    def test_a_window_may_be_filled_to_the_last_byte(self) -> None:
        engine = tunnel(SMALL)
        sink = read_at_once(engine)
        engine.receive_data(wire(data(1, b"x" * 100)))
        assert (end_code(engine), sink.calls) == (None, [b"x" * 100])

    def test_data_after_the_end_is_that_streams_fault(self) -> None:
        engine = tunnel()
        sink = read_at_once(engine)
        for frame in (data(1, b"last", end=True), data(1, b"x")):
            engine.receive_data(wire(frame))
        assert sink.calls == [b"last"]
        assert 1 not in engine.streams

    def test_a_declared_length_must_be_kept(self) -> None:
        engine = play(
            server(),
            hears(connect(1, "10.1.0.2:8080", "content-length 3")),
            reports(requested(1, "10.1.0.2:8080", "content-length 3")),
        ).engine
        sink = read_at_once(engine)
        play(
            engine,
            hears(data(1, b"ok")),
            hears(data(1, b"too much")),
            says(rst(1, ErrorCode.PROTOCOL_ERROR)),
            reports(was_reset(1, ErrorCode.PROTOCOL_ERROR, by_peer=False)),
        )
        assert sink.calls == [b"ok"]

    def test_data_in_the_middle_of_a_header_block_ends_the_connection(self) -> None:
        engine = tunnel()
        sink = read_at_once(engine)
        for frame in (headers_of(3, b"", last=False), data(1, b"x")):
            engine.receive_data(wire(frame))
        assert (end_code(engine), sink.calls) == (ErrorCode.PROTOCOL_ERROR, [])


def says_goaway(code: int):
    def step(player) -> None:
        said = player.next_said()
        assert said is not None
        assert int.from_bytes(said.payload[4:8]) == code

    return step


class TestFaults:
    def test_data_in_the_middle_of_a_header_block_ends_the_connection(self) -> None:
        """RFC 9113 section 6.10."""
        engine = tunnel()
        engine.receive_data(wire(headers_of(3, b"", last=False), data(1, b"x")))
        assert end_code(engine) == ErrorCode.PROTOCOL_ERROR

    def test_data_before_the_answer_is_that_streams_fault(self) -> None:
        """RFC 9113 section 8.1."""
        play(
            client(),
            opens(),
            opens(),
            says(connect(1), connect(3)),
            hears(data(1, b"x"), data(3, b"", end=True)),
            says(rst(1, ErrorCode.PROTOCOL_ERROR), rst(3, ErrorCode.PROTOCOL_ERROR)),
            reports(
                was_reset(1, ErrorCode.PROTOCOL_ERROR, by_peer=False),
                was_reset(3, ErrorCode.PROTOCOL_ERROR, by_peer=False),
            ),
            then(lambda engine: engine.unread == 0, "nothing is held"),
        )

    def test_a_declared_length_must_be_kept(self) -> None:
        """RFC 9113 section 8.1.1: too much and too little are the stream's fault, the right amount is none."""
        play(
            server(),
            hears(*[connect(number, "10.1.0.2:8080", "content-length 3") for number in (1, 3, 5)]),
            reports(*[requested(number, "10.1.0.2:8080", "content-length 3") for number in (1, 3, 5)]),
            hears(
                data(1, b"four", pad=3), data(3, b"no", pad=3, end=True), data(5, b"ok", pad=3), data(5, b"!", end=True)
            ),
            says(rst(1, ErrorCode.PROTOCOL_ERROR), rst(3, ErrorCode.PROTOCOL_ERROR)),
            reports(
                was_reset(1, ErrorCode.PROTOCOL_ERROR, by_peer=False),
                was_reset(3, ErrorCode.PROTOCOL_ERROR, by_peer=False),
                ended(5),
            ),
            holds(5, b"ok!"),
            then(lambda engine: engine.unread == 3, "nothing else is held"),
        )

    def test_trailers_before_the_declared_length_are_a_fault(self) -> None:
        play(
            server(),
            hears(connect(1, "10.1.0.2:8080", "content-length 3")),
            reports(requested(1, "10.1.0.2:8080", "content-length 3")),
            hears(headers(1, "x-t 1", end=True)),
            says(rst(1, ErrorCode.PROTOCOL_ERROR)),
            reports(was_reset(1, ErrorCode.PROTOCOL_ERROR, by_peer=False)),
        )

    def test_data_after_the_end_is_that_streams_fault(self) -> None:
        """RFC 9113 section 5.1, half-closed (remote)."""
        play(
            server(),
            hears(connect(1, end=True), connect(3)),
            reports(requested(1), ended(1), requested(3)),
            hears(data(1, b"x"), data(1, b"y")),
            says(rst(1, ErrorCode.STREAM_CLOSED)),
            reports(was_reset(1, ErrorCode.STREAM_CLOSED, by_peer=False)),
            does("accept_tunnel", 3),
            says(ok(3)),
        )

    def test_data_after_both_ends_is_answered_with_a_reset_and_no_event(self) -> None:
        play(
            client(),
            opens(),
            does("end", 1),
            says(connect(1), data(1, end=True)),
            hears(ok(1, end=True)),
            reports(accepted(1), ended(1)),
            hears(data(1, b"x"), data(1, b"y")),
            says(rst(1, ErrorCode.STREAM_CLOSED)),
        )


def test_bytes_before_a_fault_are_delivered() -> None:
    engine = tunnel()
    engine.streams[1].sink = sink = Sink()
    engine.receive_data(wire(data(1, b"sound"), data(5, b"on an idle stream")))
    assert sink.calls == [b"sound"]
    assert end_code(engine) is not None


def test_a_peer_that_sends_byte_by_byte_costs_no_more_memory() -> None:
    engine = tunnel()
    engine.receive_data(wire(*[data(1, bytes([number % 256])) for number in range(10_000)]))
    stream = engine.streams[1]
    assert stream.unread == 10_000
    assert len(stream.held) < 10


def test_empty_frames_cost_nothing() -> None:
    engine = tunnel()
    engine.receive_data(wire(data(1)) * 10_000)
    assert (engine.unread, len(engine.streams[1].held), engine.data_to_send()) == (0, 0, [])
