"""What a driver asks of a connection: open, accept, refuse, send, end."""

from __future__ import annotations

import pytest

from hbone_py.config import Http2Config
from hbone_py.connection import HboneConnection
from hbone_py.errors import ConnectionClosing, ErrorCode, LocalProtocolError, StreamEnded, TooManyStreams
from hbone_py.header_blocks import STATUS_200, literals
from tests.support.frames import (
    SETTINGS_ACK,
    block,
    connect,
    continuation,
    data,
    headers,
    headers_of,
    ok,
    rst,
    settings,
    split,
    window,
)
from tests.support.playbook import (
    SETTINGS_CAME,
    accepted,
    client,
    does,
    ended,
    fails,
    hears,
    holds,
    opens,
    play,
    reads,
    refused,
    reports,
    requested,
    says,
    server,
    then,
    tunnel,
    was_reset,
)


class TestOpening:
    def test_the_200_is_sent_only_when_we_say_so(self) -> None:
        play(
            server(),
            hears(connect(1, "10.1.0.2:8080", "baggage k8s.pod.name=a")),
            reports(requested(1, "10.1.0.2:8080", "baggage k8s.pod.name=a")),
            does("accept_tunnel", 1),
            says(ok(1)),
        )

    def test_the_200_may_carry_headers(self) -> None:
        play(
            server(),
            hears(connect(1)),
            reports(requested(1)),
            does("accept_tunnel", 1, STATUS_200 + literals([(b"baggage", b"k8s.pod.name=b")])),
            says(ok(1, "baggage k8s.pod.name=b")),
        )

    def test_a_client_opens_numbers_1_3_5(self) -> None:
        play(
            client(),
            opens(),
            opens("traceparent x"),
            opens(),
            says(connect(1), connect(3, "10.1.0.2:8080", "traceparent x"), connect(5)),
            hears(ok(5), ok(1, "baggage k8s.pod.name=b")),
            reports(accepted(5), accepted(1, "baggage k8s.pod.name=b")),
            then(lambda engine: engine.tunnels_opened == 3, "three were opened"),
        )

    def test_a_refused_tunnel_is_gone(self) -> None:
        play(
            client(),
            opens(),
            says(connect(1)),
            hears(headers(1, ":status 401", end=True)),
            says(rst(1, ErrorCode.CANCEL)),
            reports(refused(1, 401)),
            then(lambda engine: not engine.streams, "nothing is open"),
        )

    def test_a_refused_tunnel_whose_direction_had_ended_needs_no_reset(self) -> None:
        play(
            client(),
            opens(),
            does("end", 1),
            says(connect(1), data(1, end=True)),
            hears(headers(1, ":status 503", end=True)),
            reports(refused(1, 503)),
        )

    @pytest.mark.parametrize("status", [201, 204, 101, 302, 404, 503])
    def test_only_200_opens_a_tunnel(self, status: int) -> None:
        play(
            client(),
            opens(),
            says(connect(1)),
            hears(headers(1, f":status {status}"), data(1, b"a page")),
            says(rst(1, ErrorCode.CANCEL)),
            reports(refused(1, status)),
        )

    def test_interim_answers_are_passed_over(self) -> None:
        play(
            client(),
            opens(),
            says(connect(1)),
            hears(headers(1, ":status 100"), headers(1, ":status 103"), ok(1)),
            reports(accepted(1)),
        )

    def test_a_refusal_ends_a_client_that_still_talks_with_no_error(self) -> None:
        play(
            server(),
            hears(connect(1)),
            reports(requested(1)),
            does("reject_tunnel", 1, 503),
            says(headers(1, ":status 503", end=True), rst(1, ErrorCode.NO_ERROR)),
            hears(data(1, b"was under way")),
        )

    def test_a_refusal_of_a_client_that_has_ended_is_the_end(self) -> None:
        play(
            server(),
            hears(connect(1, end=True)),
            reports(requested(1), ended(1)),
            does("reject_tunnel", 1, 401),
            says(headers(1, ":status 401", end=True)),
        )

    def test_what_a_refused_client_sent_early_is_dropped(self) -> None:
        play(
            server(),
            hears(connect(1), data(1, b"early")),
            reports(requested(1)),
            holds(1, b"early"),
            does("reject_tunnel", 1, 400),
            holds(1, b""),
            says(headers(1, ":status 400", end=True), rst(1, ErrorCode.NO_ERROR)),
            then(lambda engine: engine.unread == engine.ledger.used == 0, "nothing is held"),
        )

    def test_answers_to_a_stream_that_died_meanwhile_are_not_sent(self) -> None:
        play(
            server(),
            hears(connect(1), connect(3)),
            reports(requested(1), requested(3)),
            hears(rst(1, ErrorCode.CANCEL), rst(3, ErrorCode.CANCEL)),
            reports(was_reset(1, ErrorCode.CANCEL), was_reset(3, ErrorCode.CANCEL)),
            does("accept_tunnel", 1),
            does("reject_tunnel", 3, 503),
        )

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [("accept_tunnel", (1,)), ("reject_tunnel", (1, 503))],
        ids=["accepted", "refused"],
    )
    def test_a_tunnel_is_answered_once(self, name: str, arguments: tuple[int, ...]) -> None:
        play(
            server(),
            hears(connect(1)),
            reports(requested(1)),
            does("accept_tunnel", 1),
            says(ok(1)),
            fails(LocalProtocolError, name, *arguments),
        )

    def test_only_a_server_answers_and_only_a_client_opens(self) -> None:
        play(client(), opens(), says(connect(1)), fails(LocalProtocolError, "accept_tunnel", 1))
        play(server(), fails(LocalProtocolError, "open_tunnel", b""))

    def test_the_server_says_nothing_before_its_answer(self) -> None:
        play(
            server(),
            hears(connect(1)),
            reports(requested(1)),
            fails(LocalProtocolError, "send", 1, b"too soon"),
            fails(LocalProtocolError, "end", 1),
        )


class TestRoom:
    def test_before_settings_a_client_assumes(self) -> None:
        engine = HboneConnection(client=True, config=Http2Config(assumed_peer_streams=2))
        engine.data_to_send()
        play(engine, opens(), opens(), says(connect(1), connect(3)), fails(TooManyStreams, "open_tunnel", b""))

    def test_the_peers_limit_holds_once_known_and_streams_freed_go_back(self) -> None:
        play(
            client(heard={3: 1}),
            opens(),
            says(connect(1)),
            fails(TooManyStreams, "open_tunnel", b""),
            hears(headers(1, ":status 503", end=True)),
            says(rst(1, ErrorCode.CANCEL)),
            reports(refused(1, 503)),
            opens(),
            says(connect(3)),
        )

    def test_a_peer_without_a_limit_has_none(self) -> None:
        assert client().room > 1_000_000

    def test_a_limit_below_what_is_open_closes_the_door_only(self) -> None:
        play(
            client(),
            opens(),
            opens(),
            says(connect(1), connect(3)),
            hears(settings({3: 0})),
            says(SETTINGS_ACK),
            reports(SETTINGS_CAME),
            fails(TooManyStreams, "open_tunnel", b""),
            hears(ok(1), ok(3)),
            reports(accepted(1), accepted(3)),
        )

    def test_stream_numbers_run_out(self) -> None:
        engine = client()
        engine._table.next_id = 2**31 - 1
        last = engine.open_tunnel(block(":method CONNECT"))
        assert last.stream_id == 2**31 - 1
        with pytest.raises(ConnectionClosing, match="takes no new tunnels"):
            engine.open_tunnel(block(":method CONNECT"))
        assert engine.room == 0


@pytest.mark.parametrize("role", ["client", "server"])
class TestHalfClose:
    """RFC 9113 section 5.1, either way round, on either side."""

    def test_we_end_first_and_still_hear(self, role: str) -> None:
        play(
            tunnel(role),
            does("send", 1, b"all", gives=3),
            does("end", 1),
            says(data(1, b"all"), data(1, end=True)),
            does("end", 1),
            fails(StreamEnded, "send", 1, b"more"),
            hears(data(1, b"answer")),
            reads(1, b"answer"),
            hears(data(1, end=True)),
            reports(ended(1)),
            then(lambda engine: not engine.streams, "it is over"),
        )

    def test_the_peer_ends_first_and_still_hears(self, role: str) -> None:
        play(
            tunnel(role),
            hears(data(1, b"all", end=True)),
            reports(ended(1)),
            reads(1, b"all"),
            does("send", 1, b"answer", gives=6),
            does("end", 1),
            says(data(1, b"answer"), data(1, end=True)),
            then(lambda engine: not engine.streams, "it is over"),
            does("end", 1),
            fails(StreamEnded, "send", 1, b"more"),
        )

    def test_trailers_are_an_end(self, role: str) -> None:
        play(
            tunnel(role),
            hears(data(1, b"x"), headers(1, "grpc-status 0", end=True)),
            reports(ended(1)),
            reads(1, b"x"),
        )

    def test_what_is_held_outlives_the_stream(self, role: str) -> None:
        play(
            tunnel(role),
            does("end", 1),
            says(data(1, end=True)),
            hears(data(1, b"the last words", end=True)),
            reports(ended(1)),
            holds(1, b"the last words"),
            then(lambda engine: not engine.streams, "the stream is over"),
            reads(1, b"the last words"),
            then(lambda engine: engine.unread == engine.ledger.used == 0, "all is read"),
        )

    def test_what_is_held_can_be_dropped_after_the_stream(self, role: str) -> None:
        play(
            tunnel(role),
            does("end", 1),
            says(data(1, end=True)),
            hears(data(1, b"the last words", end=True)),
            reports(ended(1)),
            does("reset", 1, ErrorCode.CANCEL),
            then(lambda engine: engine.unread == engine.ledger.used == 0, "nothing is held"),
        )


class TestEarly:
    def test_a_client_need_not_wait_for_the_answer(self) -> None:
        play(
            client(),
            opens(),
            does("send", 1, b"early", gives=5),
            does("end", 1),
            says(connect(1), data(1, b"early"), data(1, end=True)),
            hears(ok(1)),
            reports(accepted(1)),
        )

    def test_early_bytes_wait_for_the_reader(self) -> None:
        play(
            server(),
            hears(connect(1), data(1, b"early"), data(1, b" bird", end=True)),
            reports(requested(1), ended(1)),
            holds(1, b"early bird"),
            does("accept_tunnel", 1),
            says(ok(1)),
            reads(1, b"early bird"),
        )

    def test_end_stream_on_connect_is_a_client_that_only_listens(self) -> None:
        play(
            server(),
            hears(connect(1, end=True)),
            reports(requested(1), ended(1)),
            does("accept_tunnel", 1),
            does("send", 1, b"news", gives=4),
            does("end", 1),
            says(ok(1), data(1, b"news"), data(1, end=True)),
            then(lambda engine: not engine.streams, "it is over"),
        )

    def test_end_stream_on_the_200_is_a_server_that_only_listens(self) -> None:
        play(client(), opens(), says(connect(1)), hears(ok(1, end=True)), reports(accepted(1), ended(1)))


class TestSending:
    def test_a_long_piece_is_cut_to_the_peers_frame_size(self) -> None:
        engine = client(heard={5: 20_000})
        stream = engine.open_tunnel(connect(1).payload)
        engine.data_to_send()
        assert engine.send(stream, memoryview(bytes(50_000))) == 50_000
        assert [len(frame.payload) for frame in split(b"".join(engine.data_to_send()))] == [20_000, 20_000, 10_000]

    def test_nothing_to_send_is_nothing_sent(self) -> None:
        play(client(), opens(), says(connect(1)), does("send", 1, b"", gives=0))

    def test_a_driver_may_build_its_own_frames(self) -> None:
        play(
            client(),
            opens(),
            says(connect(1)),
            lambda player: player.engine.claim(player.streams[1], 3),
            does("queue_frame", bytes(data(1, b"abc"))),
            then(lambda engine: engine.queued_bytes == 12, "nine bytes and three"),
            does("sendable", 1, gives=65_532),
            then(lambda engine: engine.streams[1].send_window == engine.send_window == 65_532, "both windows shrank"),
            says(data(1, b"abc")),
        )

    def test_who_waits_for_window_tries_again_once_both_windows_are_open(self) -> None:
        play(
            client(),
            opens(),
            opens(),
            does("send", 1, bytes(65_535), gives=65_535),
            does("sendable", 1, gives=0),
            does("sendable", 3, gives=0),
            says(connect(1), connect(3), *[data(1, bytes(size)) for size in (16_384, 16_384, 16_384, 16_383)]),
            then(lambda engine: engine.unblocked() == [], "the connection's window is shut"),
            hears(window(0, 1)),
            then(lambda engine: engine.unblocked() == [engine.streams[3]], "the first stream's own window is shut"),
            hears(window(1, 1)),
            then(lambda engine: engine.unblocked() == [engine.streams[1]], "now both are open"),
            then(lambda engine: engine.unblocked() == [], "and nobody waits"),
            does("send", 3, b"x", gives=1),
            does("sendable", 3, gives=0),
            says(data(3, b"x")),
            hears(window(0, 1)),
            then(lambda engine: engine.unblocked() == [engine.streams[3]], "whoever waits again is told again"),
        )

    def test_a_block_above_the_peers_frame_size_goes_on_in_continuations(self) -> None:
        long = "x" * 40_000
        engine = client()
        engine.open_tunnel(connect(1, "10.1.0.2:8080", f"long {long}").payload)
        first, second, third = split(b"".join(engine.data_to_send()))
        whole = connect(1, "10.1.0.2:8080", f"long {long}").payload
        assert first == headers_of(1, whole[:16_384], last=False)
        assert second == continuation(1, whole[16_384:32_768], last=False)
        assert third == continuation(1, whole[32_768:])

    def test_a_smaller_table_is_acknowledged_at_the_next_block(self) -> None:
        """RFC 7541 section 4.2; we never use the table, so its size is zero from then on."""
        engine = client(heard={1: 0})
        engine.open_tunnel(block(":method CONNECT"))
        engine.open_tunnel(block(":method CONNECT"))
        first, second = split(b"".join(engine.data_to_send()))
        assert first.payload == b"\x20" + second.payload

    def test_a_larger_table_is_none_of_our_business(self) -> None:
        engine = client(heard={1: 65_536})
        engine.open_tunnel(block(":method CONNECT"))
        (only,) = split(b"".join(engine.data_to_send()))
        assert only.payload == block(":method CONNECT")
