"""HTTP/2 conversations towards servers, with plain h2 at the other end."""

from __future__ import annotations

import h2.events
import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from hbone_py import frames
from hbone_py.errors import ErrorCode
from mesh_py.http.codec_h2 import H2Client
from mesh_py.http.errors import UpstreamRefused, UpstreamRemoteReset
from mesh_py.http.events import (
    ConnectionFailed,
    DataReceived,
    InterimReceived,
    MessageEnded,
    PeerLeaving,
    ResponseReceived,
    StreamFailed,
)
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpResponse
from tests.mesh_py.http.conversations_h2 import asked, get, texts


def test_a_request_on_the_wire() -> None:
    client, peer = asked()
    stream = client.send_request(get("/x"), ended=True)
    peer.pump()
    [request] = peer.take(h2.events.RequestReceived)
    assert isinstance(request, h2.events.RequestReceived)
    assert dict(texts(request)) == {
        ":method": "GET",
        ":scheme": "http",
        ":path": "/x",
        ":authority": "web",
        "x-a": "1",
    }
    peer.h2.send_headers(stream, [(":status", "103")])
    peer.h2.send_headers(stream, [(":status", "200"), ("y", "2")])
    peer.h2.send_data(stream, b"hi")
    peer.h2.send_headers(stream, [("z", "3")], end_stream=True)
    interim, head, data, end = peer.pump()
    assert isinstance(interim, InterimReceived)
    assert head == ResponseReceived(stream, HttpResponse(200, Headers([("y", "2")]), "HTTP/2"), ended=False)
    assert (data, end) == (DataReceived(stream, b"hi", 2), MessageEnded(stream, Headers([("z", "3")])))
    assert client.is_idle


@pytest.mark.parametrize(
    ("code", "error"),
    [(ErrorCodes.REFUSED_STREAM, UpstreamRefused), (ErrorCodes.INTERNAL_ERROR, UpstreamRemoteReset)],
)
def test_a_reset_tells_whether_it_is_safe_to_try_again(code: ErrorCodes, error: type[Exception]) -> None:
    client, peer = asked()
    stream = client.send_request(get(), ended=True)
    peer.pump()
    peer.h2.reset_stream(stream, code)
    [failed] = peer.pump()
    assert isinstance(failed, StreamFailed)
    assert type(failed.error) is error
    assert client.can_open


def test_a_reset_behind_a_whole_answer_is_no_failure() -> None:
    client, peer = asked()
    stream = client.send_request(get(method="POST"), ended=False)
    peer.pump()
    peer.h2.send_headers(stream, [(":status", "413")], end_stream=True)
    peer.h2.reset_stream(stream, ErrorCodes.NO_ERROR)
    assert [type(event) for event in peer.pump()] == [ResponseReceived]
    assert client.is_idle


def test_goaway_refuses_the_later_streams_and_lets_the_earlier_finish() -> None:
    client, peer = asked()
    first, second = client.send_request(get(), ended=True), client.send_request(get(), ended=True)
    peer.pump()
    client.receive_data(frames.goaway(first, 0))
    failed, leaving = client.events()
    assert isinstance(failed, StreamFailed)
    assert failed.stream == second
    assert isinstance(failed.error, UpstreamRefused)
    assert isinstance(leaving, PeerLeaving)
    assert not client.can_open
    peer.h2.send_headers(first, [(":status", "204")], end_stream=True)
    assert len(peer.pump()) == 1
    assert client.is_closing


def test_a_server_that_closes_fails_what_is_under_way() -> None:
    client, peer = asked()
    client.send_request(get(), ended=True)
    peer.pump()
    client.receive_eof()
    assert isinstance(client.events()[0], StreamFailed)


def test_no_more_streams_than_the_server_takes() -> None:
    client, peer = asked()
    peer.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 1})
    peer.pump()
    client.send_request(get(), ended=True)
    assert not client.can_open


@pytest.mark.parametrize(
    "fields",
    [
        [(":status", "20")],
        [(":status", "abc")],
        [(":status", "101")],
        [("x", "1")],
        [(":status", "200"), (":path", "/")],
        [(":status", "200"), ("connection", "close")],
    ],
    ids=["short", "no number", "101", "none", "a path", "connection"],
)
def test_a_malformed_answer_fails_its_stream_alone(fields: list[tuple[str, str]]) -> None:
    client, peer = asked()
    stream = client.send_request(get(), ended=True)
    peer.pump()
    peer.h2.send_headers(stream, fields)
    [failed] = peer.pump()
    assert isinstance(failed, StreamFailed)
    assert failed.error.status == 502
    assert client.can_open


def test_an_answer_in_http_1_is_no_answer() -> None:
    client = H2Client()
    client.send_request(get(), ended=True)
    client.receive_data(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    failed, connection = client.events()
    assert isinstance(failed, StreamFailed)
    assert failed.error.status == 502
    assert isinstance(connection, ConnectionFailed)
    assert client.is_closing


def test_a_client_that_drains_finishes_first() -> None:
    client, peer = asked()
    stream = client.send_request(get(), ended=True)
    peer.pump()
    client.drain()
    assert not client.can_open
    peer.h2.send_headers(stream, [(":status", "204")], end_stream=True)
    peer.pump()
    assert client.is_closing


def test_an_interim_response_that_ends_its_stream_is_malformed() -> None:
    client, peer = asked()
    stream = client.send_request(get(), ended=True)
    peer.pump()
    client.receive_data(frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream, b"\x08\x03103"))
    [failed] = client.events()
    assert isinstance(failed, StreamFailed)


def test_late_heads_of_a_request_that_was_given_up_are_passed_over() -> None:
    client, peer = asked()
    stream = client.send_request(get(), ended=True)
    peer.pump()
    client.reset(stream, ErrorCode.CANCEL)
    client.receive_data(frames.frame(frames.HEADERS, frames.END_HEADERS, stream, b"\x88"))
    assert client.events() == []
    assert not client.is_closing


def test_an_answer_that_is_whole_does_not_fail_with_its_connection() -> None:
    client, peer = asked()
    stream = client.send_request(get(method="POST"), ended=False)
    peer.pump()
    peer.h2.send_headers(stream, [(":status", "200")], end_stream=True)
    peer.pump()
    client.receive_eof()
    assert [type(event) for event in client.events()] == [PeerLeaving]
