"""HTTP/2 conversations with plain h2 at the other end, and with ourselves."""

from __future__ import annotations

from typing import Any

import h2.events
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hypothesis import given
from hypothesis import strategies as st

from hbone_py import frames
from hbone_py.errors import ErrorCode
from mesh_py.http.codec_h1 import H1Client, H1Server
from mesh_py.http.codec_h2 import H2Client, H2Server
from mesh_py.http.errors import DownstreamGone, UnwritableMessage, UpstreamRefused, UpstreamRemoteReset
from mesh_py.http.events import (
    ConnectionFailed,
    DataReceived,
    Event,
    InterimReceived,
    MessageEnded,
    PeerLeaving,
    RequestReceived,
    ResponseReceived,
    StreamFailed,
    WindowOpened,
)
from mesh_py.http.headers import Headers
from mesh_py.http.limits import Limits
from mesh_py.http.messages import HttpRequest, HttpResponse

GET = [(":method", "GET"), (":scheme", "http"), (":path", "/hello"), (":authority", "web")]
POST = [(":method", "POST"), *GET[1:]]
WEBSOCKET = [(":method", "CONNECT"), (":protocol", "websocket"), *GET[1:]]


class Peer:
    """Plain h2 at the other end of a codec."""

    def __init__(self, codec: H2Server | H2Client) -> None:
        self.codec = codec
        config = H2Configuration(
            client_side=isinstance(codec, H2Server),
            header_encoding="latin-1",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.h2 = H2Connection(config)
        self.h2.initiate_connection()
        self.seen: list[h2.events.Event] = []
        self.pump()

    def pump(self) -> list[Event]:
        """Carry bytes both ways until none are left; what the codec reported."""
        events: list[Event] = []
        while True:
            ours, theirs = b"".join(self.codec.data_to_send()), self.h2.data_to_send()
            if not ours and not theirs:
                return events
            self.seen += self.h2.receive_data(ours)
            self.codec.receive_data(theirs)
            events += self.codec.events()

    def take(self, *kinds: type[h2.events.Event]) -> list[h2.events.Event]:
        """Events of these kinds that the peer has seen since the last call."""
        seen, self.seen = self.seen, []
        return [event for event in seen if isinstance(event, kinds)]


def texts(event: h2.events.RequestReceived | h2.events.ResponseReceived | h2.events.TrailersReceived) -> list[Any]:
    """The fields as the peer's h2 gives them, which is text whatever its types say."""
    return [tuple(field) for field in event.headers]


def served(limits: Limits | None = None) -> tuple[H2Server, Peer]:
    server = H2Server(limits or Limits())
    return server, Peer(server)


def asked(limits: Limits | None = None) -> tuple[H2Client, Peer]:
    client = H2Client(limits or Limits())
    return client, Peer(client)


def get(path: str = "/", method: str = "GET") -> HttpRequest:
    return HttpRequest(method, path, "web", Headers([("x-a", "1")]))


def ok(*fields: tuple[str, str], status: int = 200) -> HttpResponse:
    return HttpResponse(status, Headers(fields))


# A server.


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


# A client.


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


# WebSocket, and HTTP/1 to HTTP/2 and back.


def test_a_websocket_by_extended_connect() -> None:
    server, peer = served()
    peer.h2.send_headers(1, WEBSOCKET)
    [received] = peer.pump()
    assert isinstance(received, RequestReceived)
    request = received.request
    assert (request.method, request.protocol, request.path, received.ended) == ("GET", "websocket", "/hello", False)
    server.send_response(1, ok(status=101), ended=False)
    server.send_data(1, b"frame")
    peer.h2.send_data(1, b"back")
    assert peer.pump() == [DataReceived(1, b"back", 4)]
    response, data = peer.take(h2.events.ResponseReceived, h2.events.DataReceived)
    assert isinstance(response, h2.events.ResponseReceived)
    assert texts(response) == [(":status", "200")]
    assert isinstance(data, h2.events.DataReceived)


def carry(source: H1Client | H2Client, sink: H1Server | H2Server) -> list[Event]:
    sink.receive_data(b"".join(source.data_to_send()))
    return sink.events()


def back(source: H1Server | H2Server, sink: H1Client | H2Client) -> list[Event]:
    sink.receive_data(b"".join(source.data_to_send()))
    return sink.events()


Pair = tuple[type[H1Client | H2Client], type[H1Server | H2Server]]
H1: Pair = (H1Client, H1Server)
H2: Pair = (H2Client, H2Server)

NAME = st.text("abcdefghij-", min_size=1, max_size=10).map(lambda name: f"x-{name}")
VALUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=20)
FIELDS = st.lists(st.tuples(NAME, VALUE), max_size=6).map(Headers)


@pytest.mark.parametrize(("first", "second"), [(H1, H2), (H2, H1), (H2, H2)], ids=["1-2-1", "2-1-2", "2-2-2"])
@given(
    headers=FIELDS,
    trailers=FIELDS.filter(len),
    body=st.binary(max_size=100),
    path=st.text("abc/?&=%", max_size=20).map(lambda text: f"/{text}"),
)
def test_there_and_back_nothing_is_lost(
    first: Pair, second: Pair, headers: Headers, trailers: Headers, body: bytes, path: str
) -> None:
    """client =first=> proxy =second=> server, and the answer on the same way."""
    client, near = first[0](), first[1]()
    far, server = second[0](), second[1]()
    request = HttpRequest("POST", path, "web:80", Headers([*headers, ("cookie", "a=b; c=d")]))
    client.send_request(request.copy(), ended=False)
    client.send_data(1, body)
    client.end(1, trailers)
    forward(carry(client, near), far)
    arrived = carry(far, server)
    assert isinstance(arrived[0], RequestReceived)
    seen = arrived[0].request
    seen.version = "HTTP/1.1"
    assert seen == request
    assert b"".join(event.data for event in arrived if isinstance(event, DataReceived)) == body
    assert arrived[-1] == MessageEnded(1, trailers)

    server.send_response(1, HttpResponse(200, headers.copy()), ended=False)
    server.send_data(1, body)
    server.end(1, trailers)
    answer(back(server, far), near)
    returned = back(near, client)
    assert isinstance(returned[0], ResponseReceived)
    assert returned[0].response.headers == headers
    assert returned[-1] == MessageEnded(1, trailers)


def forward(events: list[Event], codec: H1Client | H2Client) -> None:
    for event in events:
        if isinstance(event, RequestReceived):
            assert codec.send_request(event.request, ended=event.ended) == 1
        elif isinstance(event, DataReceived):
            codec.send_data(1, event.data)
        elif isinstance(event, MessageEnded):
            codec.end(1, event.trailers)


def answer(events: list[Event], codec: H1Server | H2Server) -> None:
    for event in events:
        if isinstance(event, ResponseReceived):
            codec.send_response(1, event.response, ended=event.ended)
        elif isinstance(event, DataReceived):
            codec.send_data(1, event.data)
        elif isinstance(event, MessageEnded):
            codec.end(1, event.trailers)


@pytest.mark.parametrize(("first", "second"), [(H1, H2), (H2, H1)], ids=["1-2", "2-1"])
def test_a_websocket_crosses_versions(first: Pair, second: Pair) -> None:
    client, near = first[0](), first[1]()
    far, server = second[0](), second[1]()
    asks = HttpRequest("GET", "/chat", "web", protocol="websocket")
    if first is H1:
        asks.headers.add("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")  # RFC 6455 1.3
    client.send_request(asks, ended=False)
    forward(carry(client, near), far)
    [arrived] = carry(far, server)
    assert isinstance(arrived, RequestReceived)
    assert arrived.request.protocol == "websocket"
    assert "sec-websocket-key" in arrived.request.headers  # always there for an HTTP/1 server behind us
    server.send_response(1, HttpResponse(101), ended=False)
    server.send_data(1, b"frame")
    answer(back(server, far), near)
    head, data = back(near, client)
    assert isinstance(head, ResponseReceived)
    assert head.response.status == 101
    if first is H1:
        assert head.response.headers.get("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert isinstance(data, DataReceived)


# Any bytes.


@given(pieces=st.lists(st.binary(max_size=60), max_size=5), preface=st.booleans())
def test_no_bytes_crash_a_server(pieces: list[bytes], preface: bool) -> None:
    server = H2Server()
    for piece in [frames.PREFACE if preface else b"", *pieces]:
        server.receive_data(piece)
        server.events()


@given(
    kinds=st.lists(
        st.tuples(st.integers(0, 10), st.integers(0, 255), st.integers(0, 5), st.binary(max_size=12)), max_size=12
    )
)
def test_no_frames_crash_either_side(kinds: list[tuple[int, int, int, bytes]]) -> None:
    client, server = H2Client(), H2Server()
    client.send_request(get(), ended=True)
    server.receive_data(b"".join(client.data_to_send()))
    client.receive_data(b"".join(server.data_to_send()))
    for kind, flags, stream, payload in kinds:
        wire = frames.frame(kind, flags, stream, payload)
        for codec in (client, server):
            codec.receive_data(wire)
            codec.events()
            codec.data_to_send()


@given(cuts=st.lists(st.integers(0, 600), max_size=12))
def test_how_bytes_are_cut_changes_nothing(cuts: list[int]) -> None:
    client = H2Client()
    for body in (b"one", b"two"):
        stream = client.send_request(get(method="POST"), ended=False)
        client.send_data(stream, body)
        client.end(stream, Headers([("x", "y")]))
    wire = b"".join(client.data_to_send()) + frames.goaway(0, 0)
    whole = H2Server()
    whole.receive_data(wire)
    server = H2Server()
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(wire)], strict=True):
        server.receive_data(wire[start:end])
    assert merged(server.events()) == merged(whole.events())


def merged(events: list[Event]) -> list[Event]:
    """Neighbouring pieces of a body joined: how they were cut is no matter."""
    out: list[Event] = []
    for event in events:
        last = out[-1] if out else None
        if isinstance(event, DataReceived) and isinstance(last, DataReceived) and last.stream == event.stream:
            out[-1] = DataReceived(event.stream, last.data + event.data, last.credit + event.credit)
        else:
            out.append(event)
    return out


def test_an_answer_in_http_1_is_no_answer() -> None:
    client = H2Client()
    client.send_request(get(), ended=True)
    client.receive_data(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    failed, connection = client.events()
    assert isinstance(failed, StreamFailed)
    assert failed.error.status == 502
    assert isinstance(connection, ConnectionFailed)
    assert client.is_closing


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


def test_what_a_server_says_of_websockets_is_known() -> None:
    client = H2Client()
    assert not client.can_upgrade
    client.receive_data(frames.settings({8: 1}))
    assert client.can_upgrade


def test_an_answer_that_is_whole_does_not_fail_with_its_connection() -> None:
    client, peer = asked()
    stream = client.send_request(get(method="POST"), ended=False)
    peer.pump()
    peer.h2.send_headers(stream, [(":status", "200")], end_stream=True)
    peer.pump()
    client.receive_eof()
    assert [type(event) for event in client.events()] == [PeerLeaving]


def test_draining_twice_says_it_once() -> None:
    server, peer = served()
    peer.h2.send_headers(1, GET)
    peer.pump()
    server.drain()
    server.drain()
    assert b"".join(server.data_to_send()) == frames.goaway(2**31 - 1, 0)
