"""Every state of a stream and every input (RFC 9113 section 5.1), and the floods that end a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from hbone_py.config import Http2Config
from hbone_py.errors import ErrorCode, HboneError, LocalProtocolError, StreamEnded
from tests.support.frames import Frame, connect, data, goaway, headers, ok, priority, rst, settings, split, window, wire
from tests.support.playbook import client, end_code, hears, opens, play, reports, requested, says, server, was_reset

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.connection import HboneConnection
    from hbone_py.streams import Stream

# States -------------------------------------------------------------------------------------------------------------
#
# A stream of ours is asked (requested, not answered), open, half-closed either way, or gone; "asked, ended" is a
# request whose client has ended already. What is gone went in peace, by our reset, or by the peer's.

IN_PEACE, RESET_BY_US, RESET_BY_PEER, DEAD = "gone in peace", "reset by us", "reset by the peer", "connection over"
IDLE, ASKED, ASKED_ENDED = "idle", "asked", "asked, ended"
OPEN, LOCAL, REMOTE = "open", "half-closed (local)", "half-closed (remote)"


def _server(*heard: Frame) -> HboneConnection:
    engine = server()
    engine.receive_data(wire(*heard))
    return engine


def _accept(engine: HboneConnection) -> Stream:
    stream = engine.streams[1]
    engine.accept_tunnel(stream)
    return stream


def _made(state: str) -> tuple[HboneConnection, Stream | None]:
    """A server whose stream 1 is in `state`; stream 3 is open beside it, but for `idle`."""
    if state == IDLE:
        return _server(), None
    engine = _server(connect(1, end=state in (ASKED_ENDED, REMOTE)), connect(3))
    stream = engine.streams[1]
    if state in (OPEN, LOCAL, REMOTE, IN_PEACE):
        _accept(engine)
    if state in (LOCAL, IN_PEACE):
        engine.end(stream)
    if state == IN_PEACE:
        engine.receive_data(wire(data(1, end=True)))
    if state == RESET_BY_US:
        engine.reset(stream, ErrorCode.CANCEL)
    if state == RESET_BY_PEER:
        engine.receive_data(wire(rst(1, ErrorCode.CANCEL)))
    engine.data_to_send()
    engine.events()
    assert _state(engine, stream) in (state, "gone")
    return engine, stream


def _state(engine: HboneConnection, stream: Stream | None) -> str:
    if engine.ended:
        return DEAD
    if stream is None:
        stream = engine.streams.get(1)
    if stream is None:
        return IDLE
    if stream.stream_id not in engine.streams:
        assert not stream.local_open
        assert not stream.remote_open
        return "gone"
    if not stream.answered:
        return ASKED if stream.remote_open else ASKED_ENDED
    if stream.local_open:
        return OPEN if stream.remote_open else REMOTE
    return LOCAL


INPUTS: dict[str, Frame] = {
    "CONNECT": connect(1),
    "trailers": headers(1, "x-t 1", end=True),
    "DATA": data(1, b"x"),
    "DATA, end": data(1, b"x", end=True),
    "RST_STREAM": rst(1, ErrorCode.CANCEL),
    "WINDOW_UPDATE": window(1, 1),
    "PRIORITY": priority(1),
}

CALLS: dict[str, Callable[[HboneConnection, Stream], object]] = {
    "accept": lambda engine, stream: engine.accept_tunnel(stream),
    "reject": lambda engine, stream: engine.reject_tunnel(stream, 503),
    "send": lambda engine, stream: engine.send(stream, b"x"),
    "end": lambda engine, stream: engine.end(stream),
    "reset": lambda engine, stream: engine.reset(stream, ErrorCode.CANCEL),
}


class Heard(NamedTuple):
    """What becomes of a frame: the state after it, and the code of the reset or GOAWAY it is answered with."""

    state: str
    code: int | None = None


GONE = Heard("gone")
CLOSED_ERROR = Heard("gone", ErrorCode.STREAM_CLOSED)
OVER = Heard(DEAD, ErrorCode.PROTOCOL_ERROR)

FRAMES: dict[str, dict[str, Heard]] = {
    # "idle": HEADERS opens, PRIORITY is allowed, all else is a connection error.
    IDLE: {
        "CONNECT": Heard(ASKED),
        "trailers": Heard(IDLE, ErrorCode.PROTOCOL_ERROR),  # 8.1: a request that is none
        "DATA": OVER,
        "DATA, end": OVER,
        "RST_STREAM": OVER,
        "WINDOW_UPDATE": OVER,
        "PRIORITY": Heard(IDLE),
    },
    # "open": any frame; a second header block must be trailers (8.1).
    ASKED: {
        "CONNECT": Heard("gone", ErrorCode.PROTOCOL_ERROR),
        "trailers": Heard(ASKED_ENDED),
        "DATA": Heard(ASKED),
        "DATA, end": Heard(ASKED_ENDED),
        "RST_STREAM": GONE,
        "WINDOW_UPDATE": Heard(ASKED),
        "PRIORITY": Heard(ASKED),
    },
    OPEN: {
        "CONNECT": Heard("gone", ErrorCode.PROTOCOL_ERROR),
        "trailers": Heard(REMOTE),
        "DATA": Heard(OPEN),
        "DATA, end": Heard(REMOTE),
        "RST_STREAM": GONE,
        "WINDOW_UPDATE": Heard(OPEN),
        "PRIORITY": Heard(OPEN),
    },
    # "half-closed (local)": any frame; END_STREAM closes.
    LOCAL: {
        "CONNECT": Heard("gone", ErrorCode.PROTOCOL_ERROR),
        "trailers": GONE,
        "DATA": Heard(LOCAL),
        "DATA, end": GONE,
        "RST_STREAM": GONE,
        "WINDOW_UPDATE": Heard(LOCAL),
        "PRIORITY": Heard(LOCAL),
    },
    # "half-closed (remote)": all but WINDOW_UPDATE, PRIORITY and RST_STREAM is a stream error STREAM_CLOSED.
    ASKED_ENDED: {
        "CONNECT": CLOSED_ERROR,
        "trailers": CLOSED_ERROR,
        "DATA": CLOSED_ERROR,
        "DATA, end": CLOSED_ERROR,
        "RST_STREAM": GONE,
        "WINDOW_UPDATE": Heard(ASKED_ENDED),
        "PRIORITY": Heard(ASKED_ENDED),
    },
    REMOTE: {
        "CONNECT": CLOSED_ERROR,
        "trailers": CLOSED_ERROR,
        "DATA": CLOSED_ERROR,
        "DATA, end": CLOSED_ERROR,
        "RST_STREAM": GONE,
        "WINDOW_UPDATE": Heard(REMOTE),
        "PRIORITY": Heard(REMOTE),
    },
    # "closed", after END_STREAM both ways: HEADERS may be a connection error, DATA is answered, the rest is late.
    IN_PEACE: {
        "CONNECT": Heard(DEAD, ErrorCode.STREAM_CLOSED),
        "trailers": Heard(DEAD, ErrorCode.STREAM_CLOSED),
        "DATA": CLOSED_ERROR,
        "DATA, end": CLOSED_ERROR,
        "RST_STREAM": GONE,
        "WINDOW_UPDATE": GONE,
        "PRIORITY": GONE,
    },
    # "closed", after our RST_STREAM: frames were under way and are ignored.
    RESET_BY_US: dict.fromkeys(INPUTS, GONE),
    # "closed", after the peer's RST_STREAM: a stream error STREAM_CLOSED.
    RESET_BY_PEER: {
        "CONNECT": CLOSED_ERROR,
        "trailers": CLOSED_ERROR,
        "DATA": CLOSED_ERROR,
        "DATA, end": CLOSED_ERROR,
        "RST_STREAM": GONE,
        "WINDOW_UPDATE": GONE,
        "PRIORITY": GONE,
    },
}

OURS: dict[str, dict[str, str | type[HboneError]]] = {
    ASKED: {
        "accept": OPEN,
        "reject": "gone",
        "send": LocalProtocolError,
        "end": LocalProtocolError,
        "reset": "gone",
    },
    ASKED_ENDED: {
        "accept": REMOTE,
        "reject": "gone",
        "send": LocalProtocolError,
        "end": LocalProtocolError,
        "reset": "gone",
    },
    OPEN: {"accept": LocalProtocolError, "reject": LocalProtocolError, "send": OPEN, "end": LOCAL, "reset": "gone"},
    LOCAL: {
        "accept": LocalProtocolError,
        "reject": LocalProtocolError,
        "send": StreamEnded,
        "end": LOCAL,
        "reset": "gone",
    },
    REMOTE: {
        "accept": LocalProtocolError,
        "reject": LocalProtocolError,
        "send": REMOTE,
        "end": "gone",
        "reset": "gone",
    },
    IN_PEACE: {
        "accept": LocalProtocolError,
        "reject": LocalProtocolError,
        "send": StreamEnded,
        "end": "gone",
        "reset": "gone",
    },
    # Not answered, and dead: an answer comes too late and is no fault.
    RESET_BY_US: {"accept": "gone", "reject": "gone", "send": StreamEnded, "end": "gone", "reset": "gone"},
    RESET_BY_PEER: {"accept": "gone", "reject": "gone", "send": StreamEnded, "end": "gone", "reset": "gone"},
}


def _rows(table: dict[str, dict[str, object]]) -> list[object]:
    return [
        pytest.param(state, name, expected, id=f"{state}: {name}")
        for state, row in table.items()
        for name, expected in row.items()
    ]


def test_the_tables_are_complete() -> None:
    states = {IDLE, ASKED, ASKED_ENDED, OPEN, LOCAL, REMOTE, IN_PEACE, RESET_BY_US, RESET_BY_PEER}
    assert set(FRAMES) == states
    assert set(OURS) == states - {IDLE}
    assert all(set(row) == set(INPUTS) for row in FRAMES.values())
    assert all(set(row) == set(CALLS) for row in OURS.values())


@pytest.mark.parametrize(("state", "name", "expected"), _rows(FRAMES))  # type: ignore[arg-type]
def test_a_frame_moves_a_stream(state: str, name: str, expected: Heard) -> None:
    engine, stream = _made(state)
    engine.receive_data(bytes(INPUTS[name]))
    assert _state(engine, stream) == expected.state
    out = b"".join(engine.data_to_send())
    if expected.code is None:
        assert out == b""
    elif engine.ended:
        (last_words,) = split(out)
        assert last_words._replace(payload=last_words.payload[:8]) == goaway(0 if state == IDLE else 3, expected.code)
        assert engine.ended.code == expected.code
    else:
        assert out == bytes(rst(1, expected.code))
    if state != IDLE and not engine.ended:
        assert engine.streams[3].remote_open, "the neighbour goes on"


@pytest.mark.parametrize(("state", "name", "expected"), _rows(OURS))  # type: ignore[arg-type]
def test_a_call_moves_a_stream(state: str, name: str, expected: str | type[HboneError]) -> None:
    engine, stream = _made(state)
    assert stream is not None
    was_gone = stream.stream_id not in engine.streams
    if isinstance(expected, str):
        CALLS[name](engine, stream)
        assert _state(engine, stream) == expected
    else:
        with pytest.raises(expected):
            CALLS[name](engine, stream)
        assert _state(engine, stream) in (state, "gone")
    if was_gone:
        assert engine.data_to_send() == [], "nothing is said about a stream that is gone"


class TestFloods:
    """hbone-dataplane 1.3: a peer may be wrong now and then."""

    def test_streams_reset_for_the_peers_faults(self) -> None:
        bad = [headers(number, ":method CONNECT") for number in range(1, 9, 2)]
        engine = server(Http2Config(max_protocol_resets=3))
        engine.receive_data(wire(*bad[:3]))
        assert end_code(engine) is None
        engine.receive_data(wire(bad[3]))
        assert end_code(engine) == ErrorCode.ENHANCE_YOUR_CALM
        assert b"too_many_internal_resets" in b"".join(engine.data_to_send())

    def test_late_frames_are_forgiven_once_each(self) -> None:
        """DATA for streams long gone is answered once a stream; who goes on with new ones is cut off."""
        engine = server(Http2Config(max_protocol_resets=5))
        for number in range(1, 13, 2):
            engine.receive_data(wire(connect(number), data(number, end=True)))
            stream = engine.streams[number]
            engine.accept_tunnel(stream)
            engine.end(stream)
        engine.data_to_send()
        for number in range(1, 11, 2):
            engine.receive_data(wire(*[data(number, b"x")] * 10))
        assert end_code(engine) is None
        assert b"".join(engine.data_to_send()) == wire(*[rst(number, 5) for number in range(1, 11, 2)])
        engine.receive_data(wire(data(11, b"x")))
        assert end_code(engine) is not None

    def test_streams_the_peer_cancels_before_our_answer(self) -> None:
        """Twenty more than half of all it opened."""
        engine = server()
        opened = 0
        while engine.ended is None:
            number = 2 * opened + 1
            engine.receive_data(wire(connect(number), rst(number, ErrorCode.CANCEL)))
            opened += 1
            assert opened < 100
        assert opened == 40
        assert end_code(engine) == ErrorCode.ENHANCE_YOUR_CALM
        assert b"too_many_resets" in b"".join(engine.data_to_send())

    def test_streams_the_peer_cancels_after_our_answer_are_its_right(self) -> None:
        engine = server()
        for number in range(1, 2001, 2):
            engine.receive_data(wire(connect(number)))
            engine.accept_tunnel(engine.streams[number])
            engine.receive_data(wire(rst(number, ErrorCode.CANCEL)))
        assert end_code(engine) is None

    def test_a_clients_peer_may_reset_what_it_likes(self) -> None:
        engine = client()
        for _ in range(200):
            stream = engine.open_tunnel(connect(1).payload)
            engine.receive_data(wire(rst(stream.stream_id, ErrorCode.REFUSED_STREAM)))
        assert end_code(engine) is None


def test_streams_that_overflow_by_settings_end_the_connection() -> None:
    """RFC 9113 section 6.9.2."""
    engine = play(client(), opens(), says(connect(1)), hears(window(1, 2**31 - 1 - 65_535))).engine
    engine.receive_data(wire(settings({4: 65_536})))
    assert end_code(engine) == ErrorCode.FLOW_CONTROL_ERROR


def test_headers_after_the_peers_own_reset_are_answered_once() -> None:
    play(
        server(),
        hears(connect(1), rst(1, ErrorCode.CANCEL)),
        reports(requested(1), was_reset(1, ErrorCode.CANCEL)),
        hears(headers(1, "x 1", end=True), headers(1, "x 1", end=True), data(1, b"x")),
        says(rst(1, ErrorCode.STREAM_CLOSED)),
        hears(ok(1, end=True)),
    )
