"""HTTP/1 whatever the bytes and however they are cut; h11 reads what we write."""

from __future__ import annotations

from itertools import pairwise

import h11
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.http.codec_h1 import H1Client, H1Server
from mesh_py.http.events import DataReceived, Event, MessageEnded, RequestReceived
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest, HttpResponse
from tests.mesh_py.http.conversations_h1 import CHUNKED, GET, POST, WEBSOCKET, ask, body_of, get, ok, sent, serve

CONVERSATION = GET + POST + CHUNKED + b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + WEBSOCKET + b"raw\r\n\r\nbytes"


def merged(events: list[Event]) -> list[Event]:
    """Neighbouring pieces of a body joined: how they were cut is no matter."""
    out: list[Event] = []
    for event in events:
        if isinstance(event, DataReceived) and out and isinstance(out[-1], DataReceived):
            out[-1] = DataReceived(event.stream, out[-1].data + event.data, out[-1].credit + event.credit)
        else:
            out.append(event)
    return out


def answer(server: H1Server, event: Event) -> None:
    if isinstance(event, MessageEnded) or (isinstance(event, RequestReceived) and event.ended):
        server.send_response(event.stream, ok(), ended=True)
    elif isinstance(event, RequestReceived) and event.request.is_tunnel:
        server.send_response(event.stream, ok(status=101), ended=False)


def served(pieces: list[bytes]) -> list[Event]:
    """Everything a server reports that answers each request when it is complete."""
    server, seen = H1Server(), []
    for piece in pieces:
        server.receive_data(piece)
        while events := server.events():
            seen += events
            for event in events:
                answer(server, event)
    return merged(seen)


@given(cuts=st.lists(st.integers(0, len(CONVERSATION)), max_size=40))
def test_how_bytes_are_cut_changes_nothing(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(CONVERSATION)]
    pieces = [CONVERSATION[a:b] for a, b in pairwise(edges)]
    assert served(pieces) == served([CONVERSATION])


def test_byte_by_byte_is_the_same_conversation() -> None:
    assert served([bytes([byte]) for byte in CONVERSATION]) == served([CONVERSATION])
    assert len([event for event in served([CONVERSATION]) if isinstance(event, RequestReceived)]) == 5


NOISE = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([GET, POST, CHUNKED, WEBSOCKET, b"\r\n", b"\r\n\r\n", b"0\r\n", b"5\r\n", b"Host: a\r\n"]),
)


@given(pieces=st.lists(NOISE, max_size=8))
def test_no_bytes_of_a_client_crash_it(pieces: list[bytes]) -> None:
    served(pieces)


@given(
    start=st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 x\r\n\r\n", b"HTTP/1.0 204\r\n"]),
    pieces=st.lists(st.one_of(NOISE, st.just(b"Transfer-Encoding: chunked\r\n\r\n")), max_size=8),
)
def test_no_bytes_of_a_server_crash_it(start: bytes, pieces: list[bytes]) -> None:
    client = ask(get())
    for piece in [start, *pieces]:
        client.receive_data(piece)
    client.receive_eof()
    assert client.is_closing


TOKEN = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).map(lambda name: f"x-{name}")
VALUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)
HEADERS = st.lists(st.tuples(TOKEN, VALUE), max_size=8).map(Headers)
PATHS = st.text("abcXYZ019/-_.~%?&=", max_size=30).map(lambda text: f"/{text}")


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=PATHS,
    headers=HEADERS,
    body=st.lists(st.binary(min_size=1, max_size=50), max_size=5),
    trailers=HEADERS,
)
def test_what_one_side_writes_the_other_reads(
    method: str, path: str, headers: Headers, body: list[bytes], trailers: Headers
) -> None:
    request = HttpRequest(method, path, "web:80", headers)
    client, server = H1Client(), H1Server()
    stream = client.send_request(request, ended=False)
    for piece in body:
        client.send_data(stream, piece)
    client.end(stream, trailers if len(trailers) else None)
    server.receive_data(sent(client))
    events = merged(server.events())
    assert events[0] == RequestReceived(1, request, ended=False)
    assert body_of(events) == b"".join(body)
    assert events[-1] == MessageEnded(1, trailers if len(trailers) else None)


@given(path=PATHS, headers=HEADERS, body=st.binary(max_size=60), chunked=st.booleans())
def test_h11_understands_the_same(path: str, headers: Headers, body: bytes, chunked: bool) -> None:
    """Differential: what h11 writes we read, what we write h11 reads, and both say the same."""
    framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body)))
    theirs = h11.Connection(h11.CLIENT)
    wire = theirs.send(h11.Request(method="POST", target=path, headers=[("Host", "web"), *headers.fields, framing]))
    wire += theirs.send(h11.Data(body)) if body else b""
    wire += theirs.send(h11.EndOfMessage())
    server, events = serve(wire or b"")
    [received] = [event for event in events if isinstance(event, RequestReceived)]
    assert [field for field in received.request.headers if field[0] != "content-length"] == headers.fields
    assert body_of(events) == body

    server.send_response(1, HttpResponse(200, headers), ended=False)
    server.send_data(1, body)
    server.end(1)
    theirs.receive_data(sent(server))
    response = theirs.next_event()
    assert isinstance(response, h11.Response)
    assert [(name.decode(), value.decode()) for name, value in response.headers][: len(headers)] == headers.fields
    data = b""
    while isinstance(event := theirs.next_event(), h11.Data):
        data += event.data
    assert data == body
    assert isinstance(event, h11.EndOfMessage)
