"""The opening bytes exactly (hbone-dataplane 1.2), and what h2 judges and answers for us."""

from __future__ import annotations

import pytest

from hbone_py import control
from hbone_py.config import Http2Config
from hbone_py.connection import HboneConnection
from hbone_py.errors import ErrorCode
from tests.support.frames import (
    GOAWAY,
    PING,
    PREFACE,
    PRIORITY,
    SETTINGS,
    SETTINGS_ACK,
    Frame,
    goaway,
    ping,
    settings,
    split,
    wire,
)
from tests.support.playbook import SETTINGS_CAME, client, end_code, hears, over, pinged, play, reports, says, server


def test_a_client_opens_with_these_bytes_and_no_others() -> None:
    assert b"".join(HboneConnection(client=True).data_to_send()) == PREFACE + bytes.fromhex(
        "000018 04 00 00000000"
        "0002 00000000"  # ENABLE_PUSH 0
        "0004 01000000"  # INITIAL_WINDOW_SIZE 16 MiB
        "0005 00100000"  # MAX_FRAME_SIZE 1 MiB
        "0006 00004000"  # MAX_HEADER_LIST_SIZE 16 KiB
        "000004 08 00 00000000 03ff0001"  # the connection window up to 64 MiB
    )


def test_a_server_opens_with_these_bytes_before_it_has_heard_anything() -> None:
    assert b"".join(HboneConnection(client=False).data_to_send()) == bytes.fromhex(
        "000018 04 00 00000000"
        "0003 000000c8"  # MAX_CONCURRENT_STREAMS 200
        "0004 01000000"
        "0005 00100000"
        "0006 00010000"  # MAX_HEADER_LIST_SIZE 64 KiB
        "000004 08 00 00000000 03ff0001"
    )


def test_the_windows_are_the_configured_ones() -> None:
    config = Http2Config(stream_window=4_194_304, connection_window=16_777_216, max_frame_size=16_384)
    opening = b"".join(HboneConnection(client=False, config=config).data_to_send())
    assert bytes.fromhex("0004 00400000 0005 00004000") in opening
    assert opening.endswith(bytes.fromhex("00000408000000000000ff0001"))


def test_settings_are_acknowledged_and_reported_each_time() -> None:
    play(
        server(),
        hears(settings({4: 1000})),
        says(SETTINGS_ACK),
        reports(SETTINGS_CAME),
        hears(settings(), settings()),
        says(SETTINGS_ACK, SETTINGS_ACK),
        reports(SETTINGS_CAME, SETTINGS_CAME),
        hears(SETTINGS_ACK),
    )


def test_pings_are_answered_with_their_own_bytes() -> None:
    play(
        client(),
        hears(ping(b"abcdefgh"), ping(b"ijklmnop")),
        says(ping(b"abcdefgh", ack=True), ping(b"ijklmnop", ack=True)),
    )


def test_an_answer_to_our_ping_is_reported() -> None:
    play(server(), hears(ping(b"abcdefgh", ack=True)), reports(pinged(b"abcdefgh")))


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        pytest.param(Frame(SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR, id="6.5: SETTINGS on a stream"),
        pytest.param(Frame(SETTINGS, 0, 0, b"12345"), ErrorCode.FRAME_SIZE_ERROR, id="6.5: not a multiple of six"),
        pytest.param(
            Frame(SETTINGS, 1, 0, b"123456"), ErrorCode.FRAME_SIZE_ERROR, id="6.5: an acknowledgement with payload"
        ),
        pytest.param(settings({2: 2}), ErrorCode.PROTOCOL_ERROR, id="6.5.2: ENABLE_PUSH 2"),
        pytest.param(settings({4: 2**31}), ErrorCode.FLOW_CONTROL_ERROR, id="6.5.2: INITIAL_WINDOW_SIZE 2^31"),
        pytest.param(settings({5: 16_383}), ErrorCode.PROTOCOL_ERROR, id="6.5.2: MAX_FRAME_SIZE too small"),
        pytest.param(settings({5: 2**24}), ErrorCode.PROTOCOL_ERROR, id="6.5.2: MAX_FRAME_SIZE too large"),
        pytest.param(Frame(PING, 0, 1, b"12345678"), ErrorCode.PROTOCOL_ERROR, id="6.7: PING on a stream"),
        pytest.param(Frame(PING, 0, 0, b"1234567"), ErrorCode.FRAME_SIZE_ERROR, id="6.7: PING of seven bytes"),
        pytest.param(Frame(PRIORITY, 0, 0, b"12345"), ErrorCode.PROTOCOL_ERROR, id="6.3: PRIORITY on stream 0"),
    ],
)
def test_what_h2_refuses_ends_the_connection_with_its_code(frame: Frame, code: int) -> None:
    engine = server()
    engine.receive_data(bytes(frame))
    (last_words,) = split(b"".join(engine.data_to_send()))
    assert last_words.kind == GOAWAY
    assert last_words.payload[:8] == goaway(0, code).payload
    assert end_code(engine) == code


def test_unknown_settings_are_no_matter() -> None:
    play(client(), hears(settings({0xFFFF: 7, 8: 1})), says(SETTINGS_ACK), reports(SETTINGS_CAME))


@pytest.mark.parametrize("first", [ping(), SETTINGS_ACK, goaway(0)], ids=["PING", "an acknowledgement", "GOAWAY"])
def test_the_first_frame_must_be_settings(first: Frame) -> None:
    """RFC 9113 section 3.4."""
    engine = HboneConnection(client=False)
    engine.data_to_send()
    engine.receive_data(wire(PREFACE, first))
    assert end_code(engine) == ErrorCode.PROTOCOL_ERROR


def test_a_fault_is_told_to_the_peer_with_a_reason() -> None:
    play(
        server(),
        hears(ping(b"short")),
        says(goaway(0, ErrorCode.FRAME_SIZE_ERROR, b"Frame data missing or invalid")),
        reports(over(ErrorCode.FRAME_SIZE_ERROR)),
        hears(ping()),
    )


def test_a_judge_that_has_ended_a_connection_judges_the_others_as_before() -> None:
    """One h2 connection stands behind all of ours, and hears nothing more once it was to end."""
    server().receive_data(bytes(ping(b"short")))
    play(server(), hears(ping(b"abcdefgh")), says(ping(b"abcdefgh", ack=True)))


def test_settings_of_any_length_are_understood_and_long_ones_not_remembered() -> None:
    """A peer chooses how long its frames are, and not how much memory they take."""
    kept = control._remembered.cache_info().currsize
    many = settings({0x1000 + number: number for number in range(1000)} | {4: 1000})
    play(client(), hears(many), says(SETTINGS_ACK), reports(SETTINGS_CAME))
    assert control._remembered.cache_info().currsize == kept
    for number in range(1000):
        assert control.judge(True, PING, 0, 0, b"%08d" % number).answer == bytes(ping(b"%08d" % number, ack=True))
    assert control._remembered.cache_info().currsize == 256


def test_what_one_connection_was_told_is_no_other_ones_matter() -> None:
    one, another = client(), client()
    play(one, hears(settings({3: 1, 4: 1000})), says(SETTINGS_ACK), reports(SETTINGS_CAME))
    play(another, hears(settings({})), says(SETTINGS_ACK), reports(SETTINGS_CAME))
    play(one, hears(settings({4: 2000})), says(SETTINGS_ACK), reports(SETTINGS_CAME))
    assert (one.peer_max_streams, another.peer_max_streams) == (1, 2**31 - 1)
