"""HTTP/1 conversations, towards clients and towards servers."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbone_py.errors import ErrorCode
from mesh_py.http.codec_h1 import H1Client, H1Server
from mesh_py.http.errors import DownstreamGone, UnwritableMessage, UpstreamBadMessage, UpstreamReset
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
)
from mesh_py.http.headers import Headers
from mesh_py.http.limits import Limits
from mesh_py.http.messages import HttpRequest, HttpResponse

GET = b"GET /hello?x=1 HTTP/1.1\r\nHost: web\r\nAccept: */*\r\n\r\n"
POST = b"POST /in HTTP/1.1\r\nHost: web\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /in HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n"
)
WEBSOCKET = (
    b"GET /chat HTTP/1.1\r\nHost: web\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: x\r\n\r\n"
)


def sent(codec: H1Server | H1Client) -> bytes:
    return b"".join(codec.data_to_send())


def serve(*pieces: bytes, limits: Limits | None = None) -> tuple[H1Server, list[Event]]:
    server = H1Server(limits or Limits())
    for piece in pieces:
        server.receive_data(piece)
    return server, server.events()


def ask(request: HttpRequest, *, ended: bool = True) -> H1Client:
    client = H1Client()
    client.send_request(request, ended=ended)
    client.data_to_send()
    return client


def get(path: str = "/", method: str = "GET", **headers: str) -> HttpRequest:
    return HttpRequest(method, path, "web", Headers(headers.items()))


def ok(*fields: tuple[str, str], status: int = 200) -> HttpResponse:
    return HttpResponse(status, Headers(fields))


def body_of(events: list[Event]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, DataReceived))


def closes(codec: H1Server | H1Client) -> bool:
    return codec.is_closing


def takes_another(client: H1Client) -> bool:
    return client.can_open


def streams(events: list[Event]) -> set[int]:
    return {event.stream for event in events if not isinstance(event, PeerLeaving | ConnectionFailed)}


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


def test_a_client_opens_a_tunnel() -> None:
    client = H1Client()
    stream = client.send_request(HttpRequest("GET", "/chat", "web", protocol="websocket"), ended=False)
    assert sent(client) == b"GET /chat HTTP/1.1\r\nhost: web\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    client.receive_data(b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\nframe")
    head, data = client.events()
    assert isinstance(head, ResponseReceived)
    assert data == DataReceived(stream, b"frame", 5)
    client.send_data(stream, b"back")
    client.end(stream)
    assert sent(client) == b"back"
    assert client.is_half_closed
    client.receive_eof()
    assert client.events() == [MessageEnded(stream)]
    assert client.is_closing


def test_a_refused_upgrade_leaves_an_ordinary_answer() -> None:
    client = ask(HttpRequest("GET", "/chat", "web", protocol="websocket"), ended=False)
    client.receive_data(b"HTTP/1.1 403 x\r\nContent-Length: 2\r\n\r\nno")
    assert body_of(client.events()) == b"no"
    assert client.can_open


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: chess\r\n\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 101 x\r\n\r\n", id="no protocol"),
    ],
)
def test_an_upgrade_to_something_else_is_refused(answer: bytes) -> None:
    client = ask(HttpRequest("GET", "/chat", "web", protocol="websocket"), ended=False)
    client.receive_data(answer)
    assert isinstance(client.events()[-1], ConnectionFailed)


# Towards servers.


def test_a_client_keeps_the_connection_for_the_next_request() -> None:
    client = ask(get())
    assert not takes_another(client)
    client.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    head, data, end = client.events()
    assert isinstance(head, ResponseReceived)
    assert head.response == HttpResponse(200, Headers([("content-length", "2")]), reason="OK")
    assert (data, end) == (DataReceived(1, b"hi", 2), MessageEnded(1))
    assert takes_another(client)
    assert client.send_request(get("/next"), ended=True) == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", id="1.1 close"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", id="1.0"),
    ],
)
def test_a_server_that_closes_gets_no_further_request(answer: bytes) -> None:
    client = ask(get())
    client.receive_data(answer)
    assert client.is_closing
    assert not client.can_open


def test_a_body_may_end_with_the_connection() -> None:
    client = ask(get())
    client.receive_data(b"HTTP/1.1 200 OK\r\n\r\nhel")
    client.receive_data(b"lo")
    client.receive_eof()
    events = client.events()
    assert body_of(events) == b"hello"
    assert events[-1] == MessageEnded(1)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="before the head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", id="in the head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", id="in a counted body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", id="no last chunk"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="after an interim response"),
    ],
)
def test_an_answer_cut_short_has_failed(answer: bytes) -> None:
    client = ask(get())
    client.receive_data(answer)
    client.receive_eof()
    last = client.events()[-1]
    assert isinstance(last, StreamFailed)
    assert isinstance(last.error, UpstreamReset)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_ends_with_its_head(method: str, status: int) -> None:
    client = ask(get(method=method))
    client.receive_data(b"HTTP/1.1 %d x\r\nContent-Length: 7\r\n\r\n" % status)
    [head] = client.events()
    assert isinstance(head, ResponseReceived)
    assert head.ended
    assert client.can_open


def test_the_answer_to_head_has_no_body_whatever_it_says() -> None:
    client = ask(get(method="HEAD"))
    client.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert client.can_open
    client.send_request(get(), ended=True)
    client.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
    assert body_of(client.events()) == b"x"


def test_interim_responses_are_told_apart() -> None:
    client = ask(get(method="PUT", expect="100-continue"), ended=False)
    client.receive_data(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n")
    assert [event.response.status for event in client.events() if isinstance(event, InterimReceived)] == [100, 103]
    client.send_data(1, b"x")
    client.end(1)
    client.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert client.can_open


def test_interim_responses_without_end_are_refused() -> None:
    client = ask(get())
    client.receive_data(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
    assert isinstance(client.events()[-1], ConnectionFailed)


def test_a_server_that_answers_early_is_not_asked_again() -> None:
    client = ask(get(method="PUT"), ended=False)
    client.receive_data(b"HTTP/1.1 413 x\r\nContent-Length: 0\r\n\r\n")
    assert client.is_closing
    client.send_data(1, b"late")
    assert sent(client) == b""


@pytest.mark.parametrize("extra", [b"x", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["a byte", "a response"])
def test_bytes_that_nobody_asked_for_end_the_connection(extra: bytes) -> None:
    client = ask(get())
    client.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + extra)
    last = client.events()[-1]
    assert isinstance(last, ConnectionFailed)
    assert isinstance(last.error, UpstreamBadMessage)


def test_a_server_that_leaves_an_idle_connection_is_only_leaving() -> None:
    client = ask(get())
    client.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    client.events()
    client.receive_eof()
    assert isinstance(client.events()[-1], PeerLeaving)


@pytest.mark.parametrize(
    ("request_", "ended", "expected"),
    [
        pytest.param(get(), True, b"GET / HTTP/1.1\r\nhost: web\r\n\r\n", id="GET"),
        pytest.param(get(method="POST"), True, b"POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 0\r\n\r\n", id="POST"),
        pytest.param(
            get(method="POST"), False, b"POST / HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n", id="body"
        ),
        pytest.param(
            HttpRequest("CONNECT", "", "db:1"), False, b"CONNECT db:1 HTTP/1.1\r\nhost: db:1\r\n\r\n", id="CONNECT"
        ),
    ],
)
def test_a_request_on_the_wire(request_: HttpRequest, ended: bool, expected: bytes) -> None:
    client = H1Client()
    client.send_request(request_, ended=ended)
    assert sent(client) == expected


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", id="CL and TE"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", id="two lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", id="another coding"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n", id="space before the colon"),
        pytest.param(b"HTTP/1.1 200 OK\nX: y\n\n", id="bare line feeds"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", id="a folded line"),
        pytest.param(b"HTTP/3.0 200 OK\r\n\r\n", id="another version"),
        pytest.param(b"HTTP/1.1 99 OK\r\n\r\n", id="a status below 100"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", id="no HTTP"),
    ],
)
def test_an_answer_that_could_be_read_in_two_ways_is_refused(answer: bytes) -> None:
    client = ask(get())
    client.receive_data(answer)
    failed, connection = client.events()
    assert isinstance(failed, StreamFailed)
    assert isinstance(failed.error, UpstreamBadMessage)
    assert failed.error.status == 502
    assert isinstance(connection, ConnectionFailed)
    assert client.is_closing


# Properties.

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


def test_a_client_keeps_to_the_length_it_announced() -> None:
    client = ask(HttpRequest("POST", "/", "web", Headers([("content-length", "5")])), ended=False)
    client.send_data(1, b"hello")
    client.end(1)
    assert sent(client) == b"hello"
    client.receive_data(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert client.can_open


def test_a_client_that_drains_finishes_first() -> None:
    busy, idle = ask(get()), H1Client()
    for client in (busy, idle):
        client.drain()
    assert (closes(busy), closes(idle)) == (False, True)
    busy.receive_data(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert closes(busy)


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
