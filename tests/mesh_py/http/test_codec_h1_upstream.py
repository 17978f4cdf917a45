"""HTTP/1 conversations, towards servers."""

from __future__ import annotations

import pytest

from mesh_py.http.codec_h1 import H1Client
from mesh_py.http.errors import UpstreamBadMessage, UpstreamReset
from mesh_py.http.events import (
    AnswerReceived,
    ConnectionFailed,
    DataReceived,
    InterimReceived,
    MessageEnded,
    PeerLeaving,
    ResponseReceived,
    StreamFailed,
)
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest, HttpResponse
from tests.mesh_py.http.conversations_h1 import ask, body_of, closes, get, sent, takes_another


def test_a_client_keeps_the_connection_for_the_next_request() -> None:
    client = ask(get())
    assert not takes_another(client)
    client.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    answer = HttpResponse(200, Headers([("content-length", "2")]), reason="OK")
    assert client.events() == [AnswerReceived(1, answer, b"hi")]
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
