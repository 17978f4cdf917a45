"""How a connection ends, and its tunnels with it: reset, drain, close, and what a peer does wrong."""

from __future__ import annotations

import pytest

from hbone_py.connection import DRAIN_PING, HboneConnection
from hbone_py.errors import ConnectionClosing, ErrorCode, HboneError, LocalProtocolError, StreamEnded
from tests.support.frames import connect, data, goaway, headers, ok, ping, rst, window
from tests.support.playbook import (
    accepted,
    client,
    does,
    fails,
    going_away,
    hears,
    hears_eof,
    holds,
    opens,
    over,
    pinged,
    play,
    reads,
    reports,
    requested,
    says,
    server,
    then,
    tunnel,
    was_reset,
)


class TestResets:
    def test_ours_ends_both_directions_and_forgives_what_was_under_way(self) -> None:
        play(
            server(),
            hears(connect(1), data(1, b"unread")),
            reports(requested(1)),
            holds(1, b"unread"),
            does("accept_tunnel", 1),
            does("reset", 1, ErrorCode.CONNECT_ERROR),
            says(ok(1), rst(1, ErrorCode.CONNECT_ERROR)),
            holds(1, b""),
            does("reset", 1, ErrorCode.CONNECT_ERROR),
            does("end", 1),
            fails(StreamEnded, "send", 1, b"more"),
            hears(data(1, b"late"), window(1, 10), headers(1, "x-late 1", end=True), rst(1, ErrorCode.CANCEL)),
            then(lambda engine: engine.unread == engine.ledger.used == 0, "nothing is held"),
        )

    def test_a_client_may_reset_before_the_answer(self) -> None:
        play(
            client(),
            opens(),
            does("reset", 1, ErrorCode.CANCEL),
            says(connect(1), rst(1, ErrorCode.CANCEL)),
            hears(ok(1), data(1, b"late", end=True)),
        )

    def test_two_hundred_resets_at_once_are_all_forgiven(self) -> None:
        """A policy change cuts every tunnel; each peer's last frames are under way."""
        numbers = range(1, 400, 2)
        player = play(server(), hears(*map(connect, numbers)), reports(*map(requested, numbers)))
        for number in numbers:
            player.engine.reset(player.streams[number], ErrorCode.CANCEL)
        player.engine.data_to_send()
        play(
            player.engine,
            hears(*[headers(number, "x-late 1", end=True) for number in numbers]),
            hears(connect(401)),
            reports(requested(401)),
        )


class TestTheEnd:
    def test_a_drain_says_goaway_twice(self) -> None:
        """hbone-dataplane 1.8."""
        play(
            server(),
            hears(connect(1)),
            reports(requested(1)),
            does("drain"),
            says(goaway(2**31 - 1), ping(DRAIN_PING)),
            does("drain"),
            hears(connect(3)),
            reports(requested(3)),
            hears(ping(DRAIN_PING, ack=True)),
            says(goaway(3)),
            does("accept_tunnel", 1),
            does("accept_tunnel", 3),
            says(ok(1), ok(3)),
            hears(data(1, b"goes on")),
            reads(1, b"goes on"),
        )

    def test_after_the_second_goaway_a_tunnel_is_refused_for_another_try(self) -> None:
        play(
            server(),
            does("drain"),
            says(goaway(2**31 - 1), ping(DRAIN_PING)),
            hears(ping(DRAIN_PING, ack=True)),
            says(goaway(0)),
            hears(connect(1)),
            says(rst(1, ErrorCode.REFUSED_STREAM)),
            hears(data(1, b"was under way"), ping(DRAIN_PING, ack=True)),
        )

    def test_the_drains_ping_means_nothing_else(self) -> None:
        play(server(), hears(ping(DRAIN_PING, ack=True)), reports(pinged(DRAIN_PING)))

    def test_a_peers_goaway_closes_the_door_and_open_tunnels_go_on(self) -> None:
        play(
            client(),
            opens(),
            opens(),
            says(connect(1), connect(3)),
            hears(ok(1), ok(3), goaway(2**31 - 1), goaway(3, ErrorCode.NO_ERROR, b"bye")),
            reports(accepted(1), accepted(3), going_away(2**31 - 1), going_away(3, ErrorCode.NO_ERROR, b"bye")),
            fails(ConnectionClosing, "open_tunnel", b""),
            then(lambda engine: engine.room == 0, "no room"),
            does("send", 1, b"on", gives=2),
            says(data(1, b"on")),
            hears(data(3, b"and on")),
            reads(3, b"and on"),
        )

    def test_tunnels_above_the_last_one_may_be_tried_elsewhere(self) -> None:
        play(
            client(),
            opens(),
            opens(),
            opens(),
            says(connect(1), connect(3), connect(5)),
            hears(goaway(1, ErrorCode.NO_ERROR)),
            reports(
                going_away(1, ErrorCode.NO_ERROR),
                was_reset(3, ErrorCode.REFUSED_STREAM),
                was_reset(5, ErrorCode.REFUSED_STREAM),
            ),
            hears(ok(1)),
            reports(accepted(1)),
        )

    def test_a_clients_goaway_is_heard_and_its_tunnels_go_on(self) -> None:
        play(
            server(),
            hears(connect(1)),
            reports(requested(1)),
            hears(goaway(0)),
            reports(going_away(0)),
            does("accept_tunnel", 1),
            says(ok(1)),
        )

    def test_close_names_the_last_stream_and_hears_no_more(self) -> None:
        play(
            server(),
            hears(connect(7)),
            reports(requested(7)),
            does("close"),
            says(goaway(7)),
            reports(over(ErrorCode.NO_ERROR, by_peer=False)),
            does("close"),
            does("drain"),
            hears(connect(9)),
            hears_eof(),
        )

    def test_a_sink_may_close_the_connection_and_what_follows_is_not_heard(self) -> None:
        engine = tunnel("server")

        def take(pieces: list[memoryview], size: int) -> int:
            engine.close()
            return size

        engine.streams[1].sink = take
        play(
            engine,
            hears(data(1, b"x"), connect(3), ping()),
            says(goaway(1)),
            reports(over(ErrorCode.NO_ERROR, by_peer=False)),
        )

    def test_the_end_of_the_peers_bytes_is_an_end_without_words(self) -> None:
        play(
            client(),
            opens(),
            says(connect(1)),
            hears_eof(),
            reports(over(ErrorCode.NO_ERROR)),
            fails(ConnectionClosing, "open_tunnel", b""),
            hears_eof(),
        )

    def test_a_discarded_connection_holds_nothing(self) -> None:
        engine = play(
            server(), hears(connect(1), data(1, b"x" * 100)), reports(requested(1)), holds(1, b"x" * 100)
        ).engine
        engine.close()
        assert [stream.stream_id for stream in engine.abandon()] == [1]
        assert not engine.streams
        assert (engine.unread, engine.ledger.used, engine.data_to_send(), engine.ledger.withheld) == (0, 0, [], set())

    def test_a_ping_of_ours(self) -> None:
        play(server(), does("ping", b"12345678"), says(ping(b"12345678")))

    @pytest.mark.parametrize("words", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01"], ids=["HTTP/1.1", "TLS in TLS"])
    def test_what_is_no_http2_is_told_so(self, words: bytes) -> None:
        engine = HboneConnection(client=False)
        engine.data_to_send()
        play(
            engine,
            hears(words),
            says(goaway(0, ErrorCode.PROTOCOL_ERROR, b"not an HTTP/2 preface")),
            reports(over(ErrorCode.PROTOCOL_ERROR)),
        )


def test_every_error_of_ours_is_an_hbone_error() -> None:
    assert issubclass(LocalProtocolError, HboneError)
