"""HTTP/2 conversations towards clients, with plain h2 at the other end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h2.events
import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from hbone_py import frames
from hbone_py.errors import ErrorCode
from mesh_py.http.errors import DownstreamGone, UnwritableMessage
from mesh_py.http.events import (
    ConnectionFailed,
    DataReceived,
    MessageEnded,
    PeerLeaving,
    RequestReceived,
    StreamFailed,
    WindowOpened,
)
from mesh_py.http.headers import Headers
from mesh_py.http.limits import Limits
from mesh_py.http.messages import HttpRequest, HttpResponse
from tests.mesh_py.http.conversations_h2 import GET, POST, Peer, asked, ok, served, texts

if TYPE_CHECKING:
    from mesh_py.http.h2_stream import H2Stream


def test_the_opening_says_what_we_mean() -> None:
    server, peer = served(Limits(streams=7, stream_window=70_000, connection_window=200_000, head_bytes=5000))
    settings = peer.h2.remote_settings
    assert (settings.max_concurrent_streams, settings.initial_window_size) == (7, 70_000)
    assert (settings.max_header_list_size, settings.enable_connect_protocol) == (5000, 1)
    assert peer.h2.outbound_flow_control_window == 200_000
    assert server.is_idle


def test_a_request_and_its_response() -> None:
    server, peer = served()
    peer.h2.send_headers(1, [*GET, ("x-a", "1"), ("cookie", "a=b"), ("cookie", "c=d")], end_stream=True)
    [received] = peer.pump()
    fields = Headers([("x-a", "1"), ("cookie", "a=b; c=d")])
    assert received == RequestReceived(1, HttpRequest("GET", "/hello", "web", fields, "http", "HTTP/2"), ended=True)
    server.send_response(1, ok(("content-type", "text/plain")), ended=False)
    assert server.send_data(1, b"hello") == 5
    server.end(1, Headers([("x-sum", "5")]))
    peer.pump()
    response, data, trailers, _ = peer.take(
        h2.events.ResponseReceived, h2.events.DataReceived, h2.events.TrailersReceived, h2.events.StreamEnded
    )
    assert isinstance(response, h2.events.ResponseReceived)
    assert texts(response) == [(":status", "200"), ("content-type", "text/plain")]
    assert isinstance(data, h2.events.DataReceived)
    assert data.data == b"hello"
    assert isinstance(trailers, h2.events.TrailersReceived)
    assert texts(trailers) == [("x-sum", "5")]
    assert server.is_idle


def test_streams_do_not_wait_for_one_another() -> None:
    server, peer = served()
    for stream in (1, 3, 5):
        peer.h2.send_headers(stream, POST)
    assert [event.stream for event in peer.pump() if isinstance(event, RequestReceived)] == [1, 3, 5]
    server.send_response(3, ok(), ended=False)
    peer.h2.send_data(5, b"five", end_stream=True)
    peer.h2.send_data(1, b"one")
    assert peer.pump() == [DataReceived(5, b"five", 4), MessageEnded(5), DataReceived(1, b"one", 3)]
    assert server.open_streams == 3


def test_unread_bytes_shut_the_window_of_their_stream_alone() -> None:
    server, peer = served(Limits(stream_window=65_535, connection_window=1 << 20))
    peer.h2.send_headers(1, POST)
    peer.h2.send_headers(3, POST)
    for _ in range(3):
        peer.h2.send_data(1, bytes(16_384))
    peer.h2.send_data(1, bytes(16_383))
    events = peer.pump()
    assert peer.h2.local_flow_control_window(1) == 0
    assert peer.h2.local_flow_control_window(3) == 65_535
    for event in events:
        if isinstance(event, DataReceived):
            server.consumed(1, event.credit)
    peer.pump()
    assert peer.h2.local_flow_control_window(1) > 40_000


def test_padding_is_credited_too() -> None:
    server, peer = served()
    peer.h2.send_headers(1, POST)
    peer.h2.send_data(1, b"x", pad_length=99)
    assert peer.pump()[-1] == DataReceived(1, b"x", 1)
    assert not server.is_closing


def test_a_shut_window_takes_no_more_and_opens_again() -> None:
    server, peer = served()
    peer.h2.send_headers(1, GET, end_stream=True)
    peer.pump()
    server.send_response(1, ok(), ended=False)
    assert server.send_data(1, bytes(100_000)) == 65_535
    peer.pump()
    peer.h2.acknowledge_received_data(65_535, 1)
    assert peer.pump() == [WindowOpened(1)]
    assert server.send_data(1, bytes(34_465)) == 34_465


@pytest.mark.parametrize("first", [0, 3, 11])
def test_a_last_piece_goes_as_windows_open_and_ends_whole(first: int) -> None:
    server, peer = served()
    peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: first})
    peer.h2.send_headers(1, GET, end_stream=True)
    peer.pump()
    server.send_response(1, ok(("content-length", "11")), ended=False)
    server.send_last(1, b"hello world")
    peer.pump()
    peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1})  # a window below nothing, where much was sent
    peer.pump()
    assert server.open_streams == (first < 11)
    if first < 11:
        peer.h2.increment_flow_control_window(first + 1, 1)
        peer.pump()
        peer.h2.increment_flow_control_window(11, 1)
        assert peer.pump() == []  # nobody is told: nobody waits
    *pieces, ending = peer.take(h2.events.DataReceived, h2.events.StreamEnded)
    assert isinstance(ending, h2.events.StreamEnded)
    assert b"".join(piece.data for piece in pieces if isinstance(piece, h2.events.DataReceived)) == b"hello world"
    assert server.open_streams == 0


def test_a_window_that_opens_by_a_byte_is_not_offered_to_hundreds(monkeypatch: pytest.MonkeyPatch) -> None:
    server, peer = served()
    for stream in range(1, 61, 2):
        peer.h2.send_headers(stream, GET, end_stream=True)
    peer.pump()
    for stream in range(1, 61, 2):
        server.send_response(stream, ok(), ended=False)
        server.send_last(stream, bytes(10_000))
    offered: list[int] = []
    wake = server._wake

    def counted(stream: int, state: H2Stream) -> None:
        offered.append(stream)
        wake(stream, state)

    monkeypatch.setattr(server, "_wake", counted)
    for _ in range(3):
        server.receive_data(frames.window_update(0, 1))
    assert offered == [13] * 3  # six are gone; the seventh takes the byte
    server.receive_data(frames.window_update(0, 1 << 20))
    assert server.open_streams == 0


def test_what_the_next_request_may_bring_along() -> None:
    client, peer = asked()
    peer.pump()
    assert client.first_room == 65_535
    stream = client.send_request(HttpRequest("POST", "/", "web"), ended=False)
    client.send_data(stream, bytes(60_000))
    assert client.first_room == 5_535  # the connection's window
    peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 100})
    peer.pump()
    assert client.first_room == 100  # a new stream's


def test_a_larger_initial_window_opens_streams_that_wait() -> None:
    server, peer = served()
    peer.h2.increment_flow_control_window(1 << 20)
    peer.h2.send_headers(1, GET, end_stream=True)
    peer.pump()
    server.send_response(1, ok(), ended=False)
    server.send_data(1, bytes(100_000))
    peer.pump()
    peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 200_000})
    assert WindowOpened(1) in peer.pump()


@pytest.mark.parametrize("is_asked", [True, False])
def test_many_small_frames_are_taken_in_turns(is_asked: bool) -> None:
    """Told to go on, or by whatever comes next."""
    server, peer = served()
    peer.h2.send_headers(1, POST)
    peer.pump()
    server.receive_data(frames.frame(frames.DATA, 0, 1, b"x") * 3000 + frames.end_stream(1))
    taken = sum(event.credit for event in server.events() if isinstance(event, DataReceived))
    assert (server.has_rest, 1000 < taken < 3000) == (True, True)
    server.go_on() if is_asked else server.receive_data(frames.frame(frames.PING, 0, 0, bytes(8)))
    *rest, ending = server.events()
    taken += sum(event.credit for event in rest if isinstance(event, DataReceived))
    assert (taken, ending, server.has_rest) == (3000, MessageEnded(1), False)


def test_interim_responses_come_first() -> None:
    server, peer = served()
    peer.h2.send_headers(1, POST)
    peer.pump()
    server.send_interim(1, HttpResponse(103, Headers([("link", "a")])))
    server.send_response(1, ok(), ended=True)
    peer.pump()
    first, second = peer.take(h2.events.InformationalResponseReceived, h2.events.ResponseReceived)
    assert isinstance(first, h2.events.InformationalResponseReceived)
    assert isinstance(second, h2.events.ResponseReceived)


def test_an_answer_before_the_request_is_complete_asks_for_no_more() -> None:
    server, peer = served()
    peer.h2.send_headers(1, POST)
    peer.pump()
    server.send_response(1, ok(status=413), ended=True)
    peer.pump()
    [reset] = peer.take(h2.events.StreamReset)
    assert isinstance(reset, h2.events.StreamReset)
    assert reset.error_code == ErrorCodes.NO_ERROR
    assert server.is_idle


def test_a_client_that_resets_is_gone() -> None:
    server, peer = served()
    peer.h2.send_headers(1, POST)
    peer.pump()
    peer.h2.reset_stream(1, ErrorCodes.CANCEL)
    [failed] = peer.pump()
    assert isinstance(failed, StreamFailed)
    assert isinstance(failed.error, DownstreamGone)
    assert server.send_data(1, b"late") == 4
    server.end(1)
    assert peer.pump() == []


def test_a_reset_says_its_code_and_leaves_the_others() -> None:
    server, peer = served()
    peer.h2.send_headers(1, GET, end_stream=True)
    peer.h2.send_headers(3, GET, end_stream=True)
    peer.pump()
    server.reset(1, ErrorCode.INTERNAL_ERROR)
    server.send_response(3, ok(), ended=True)
    peer.pump()
    [reset] = peer.take(h2.events.StreamReset)
    assert isinstance(reset, h2.events.StreamReset)
    assert reset.error_code == ErrorCodes.INTERNAL_ERROR
    assert server.is_idle


MALFORMED = [
    pytest.param([*GET, ("X-Upper", "1")], id="upper case"),
    pytest.param([*GET, ("x y", "1")], id="space in a name"),
    pytest.param([*GET, ("x:y", "1")], id="colon in a name"),
    pytest.param([*GET, ("x", "a\r\nb")], id="line end in a value"),
    pytest.param([*GET, ("x", "a\0")], id="NUL in a value"),
    pytest.param([*GET, ("x", " a")], id="space in front of a value"),
    pytest.param([*GET, ("connection", "close")], id="connection"),
    pytest.param([*GET, ("transfer-encoding", "chunked")], id="transfer-encoding"),
    pytest.param([*GET, ("upgrade", "x")], id="upgrade"),
    pytest.param([*GET, ("te", "gzip")], id="te"),
    pytest.param([*GET, ("host", "other")], id="host differs"),
    pytest.param([*GET, ("x", "1"), (":path", "/")], id="late pseudo-header"),
    pytest.param([*GET, (":path", "/")], id="doubled pseudo-header"),
    pytest.param([*GET, (":new", "/")], id="unknown pseudo-header"),
    pytest.param([*GET, (":status", "200")], id="status in a request"),
    pytest.param(GET[1:], id="no method"),
    pytest.param([GET[0], *GET[2:]], id="no scheme"),
    pytest.param([*GET[:2], GET[3]], id="no path"),
    pytest.param(GET[:3], id="no authority"),
    pytest.param([*GET[:2], (":path", ""), GET[3]], id="empty path"),
    pytest.param([*GET[:2], (":path", "/a b"), GET[3]], id="space in the path"),
    pytest.param([*GET[:2], (":path", "/a#b"), GET[3]], id="fragment"),
    pytest.param([*GET[:2], (":path", "x"), GET[3]], id="path that is none"),
    pytest.param([*GET[:3], (":authority", "a@b")], id="user name"),
    pytest.param([*GET[:3], (":authority", "a/b")], id="path in the authority"),
    pytest.param([(":method", "G T"), *GET[1:]], id="space in the method"),
    pytest.param([GET[0], (":scheme", "ftp"), *GET[2:]], id="another scheme"),
    pytest.param([(":method", "CONNECT"), (":scheme", "http"), (":authority", "a:1")], id="CONNECT with a scheme"),
    pytest.param([(":protocol", "websocket"), *GET], id="protocol without CONNECT"),
]


@pytest.mark.parametrize("fields", MALFORMED)
def test_a_malformed_request_ends_its_stream_alone(fields: list[tuple[str, str]]) -> None:
    server, peer = served()
    peer.h2.send_headers(1, fields)
    assert peer.pump() == []
    [reset] = peer.take(h2.events.StreamReset)
    assert isinstance(reset, h2.events.StreamReset)
    assert reset.error_code == ErrorCodes.PROTOCOL_ERROR
    peer.h2.send_headers(3, GET, end_stream=True)
    assert len(peer.pump()) == 1
    assert not server.is_closing


def test_pseudo_headers_in_trailers_fail_the_stream() -> None:
    _, peer = served()
    peer.h2.send_headers(1, POST)
    peer.h2.send_headers(1, [(":path", "/")], end_stream=True)
    assert [type(event) for event in peer.pump()] == [RequestReceived, StreamFailed]


@pytest.mark.parametrize(
    "fields",
    [[("x", "y" * 6000)], [(f"x{i}", "y") for i in range(101)]],
    ids=["too many bytes", "too many fields"],
)
def test_a_head_over_the_limit_is_answered_431(fields: list[tuple[str, str]]) -> None:
    _, peer = served(Limits(head_bytes=5000))
    peer.h2.send_headers(1, [*GET, *fields], end_stream=True)
    assert peer.pump() == []
    [response] = peer.take(h2.events.ResponseReceived)
    assert isinstance(response, h2.events.ResponseReceived)
    assert texts(response) == [(":status", "431")]


def test_one_stream_too_many_is_refused_and_the_others_go_on() -> None:
    server, peer = served(Limits(streams=2))
    peer.h2.remote_settings = type(peer.h2.remote_settings)(client=False)  # forget what we were told
    for stream in (1, 3, 5):
        peer.h2.send_headers(stream, GET, end_stream=True)
    assert len(peer.pump()) == 2
    [reset] = peer.take(h2.events.StreamReset)
    assert isinstance(reset, h2.events.StreamReset)
    assert (reset.stream_id, reset.error_code) == (5, ErrorCodes.REFUSED_STREAM)
    assert not server.is_closing


def test_h2_ends_the_connection_where_the_rfc_does() -> None:
    server, peer = served()
    peer.h2.send_headers(1, POST)
    peer.pump()
    server.receive_data(frames.frame(frames.DATA, 0, 0, b"x"))
    failed, connection = server.events()
    assert isinstance(failed, StreamFailed)
    assert isinstance(connection, ConnectionFailed)
    assert server.is_closing
    assert b"".join(server.data_to_send())[3] == frames.GOAWAY


def rapid_reset(peer: Peer, count: int) -> None:
    for index in range(count):
        stream = 1 + 2 * index
        peer.h2.send_headers(stream, GET, end_stream=True)
        peer.h2.reset_stream(stream, ErrorCodes.CANCEL)


def test_rapid_reset_is_bounded() -> None:
    server, peer = served(Limits(resets=20))
    rapid_reset(peer, 21)
    server.receive_data(peer.h2.data_to_send())
    assert isinstance(server.events()[-1], ConnectionFailed)
    assert frames.goaway(41, ErrorCode.ENHANCE_YOUR_CALM)[9:] in b"".join(server.data_to_send())


def test_a_new_period_forgives() -> None:
    server, peer = served(Limits(resets=20))
    rapid_reset(peer, 20)
    peer.pump()
    server.new_period()
    peer.h2.send_headers(101, GET)
    peer.h2.reset_stream(101)
    peer.pump()
    assert not server.is_closing


FLOODS = [
    pytest.param(frames.ping(bytes(8)), id="PING"),
    pytest.param(frames.settings({}), id="SETTINGS"),
    pytest.param(frames.window_update(1, 1), id="WINDOW_UPDATE"),
    pytest.param(frames.frame(frames.DATA, 0, 1), id="empty DATA"),
    pytest.param(frames.frame(frames.PRIORITY, 0, 3, bytes(5)), id="PRIORITY"),
]


@pytest.mark.parametrize("frame", FLOODS)
def test_floods_are_bounded(frame: bytes) -> None:
    server, peer = served(Limits(control_frames=50))
    peer.h2.send_headers(1, POST)
    peer.pump()
    server.receive_data(frame * 60)
    assert isinstance(server.events()[-1], ConnectionFailed)
    assert server.is_closing


def test_continuations_without_end_are_bounded() -> None:
    server, _ = served()
    server.receive_data(frames.frame(frames.HEADERS, 0, 1, b"") + frames.frame(frames.CONTINUATION, 0, 1, b"x") * 100)
    assert server.is_closing


def test_draining_lets_what_is_under_way_finish() -> None:
    server, peer = served()
    peer.h2.send_headers(1, GET, end_stream=True)
    peer.pump()
    server.drain()
    goaway = b"".join(server.data_to_send())
    assert goaway == frames.goaway(2**31 - 1, 0)
    server.send_response(1, ok(), ended=True)
    assert server.is_closing
    assert b"".join(server.data_to_send()).endswith(frames.goaway(1, 0))


def test_a_clients_goaway_ends_nothing() -> None:
    server, peer = served()
    peer.h2.send_headers(1, POST)
    peer.pump()
    server.receive_data(frames.goaway(0, 0) + frames.frame(frames.DATA, frames.END_STREAM, 1, b"x"))
    assert server.events() == [PeerLeaving(0, "NO_ERROR"), DataReceived(1, b"x", 1), MessageEnded(1)]


def test_a_client_that_closes_fails_its_streams() -> None:
    server, peer = served()
    peer.h2.send_headers(1, POST)
    peer.pump()
    server.receive_eof()
    failed, leaving = server.events()
    assert isinstance(failed, StreamFailed)
    assert isinstance(failed.error, DownstreamGone)
    assert isinstance(leaving, PeerLeaving)
    assert server.is_closing


@pytest.mark.parametrize("value", ["a\r\nb", "\u20ac", "a\0"])
def test_a_field_that_may_not_be_there_is_not_written(value: str) -> None:
    server, peer = served()
    peer.h2.send_headers(1, GET, end_stream=True)
    peer.pump()
    with pytest.raises(UnwritableMessage):
        server.send_response(1, ok(("x", value)), ended=True)
    server.send_response(1, ok(status=500), ended=True)
    peer.pump()
    assert len(peer.take(h2.events.ResponseReceived)) == 1


# Rarer turns.


def test_trailers_that_cannot_be_written_reset_the_stream() -> None:
    server, peer = served()
    peer.h2.send_headers(1, GET, end_stream=True)
    peer.pump()
    server.send_response(1, ok(), ended=False)
    server.end(1, Headers([("x", "a\nb")]))
    [failed] = server.events()
    assert isinstance(failed, StreamFailed)
    peer.pump()
    assert len(peer.take(h2.events.StreamReset)) == 1


def test_draining_twice_says_it_once() -> None:
    server, peer = served()
    peer.h2.send_headers(1, GET)
    peer.pump()
    server.drain()
    server.drain()
    assert b"".join(server.data_to_send()) == frames.goaway(2**31 - 1, 0)
