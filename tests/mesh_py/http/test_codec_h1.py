"""HTTP/1 conversations, towards clients."""

from __future__ import annotations

import pytest

from hbone_py.errors import ErrorCode
from mesh_py.http.codec_h1 import H1Client, H1Server
from mesh_py.http.errors import DownstreamGone, UnwritableMessage
from mesh_py.http.events import ConnectionFailed, DataReceived, MessageEnded, RequestReceived, StreamFailed
from mesh_py.http.headers import Headers
from mesh_py.http.limits import Limits
from mesh_py.http.messages import HttpRequest, HttpResponse
from tests.mesh_py.http.conversations_h1 import CHUNKED, GET, POST, WEBSOCKET, body_of, closes, ok, sent, serve, streams

# Requests as a server reads them.


def test_a_request_without_a_body_has_ended_with_its_head() -> None:
    server, events = serve(GET)
    [received] = events
    assert received == RequestReceived(
        1, HttpRequest("GET", "/hello?x=1", "web", Headers([("accept", "*/*")])), ended=True
    )
    assert not server.is_idle


def test_a_body_of_known_length_passes_and_ends() -> None:
    _, events = serve(POST)
    assert [type(event) for event in events] == [RequestReceived, DataReceived, MessageEnded]
    assert events[1:] == [DataReceived(1, b"hello", 5), MessageEnded(1, None)]


def test_a_chunked_body_passes_and_brings_its_trailers() -> None:
    _, events = serve(CHUNKED)
    assert body_of(events) == b"hello world"
    assert events[-1] == MessageEnded(1, Headers([("x-sum", "11")]))
    assert isinstance(events[0], RequestReceived)
    assert "transfer-encoding" not in events[0].request.headers


def test_what_concerns_the_connection_goes_no_further() -> None:
    head = (
        b"GET / HTTP/1.1\r\nHost: web\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: 5\r\nX-Hop: 1\r\n"
        b"Proxy-Connection: x\r\nTE: trailers, deflate\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\nX-End: 2\r\n\r\n"
    )
    _, [received] = serve(head)
    assert isinstance(received, RequestReceived)
    assert received.request.headers == Headers([("x-end", "2"), ("te", "trailers")])
    assert received.request.protocol == ""


def test_pipelined_requests_wait_for_the_answer_before_them() -> None:
    server, events = serve(GET + GET + POST)
    assert streams(events) == {1}
    for stream in (1, 2):
        server.send_response(stream, ok(), ended=True)
        events = server.events()
        assert streams(events) == {stream + 1}
    assert body_of(events) == b"hello"


def test_a_client_that_pipelines_without_end_is_read_no_further() -> None:
    server, _ = serve(GET, GET * 30, limits=Limits(held_bytes=1000))
    assert not server.wants_data


@pytest.mark.parametrize(
    ("head", "closes", "says"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n", False, None, id="1.1 stays"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", True, b"close", id="1.1 close"),
        pytest.param(b"GET / HTTP/1.0\r\n", True, b"close", id="1.0 closes"),
        pytest.param(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n", False, b"keep-alive", id="1.0 keep-alive"),
    ],
)
def test_whether_the_connection_lasts(head: bytes, closes: bool, says: bytes | None) -> None:
    server, _ = serve(head + b"\r\n")
    server.send_response(1, ok(), ended=True)
    assert server.is_closing is closes
    assert server.is_closing is closes
    wire = sent(server)
    assert (b"connection: " in wire) is (says is not None)
    assert says is None or b"connection: " + says + b"\r\n" in wire


def test_an_answer_before_the_request_is_complete_is_the_last() -> None:
    server, _ = serve(POST[:-2])
    server.send_response(1, ok(status=413), ended=True)
    assert server.is_closing
    assert b"connection: close" in sent(server)


def test_draining_says_close_on_the_answer_under_way() -> None:
    server, _ = serve(GET)
    server.drain()
    assert not closes(server)
    server.send_response(1, ok(), ended=True)
    assert closes(server)
    assert b"connection: close" in sent(server)


def test_draining_an_idle_connection_closes_it() -> None:
    server, _ = serve()
    server.drain()
    assert server.is_closing


# Responses as a server writes them.


PARTLY = b"POST /x HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\nhe"


@pytest.mark.parametrize("drains", [False, True], ids=["stays", "drains"])
@pytest.mark.parametrize(
    "head",
    [
        pytest.param(GET, id="GET"),
        pytest.param(GET + GET, id="two at once"),
        pytest.param(GET.replace(b"GET", b"HEAD"), id="HEAD"),
        pytest.param(GET.replace(b"1.1", b"1.0"), id="1.0"),
        pytest.param(PARTLY, id="not all of it"),
        pytest.param(WEBSOCKET, id="websocket"),
    ],
)
@pytest.mark.parametrize(
    ("status", "fields"),
    [
        pytest.param(200, [("content-length", "5")], id="its length"),
        pytest.param(200, [("content-length", "6")], id="too short"),
        pytest.param(200, [("content-length", "4")], id="too long"),
        pytest.param(200, [], id="no length"),
        pytest.param(204, [], id="204"),
        pytest.param(101, [], id="101"),
    ],
)
def test_an_answer_in_one_piece_is_as_one_in_parts(
    head: bytes, status: int, fields: list[tuple[str, str]], drains: bool
) -> None:
    whole, parts = serve(head)[0], serve(head)[0]
    if drains:
        whole.drain()
        parts.drain()
    assert whole.send_whole(1, HttpResponse(status, Headers(fields)), b"hello") == 5
    parts.send_response(1, HttpResponse(status, Headers(fields)), ended=False)
    parts.send_data(1, b"hello")
    parts.end(1)
    assert sent(whole) == sent(parts)
    assert repr(whole.events()) == repr(parts.events())
    assert (whole.is_closing, whole.is_aborted, whole.is_idle) == (parts.is_closing, parts.is_aborted, parts.is_idle)


def test_a_response_of_unknown_length_is_chunked() -> None:
    server, _ = serve(GET)
    server.send_response(1, ok(("content-type", "text/plain")), ended=False)
    server.send_data(1, b"hello")
    server.send_data(1, b"")
    server.end(1, Headers([("x-sum", "5")]))
    assert sent(server) == (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\nx-sum: 5\r\n\r\n"
    )
    assert server.is_idle
    assert not server.is_closing


def test_a_client_of_1_0_gets_no_chunks_but_the_end_of_the_connection() -> None:
    server, _ = serve(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    server.send_response(1, ok(), ended=False)
    server.send_data(1, b"hello")
    server.end(1)
    assert sent(server) == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello"
    assert server.is_closing


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)], ids=["HEAD", "204", "304"])
def test_where_no_body_may_be_none_is_written(method: str, status: int) -> None:
    server, _ = serve(method.encode() + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
    server.send_response(1, ok(("content-length", "10"), status=status), ended=True)
    assert sent(server).endswith(b"content-length: 10\r\n\r\n")
    assert server.is_idle


def test_interim_responses_come_before_the_response() -> None:
    server, _ = serve(POST[:-5].replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    server.send_interim(1, HttpResponse(100))
    server.receive_data(b"hello")
    server.send_response(1, ok(), ended=True)
    assert sent(server).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert not server.is_closing


def test_a_body_cut_short_is_never_made_to_look_whole() -> None:
    server, _ = serve(GET)
    server.send_response(1, ok(), ended=False)
    server.send_data(1, b"half")
    server.reset(1, ErrorCode.INTERNAL_ERROR)
    assert server.is_aborted
    assert not sent(server).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("pieces", "words"), [([b"too much"], "longer"), ([b"too"], "shorter")], ids=["too long", "too short"]
)
def test_a_body_keeps_to_its_content_length(pieces: list[bytes], words: str) -> None:
    server, _ = serve(GET)
    server.send_response(1, ok(("content-length", "5")), ended=False)
    for piece in pieces:
        server.send_data(1, piece)
    server.end(1)
    [failed] = server.events()
    assert isinstance(failed, StreamFailed)
    assert words in str(failed.error)
    assert server.is_aborted


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "\u20ac"])
def test_a_field_that_would_break_the_head_is_not_written(value: str) -> None:
    server, _ = serve(GET)
    with pytest.raises(UnwritableMessage):
        server.send_response(1, ok(("x", value)), ended=True)
    server.send_response(1, ok(status=500), ended=True)
    assert sent(server).startswith(b"HTTP/1.1 500 ")


def test_framing_is_ours_whatever_a_filter_says() -> None:
    server, _ = serve(GET)
    server.send_response(1, ok(("transfer-encoding", "gzip"), ("connection", "x")), ended=True)
    assert sent(server) == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


# Ends.


def test_a_client_that_leaves_is_gone() -> None:
    server, _ = serve(GET)
    server.receive_eof()
    [failed] = server.events()
    assert isinstance(failed, StreamFailed)
    assert isinstance(failed.error, DownstreamGone)
    assert server.is_closing


def test_a_request_cut_short_has_failed() -> None:
    server, _ = serve(POST[:-2])
    server.receive_eof()
    assert isinstance(server.events()[-1], StreamFailed)


def test_an_idle_client_may_leave() -> None:
    server, _ = serve(GET)
    server.send_response(1, ok(), ended=True)
    server.receive_eof()
    assert server.events() == []
    assert server.is_closing


# Tunnels.


def test_a_websocket_becomes_a_tunnel_with_101() -> None:
    server, [received] = serve(WEBSOCKET + b"early")
    assert isinstance(received, RequestReceived)
    assert (received.request.protocol, received.ended) == ("websocket", False)
    server.send_response(1, ok(("sec-websocket-accept", "y"), status=101), ended=False)
    assert server.events() == [DataReceived(1, b"early", 5)]
    server.send_data(1, b"frames")
    assert sent(server) == (
        b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: y\r\n"
        b"connection: upgrade\r\nupgrade: websocket\r\n\r\nframes"
    )


def test_each_half_of_a_tunnel_ends_by_itself() -> None:
    server, _ = serve(b"CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n")
    server.send_response(1, ok(), ended=False)
    server.end(1)
    assert server.is_half_closed
    assert not server.is_closing
    server.receive_data(b"still")
    server.receive_eof()
    assert server.events() == [DataReceived(1, b"still", 5), MessageEnded(1)]
    assert server.is_closing


def test_a_refused_tunnel_closes_so_that_its_bytes_are_no_request() -> None:
    server, _ = serve(b"CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n" + GET)
    server.send_response(1, ok(status=403), ended=True)
    assert server.is_closing
    assert server.events() == []


# Rarer turns.


def test_a_head_cut_short_is_logged() -> None:
    server, _ = serve(GET[:20])
    server.receive_eof()
    assert isinstance(server.events()[-1], ConnectionFailed)


def test_a_body_that_breaks_under_an_answer_ends_it_visibly() -> None:
    server, _ = serve(CHUNKED[:-12])
    server.send_response(1, ok(), ended=False)
    server.send_data(1, b"half")
    server.receive_data(b"zz\r\n")
    failed, connection = server.events()
    assert isinstance(failed, StreamFailed)
    assert isinstance(connection, ConnectionFailed)
    assert server.is_aborted
    assert b"400" not in sent(server)


@pytest.mark.parametrize(
    ("fields", "ended"),
    [([("content-length", "5")], True), ([("content-length", "x")], False)],
    ids=["a length without a body", "no number"],
)
def test_lengths_that_cannot_be_written(fields: list[tuple[str, str]], ended: bool) -> None:
    server, _ = serve(GET)
    with pytest.raises(UnwritableMessage):
        server.send_response(1, ok(*fields), ended=ended)
    with pytest.raises(UnwritableMessage):
        H1Client().send_request(HttpRequest("POST", "/", "web", Headers(fields)), ended=ended)


def test_nothing_is_written_to_exchanges_that_are_over() -> None:
    server, _ = serve(GET)
    server.send_response(1, ok(), ended=True)
    sent(server)
    server.send_response(1, ok(), ended=True)
    server.send_interim(1, HttpResponse(103))
    assert server.send_data(1, b"late") == 4
    server.end(1)
    server.reset(1, ErrorCode.CANCEL)
    assert sent(server) == b""
    assert not server.is_aborted


def test_a_client_of_1_0_hears_no_interim_responses_and_opens_no_websocket() -> None:
    server, [received] = serve(WEBSOCKET.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert isinstance(received, RequestReceived)
    assert received.request.protocol == ""
    server.send_interim(1, HttpResponse(103))
    assert sent(server) == b""


def test_behind_tls_the_scheme_is_https() -> None:
    server = H1Server(scheme="https")
    server.receive_data(GET)
    [received] = server.events()
    assert isinstance(received, RequestReceived)
    assert received.request.scheme == "https"


def test_a_tunnels_peer_may_end_last() -> None:
    server, _ = serve(b"CONNECT db:1 HTTP/1.1\r\nHost: db:1\r\n\r\n")
    server.send_response(1, ok(), ended=False)
    server.receive_eof()
    assert server.events() == [MessageEnded(1)]
    assert not closes(server)
    server.send_data(1, b"rest")
    server.end(1)
    assert closes(server)
