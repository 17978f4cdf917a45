"""What a peer's frames do: windows, resets, GOAWAY, PRIORITY, and what ends the connection."""

from __future__ import annotations

import pytest

from hbone_py.connection import HboneConnection
from hbone_py.errors import ErrorCode
from tests.support.frames import (
    GOAWAY,
    HAS_PRIORITY,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS_ACK,
    WINDOW_UPDATE,
    Frame,
    block,
    connect,
    continuation,
    data,
    goaway,
    headers,
    headers_of,
    ok,
    ping,
    priority,
    rst,
    settings,
    window,
    wire,
)
from tests.support.playbook import (
    SETTINGS_CAME,
    Player,
    accepted,
    client,
    does,
    end_code,
    ended,
    hears,
    opens,
    over,
    play,
    reports,
    requested,
    says,
    server,
    then,
    was_reset,
)

MAX = 2**31 - 1


class TestWindows:
    def test_both_windows_bound_what_is_sent(self) -> None:
        play(
            client(),
            opens(),
            opens(),
            says(connect(1), connect(3)),
            does("send", 1, bytes(70_000), gives=65_535),
            says(*[data(1, bytes(16_384))] * 3, data(1, bytes(16_383))),
            does("send", 3, b"none is left", gives=0),
            hears(window(0, 5)),
            does("send", 1, b"its own is shut", gives=0),
            does("send", 3, b"five bytes", gives=5),
            says(data(3, b"five ")),
            hears(window(0, 100), window(1, 7)),
            does("send", 1, b"seven bytes", gives=7),
            says(data(1, b"seven b")),
        )

    def test_a_smaller_initial_window_makes_windows_negative(self) -> None:
        """RFC 9113 section 6.9.2: the sender must wait until they are positive again."""
        play(
            client(heard={4: 10}),
            opens(),
            does("send", 1, b"12345678", gives=8),
            says(connect(1), data(1, b"12345678")),
            hears(settings({4: 3})),
            says(SETTINGS_ACK),
            reports(SETTINGS_CAME),
            does("send", 1, b"x", gives=0),
            then(lambda engine: engine.streams[1].send_window == -5, "ten less seven, eight of them sent"),
            hears(window(1, 5)),
            does("send", 1, b"x", gives=0),
            hears(window(1, 1)),
            does("send", 1, b"xyz", gives=1),
            says(data(1, b"x")),
            hears(settings({4: 5})),
            says(SETTINGS_ACK),
            reports(SETTINGS_CAME),
            does("send", 1, b"xyz", gives=2),
            says(data(1, b"xy")),
        )

    def test_a_new_initial_window_holds_for_later_streams_and_not_for_the_connection(self) -> None:
        play(
            client(),
            hears(settings({4: 100_000})),
            says(SETTINGS_ACK),
            reports(SETTINGS_CAME),
            opens(),
            does("sendable", 1, gives=65_535),
            says(connect(1)),
            then(lambda engine: engine.streams[1].send_window == 100_000, "the stream's own window"),
        )

    def test_the_blocked_hear_of_it_in_turn(self) -> None:
        player = play(client(), *[opens()] * 3, says(connect(1), connect(3), connect(5)))
        engine, (first, second, third) = player.engine, player.streams.values()
        assert engine.send(first, bytes(65_535)) == 65_535
        assert [engine.sendable(stream) for stream in (third, second, third)] == [0, 0, 0]
        assert engine.blocked
        assert engine.unblocked() == []
        engine.receive_data(wire(window(0, 10)))
        assert engine.unblocked() == [third, second]
        assert engine.unblocked() == []
        assert engine.sendable(first) == 0
        engine.receive_data(wire(window(1, 10)))
        assert engine.unblocked() == [first]

    def test_who_dies_while_blocked_is_forgotten(self) -> None:
        """A peer that opens and resets streams behind a shut window must not fill a list."""
        player = play(client(), opens(), opens(), says(connect(1), connect(3)))
        engine = player.engine
        engine.send(player.streams[1], bytes(65_535))
        assert engine.sendable(player.streams[3]) == 0
        engine.receive_data(wire(rst(3, 8)))
        assert not engine.blocked

    def test_an_update_for_a_stream_that_is_over_is_late_and_no_fault(self) -> None:
        play(
            client(),
            opens(),
            says(connect(1)),
            hears(rst(1, 8)),
            reports(was_reset(1, 8)),
            hears(window(1, 5), rst(1, 8)),
        )

    def test_a_window_of_one_stream_that_overflows_is_that_streams_fault(self) -> None:
        play(
            client(),
            opens(),
            opens(),
            says(connect(1), connect(3)),
            hears(window(1, MAX)),
            says(rst(1, ErrorCode.FLOW_CONTROL_ERROR)),
            reports(was_reset(1, ErrorCode.FLOW_CONTROL_ERROR, by_peer=False)),
            hears(ok(3)),
            reports(accepted(3)),
        )

    def test_an_update_of_nothing_is_that_streams_fault(self) -> None:
        play(
            client(),
            opens(),
            opens(),
            says(connect(1), connect(3)),
            hears(window(1, 0)),
            says(rst(1, ErrorCode.PROTOCOL_ERROR)),
            reports(was_reset(1, ErrorCode.PROTOCOL_ERROR, by_peer=False)),
            hears(ok(3)),
            reports(accepted(3)),
        )

    def test_the_reserved_bits_are_not_looked_at(self) -> None:
        play(
            client(),
            opens(),
            says(connect(1)),
            hears(Frame(WINDOW_UPDATE, 0, 1 | 1 << 31, (2**31 + 1).to_bytes(4))),
            then(lambda engine: engine.streams[1].send_window == 65_536, "one more"),
        )


class TestResets:
    @pytest.mark.parametrize("code", [*ErrorCode, 0x77], ids=lambda code: getattr(code, "name", "unknown"))
    def test_the_code_is_told_as_it_came(self, code: int) -> None:
        play(
            client(),
            opens(),
            says(connect(1)),
            hears(ok(1), data(1, b"unread"), rst(1, code)),
            reports(accepted(1), was_reset(1, code)),
            then(lambda engine: not engine.streams and not engine.unread, "the stream and its bytes are gone"),
        )

    def test_no_error_after_the_end_is_the_end_and_loses_nothing(self) -> None:
        """Envoy's server does so when its application ends first."""
        play(
            client(),
            opens(),
            says(connect(1)),
            hears(ok(1), data(1, b"all of it", end=True), rst(1, ErrorCode.NO_ERROR)),
            reports(accepted(1), ended(1), was_reset(1, ErrorCode.NO_ERROR, after_end=True)),
            _reads_after_the_stream(1, b"all of it"),
            does("end", 1),
        )

    def test_another_code_after_the_end_drops_what_is_unread(self) -> None:
        play(
            client(),
            opens(),
            says(connect(1)),
            hears(ok(1), data(1, b"all of it", end=True), rst(1, ErrorCode.CANCEL)),
            reports(accepted(1), ended(1), was_reset(1, ErrorCode.CANCEL, after_end=True)),
            then(lambda engine: engine.unread == engine.ledger.used == 0, "nothing is held"),
        )


def _reads_after_the_stream(stream_id: int, expected: bytes):
    def step(player: Player) -> None:
        stream = player.streams[stream_id]
        assert b"".join(map(bytes, stream.held)) == expected
        player.engine.consumed(stream, len(expected))
        assert player.engine.unread == player.engine.ledger.used == 0

    return step


class TestPriority:
    def test_it_is_looked_at_and_not_followed(self) -> None:
        """RFC 9113 section 5.3.2; also on idle streams, and whatever it depends on."""
        play(server(), hears(priority(1), priority(9, 9), connect(1), priority(1, 1)), reports(requested(1)))

    def test_priority_fields_of_headers_are_skipped(self) -> None:
        asked = connect(1)
        fields = (1).to_bytes(4) + b"\x0f"
        play(
            server(),
            hears(asked._replace(flags=asked.flags | HAS_PRIORITY, payload=fields + asked.payload)),
            reports(requested(1)),
        )

    def test_a_wrong_length_is_that_streams_fault(self) -> None:
        play(
            server(),
            hears(connect(1), connect(3), Frame(PRIORITY, 0, 1, b"1234")),
            says(rst(1, ErrorCode.FRAME_SIZE_ERROR)),
            reports(requested(1), requested(3), was_reset(1, ErrorCode.FRAME_SIZE_ERROR, by_peer=False)),
        )


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        pytest.param(window(0, 0), ErrorCode.PROTOCOL_ERROR, id="6.9: an update of nothing for the connection"),
        pytest.param(window(0, MAX), ErrorCode.FLOW_CONTROL_ERROR, id="6.9.1: the connection's window overflows"),
        pytest.param(window(5, 1), ErrorCode.PROTOCOL_ERROR, id="5.1: WINDOW_UPDATE on an idle stream"),
        pytest.param(
            Frame(WINDOW_UPDATE, 0, 0, b"123"), ErrorCode.FRAME_SIZE_ERROR, id="6.9: WINDOW_UPDATE of three bytes"
        ),
        pytest.param(rst(0, 8), ErrorCode.PROTOCOL_ERROR, id="6.4: RST_STREAM on stream 0"),
        pytest.param(rst(5, 8), ErrorCode.PROTOCOL_ERROR, id="6.4: RST_STREAM on an idle stream"),
        pytest.param(Frame(RST_STREAM, 0, 1, b"12345"), ErrorCode.FRAME_SIZE_ERROR, id="6.4: RST_STREAM of five bytes"),
        pytest.param(goaway(0)._replace(stream_id=1), ErrorCode.PROTOCOL_ERROR, id="6.8: GOAWAY on a stream"),
        pytest.param(Frame(GOAWAY, 0, 0, b"1234567"), ErrorCode.FRAME_SIZE_ERROR, id="6.8: GOAWAY of seven bytes"),
        pytest.param(
            Frame(PRIORITY, 0, 5, b"1234"), ErrorCode.FRAME_SIZE_ERROR, id="6.3: PRIORITY of four bytes, idle"
        ),
        pytest.param(Frame(PUSH_PROMISE, 4, 1, b"\0\0\0\2"), ErrorCode.PROTOCOL_ERROR, id="8.4: PUSH_PROMISE"),
        pytest.param(continuation(1), ErrorCode.PROTOCOL_ERROR, id="6.10: CONTINUATION without HEADERS"),
        pytest.param(headers(0, ":method CONNECT"), ErrorCode.PROTOCOL_ERROR, id="6.2: HEADERS on stream 0"),
        pytest.param(headers_of(0, b"", last=False), ErrorCode.PROTOCOL_ERROR, id="6.2: the same, not whole yet"),
        pytest.param(data(0, b"x"), ErrorCode.PROTOCOL_ERROR, id="6.1: DATA on stream 0"),
        pytest.param(data(5, b"x"), ErrorCode.PROTOCOL_ERROR, id="5.1: DATA on an idle stream"),
        pytest.param(connect(2), ErrorCode.PROTOCOL_ERROR, id="5.1.1: an even number from a client"),
        pytest.param(headers(4, ":status 200"), ErrorCode.PROTOCOL_ERROR, id="5.1.1: an even number"),
    ],
)
@pytest.mark.parametrize("role", ["client", "server"])
def test_what_ends_the_connection(role: str, frame: Frame, code: int) -> None:
    if role == "client":
        engine = play(client(), opens(), says(connect(1))).engine
    else:
        engine = play(server(), hears(connect(1)), reports(requested(1))).engine
    engine.receive_data(bytes(frame))
    assert end_code(engine) == code


def test_frames_of_types_nobody_knows_are_passed_over() -> None:
    """RFC 9113 section 4.1. ALTSVC (0xa), ORIGIN (0xc) and PRIORITY_UPDATE (0x10) among them."""
    unknown = [Frame(kind, 0xFF, 0, b"whatever") for kind in (0xA, 0xC, 0x10, 0xFF)]
    play(server(), hears(*unknown, connect(1)), reports(requested(1)))


def test_the_preface_may_come_byte_by_byte() -> None:
    engine = HboneConnection(client=False)
    engine.data_to_send()
    for byte in wire(PREFACE, settings()):
        engine.receive_data(bytes([byte]))
    play(engine, says(SETTINGS_ACK), reports(SETTINGS_CAME), hears(connect(1)), reports(requested(1)))


def test_a_wrong_preface_is_seen_at_its_first_wrong_byte() -> None:
    engine = HboneConnection(client=False)
    engine.receive_data(PREFACE[:10])
    assert end_code(engine) is None
    engine.receive_data(b"X")
    assert end_code(engine) is not None


def test_the_reason_of_a_fault_is_short() -> None:
    player = play(server(), hears(block("x")), then(lambda engine: not engine.ended, "not yet a frame"))
    player.engine.fail(ErrorCode.INTERNAL_ERROR, "é" * 100)
    player.engine.fail(ErrorCode.PROTOCOL_ERROR, "it is over already")
    play(
        player.engine,
        says(goaway(0, ErrorCode.INTERNAL_ERROR, "é".encode() * 32)),
        reports(over(ErrorCode.INTERNAL_ERROR)),
        hears(ping()),
    )
