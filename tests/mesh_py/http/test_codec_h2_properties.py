"""HTTP/2 whatever the bytes, and from version to version with ourselves at the other end."""

from __future__ import annotations

import h2.events
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbone_py import frames
from mesh_py.http.codec_h1 import H1Client, H1Server
from mesh_py.http.codec_h2 import H2Client, H2Server
from mesh_py.http.events import DataReceived, Event, MessageEnded, RequestReceived, ResponseReceived
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest, HttpResponse
from tests.mesh_py.http.conversations_h2 import WEBSOCKET, get, ok, served, texts


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


# Whatever the bytes.


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
