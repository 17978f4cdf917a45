"""Heads that two readers might read in two ways are refused, each with its status and the end of the connection."""

from __future__ import annotations

import h11
import pytest

from mesh_py.http.codec_h1 import H1Server
from mesh_py.http.events import ConnectionFailed, Event, RequestReceived
from mesh_py.http.limits import Limits

NEXT = b"GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n"


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([*lines, b"", b""])


def get(*lines: bytes) -> bytes:
    return head(b"GET / HTTP/1.1", b"Host: a", *lines)


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return head(b"POST / HTTP/1.1", b"Host: a", *lines) + body


def chunks(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


ATTACKS = [
    pytest.param(post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400, id="CL and TE"),
    pytest.param(post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"), 400, id="TE and CL"),
    pytest.param(post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello"), 400, id="two lengths"),
    pytest.param(post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"), 400, id="equal lengths twice"),
    pytest.param(post(b"Content-Length: 5, 5", body=b"hello"), 400, id="a list of equal lengths"),
    pytest.param(post(b"Content-Length: 5, 6", body=b"hello"), 400, id="a list of lengths"),
    pytest.param(post(b"Content-Length: +5", body=b"hello"), 400, id="length with a sign"),
    pytest.param(post(b"Content-Length: -5", body=b"hello"), 400, id="negative length"),
    pytest.param(post(b"Content-Length: 0x5", body=b"hello"), 400, id="length in hex"),
    pytest.param(post(b"Content-Length: 5 5", body=b"hello"), 400, id="length with a space inside"),
    pytest.param(post(b"Content-Length:", body=b"hello"), 400, id="empty length"),
    pytest.param(post(b"Content-Length: 99999999999999999999", body=b"hello"), 400, id="length beyond 64 bits"),
    pytest.param(post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 400, id="another coding first"),
    pytest.param(post(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"), 400, id="chunked not last"),
    pytest.param(post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), 400, id="unknown coding"),
    pytest.param(post(b"Transfer-Encoding: identity", body=b"hello"), 400, id="identity"),
    pytest.param(post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), 400, id="chunked twice"),
    pytest.param(post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: x", body=b"0\r\n\r\n"), 400, id="two TE"),
    pytest.param(post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), 400, id="TE with a vertical tab"),
    pytest.param(post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"), 400, id="space before the colon"),
    pytest.param(post(b"Transfer-Encoding:", body=b"hello"), 400, id="empty coding"),
    pytest.param(
        head(b"POST / HTTP/1.0", b"Host: a", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 400, id="coding in 1.0"
    ),
    pytest.param(b"GET / HTTP/1.1\nHost: a\n\n", 400, id="bare LF"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400, id="bare LF behind a header"),
    pytest.param(get(b"X: a\rb"), 400, id="bare CR in a value"),
    pytest.param(get(b"X: a", b" b"), 400, id="folded line"),
    pytest.param(head(b"GET / HTTP/1.1", b" Host: a"), 400, id="space in front of the first header"),
    pytest.param(get(b"X: a\0b"), 400, id="NUL in a value"),
    pytest.param(get(b"X\0: a"), 400, id="NUL in a name"),
    pytest.param(get(b"X: a\x01b"), 400, id="control character in a value"),
    pytest.param(get(b"X(: a"), 400, id="separator in a name"),
    pytest.param(get(b"X\xe9: a"), 400, id="high byte in a name"),
    pytest.param(get(b": a"), 400, id="empty name"),
    pytest.param(get(b"no colon"), 400, id="line without a colon"),
    pytest.param(get(b"Connection: Host"), 400, id="connection names host"),
    pytest.param(get(b"Connection: close, X-Forwarded-For"), 400, id="connection names x-forwarded-for"),
    pytest.param(head(b"GE T / HTTP/1.1", b"Host: a"), 400, id="space in the method"),
    pytest.param(head(b"get / HTTP/1.1", b"Host: a"), 400, id="lower-case method"),
    pytest.param(head(b"JUMP / HTTP/1.1", b"Host: a"), 400, id="unknown method"),
    pytest.param(head(b"GET\t/ HTTP/1.1", b"Host: a"), 400, id="tab behind the method"),
    pytest.param(head(b"GET /a b HTTP/1.1", b"Host: a"), 400, id="space in the target"),
    pytest.param(head(b"GET /a\x01 HTTP/1.1", b"Host: a"), 400, id="control character in the target"),
    pytest.param(head(b"GET /a#b HTTP/1.1", b"Host: a"), 400, id="fragment"),
    pytest.param(head(b"GET a HTTP/1.1", b"Host: a"), 400, id="target that is no path"),
    pytest.param(head(b"GET * HTTP/1.1", b"Host: a"), 400, id="star with GET"),
    pytest.param(head(b"GET http://a@b/ HTTP/1.1", b"Host: b"), 400, id="userinfo in the target"),
    pytest.param(head(b"GET http://b/ HTTP/1.1", b"Host: a"), 400, id="target and host differ"),
    pytest.param(head(b"GET ftp://a/ HTTP/1.1", b"Host: a"), 400, id="another scheme"),
    pytest.param(head(b"CONNECT b:1 HTTP/1.1", b"Host: a:1"), 400, id="CONNECT and host differ"),
    pytest.param(head(b"CONNECT a:1 HTTP/1.1", b"Host: a:1", b"Content-Length: 5"), 400, id="CONNECT with a body"),
    pytest.param(head(b"GET / HTTP/1.1"), 400, id="no host"),
    pytest.param(get(b"Host: b"), 400, id="two hosts"),
    pytest.param(head(b"GET / HTTP/1.1", b"Host: a/b"), 400, id="host with a slash"),
    pytest.param(head(b"GET / HTTP/1.1", b"Host: a, b"), 400, id="host with a comma list"),
    pytest.param(
        get(b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 5"), 400, id="websocket with a body"
    ),
    pytest.param(head(b"GET / HTTP/1.1 ", b"Host: a"), 400, id="space behind the version"),
    pytest.param(head(b"GET / http/1.1", b"Host: a"), 400, id="lower-case version"),
    pytest.param(head(b"GET / HTTP/1.2", b"Host: a"), 400, id="version 1.2"),
    pytest.param(head(b"GET / HTTP/2.0", b"Host: a"), 505, id="version 2.0"),
    pytest.param(head(b"GET / HTTP/0.9"), 505, id="version 0.9"),
    pytest.param(b"GET /\r\n\r\n", 505, id="no version"),
    pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, id="TLS"),
    pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="HTTP/2"),
]

CHUNK_ATTACKS = [
    pytest.param(chunks(b"zz\r\n\r\n"), 400, id="chunk size that is no number"),
    pytest.param(chunks(b"-1\r\n\r\n"), 400, id="negative chunk size"),
    pytest.param(chunks(b"0x1\r\na\r\n0\r\n\r\n"), 400, id="chunk size with 0x"),
    pytest.param(chunks(b"1_0\r\na\r\n0\r\n\r\n"), 400, id="chunk size with an underscore"),
    pytest.param(chunks(b"10000000000000001\r\na\r\n0\r\n\r\n"), 400, id="chunk size beyond 64 bits"),
    pytest.param(chunks(b"1 \r\na\r\n0\r\n\r\n"), 400, id="space behind a chunk size"),
    pytest.param(chunks(b" 1\r\na\r\n0\r\n\r\n"), 400, id="space before a chunk size"),
    pytest.param(chunks(b"1\na\r\n0\r\n\r\n"), 400, id="bare LF behind a chunk size"),
    pytest.param(chunks(b"1\r\naXX0\r\n\r\n"), 400, id="no line end behind a chunk"),
    pytest.param(chunks(b"1;a\nb\r\na\r\n0\r\n\r\n"), 400, id="bare LF in an extension"),
    pytest.param(chunks(b"\r\n0\r\n\r\n"), 400, id="empty chunk size"),
    pytest.param(chunks(b"1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n"), 400, id="length in the trailers"),
    pytest.param(chunks(b"1\r\na\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, id="coding in the trailers"),
    pytest.param(chunks(b"1\r\na\r\n0\r\nX : y\r\n\r\n"), 400, id="space before the colon of a trailer"),
    pytest.param(chunks(b"1\r\na\r\n0\r\nX: " + b"y" * 70_000), 431, id="trailers without end"),
    pytest.param(chunks(b"1;" + b"y" * 70_000 + b"\r\na\r\n0\r\n\r\n"), 431, id="a chunk extension without end"),
]


def first_answer(server: H1Server) -> bytes:
    return b"".join(server.data_to_send()).partition(b"\r\n")[0]


@pytest.mark.parametrize(("attack", "status"), [*ATTACKS, *CHUNK_ATTACKS])
def test_an_attack_is_refused_and_the_connection_closed(attack: bytes, status: int) -> None:
    server = H1Server()
    server.receive_data(attack + NEXT)
    events = server.events()
    assert isinstance(events[-1], ConnectionFailed)
    assert first_answer(server).startswith(b"HTTP/1.1 %d " % status)
    assert server.is_closing
    assert "/smuggled" not in paths(events)


@pytest.mark.parametrize(("attack", "status"), [*ATTACKS, *CHUNK_ATTACKS])
def test_cut_into_single_bytes_it_is_refused_too(attack: bytes, status: int) -> None:
    server = H1Server()
    for index in range(len(attack[:600])):
        server.receive_data(attack[index : index + 1])
    server.receive_data(attack[600:] + NEXT)
    assert isinstance(server.events()[-1], ConnectionFailed)
    assert first_answer(server).startswith(b"HTTP/1.1 %d " % status)


def paths(events: list[Event]) -> list[str]:
    return [event.request.path for event in events if isinstance(event, RequestReceived)]


# What h11 lets through, knowing less or trusting more; the rest it refuses as we do.
H11_LETS_THROUGH = {
    # RFC 9112 allows a reader to be lenient here; a proxy should not be.
    *("CL and TE", "TE and CL", "equal lengths twice", "a list of equal lengths"),
    *("bare LF", "bare LF behind a header", "folded line", "space behind a chunk size"),
    # It looks at the form of fields and lines and leaves their meaning to its user.
    *("connection names host", "connection names x-forwarded-for", "host with a slash", "host with a comma list"),
    *("target and host differ", "CONNECT and host differ", "CONNECT with a body", "websocket with a body"),
    *("fragment", "target that is no path", "star with GET", "userinfo in the target", "another scheme"),
    *("unknown method", "lower-case method", "version 1.2", "version 2.0", "version 0.9", "HTTP/2"),
    *("control character in a value", "length beyond 64 bits", "chunk size beyond 64 bits", "coding in 1.0"),
    *("length in the trailers", "coding in the trailers", "a chunk extension without end"),
}


@pytest.mark.parametrize(("attack", "_status"), [*ATTACKS, *CHUNK_ATTACKS])
def test_h11_refuses_it_too_or_we_know_why(attack: bytes, _status: int, request: pytest.FixtureRequest) -> None:
    theirs = h11.Connection(h11.SERVER)
    theirs.receive_data(attack)
    refused = False
    try:
        while theirs.next_event() not in (h11.NEED_DATA, h11.PAUSED, h11.EndOfMessage()):
            pass
    except h11.RemoteProtocolError:
        refused = True
    assert refused is (request.node.callspec.id not in H11_LETS_THROUGH)


@pytest.mark.parametrize(
    ("fields", "line", "status"),
    [
        pytest.param(b"X: " + b"y" * 70_000, b"GET / HTTP/1.1", 431, id="head"),
        pytest.param(b"\r\n".join(b"X%d: y" % i for i in range(101)), b"GET / HTTP/1.1", 431, id="fields"),
        pytest.param(b"X: y", b"GET /" + b"y" * 20_000 + b" HTTP/1.1", 414, id="line"),
    ],
)
def test_limits(fields: bytes, line: bytes, status: int) -> None:
    server = H1Server()
    server.receive_data(head(line, b"Host: a", fields))
    assert first_answer(server).startswith(b"HTTP/1.1 %d " % status)
    assert server.is_closing


def test_a_head_that_never_ends_is_refused_while_it_comes() -> None:
    server = H1Server(Limits(head_bytes=1000))
    server.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
    for _ in range(20):
        server.receive_data(b"y" * 100)
    assert first_answer(server).startswith(b"HTTP/1.1 431 ")


def test_empty_lines_without_end_are_refused() -> None:
    server = H1Server(Limits(head_bytes=1000))
    server.receive_data(b"\r\n" * 1000)
    assert server.is_closing


# What must be let through.


@pytest.mark.parametrize(
    ("wire", "authority", "path", "scheme"),
    [
        pytest.param(get(), "a", "/", "http", id="origin form"),
        pytest.param(head(b"GET /a/b?c=d&e HTTP/1.1", b"Host: a:80"), "a:80", "/a/b?c=d&e", "http", id="query"),
        pytest.param(head(b"GET http://a/b HTTP/1.1", b"Host: a"), "a", "/b", "http", id="absolute form"),
        pytest.param(head(b"GET http://A HTTP/1.1", b"Host: a"), "A", "/", "http", id="absolute without a path"),
        pytest.param(head(b"GET http://a?x HTTP/1.1", b"Host: a"), "a", "/?x", "http", id="absolute with a query"),
        pytest.param(head(b"OPTIONS * HTTP/1.1", b"Host: a"), "a", "*", "http", id="star"),
        pytest.param(head(b"CONNECT a:1 HTTP/1.1", b"Host: a:1"), "a:1", "", "http", id="CONNECT"),
        pytest.param(head(b"GET / HTTP/1.1", b"Host: [::1]:80"), "[::1]:80", "/", "http", id="IPv6"),
        pytest.param(head(b"GET / HTTP/1.0"), "", "/", "http", id="1.0 without host"),
        pytest.param(b"\r\n" + get(), "a", "/", "http", id="an empty line in front"),
        # Written by us with one space: nobody behind us can read it otherwise.
        pytest.param(head(b"GET  / HTTP/1.1", b"Host: a"), "a", "/", "http", id="two spaces"),
    ],
)
def test_targets(wire: bytes, authority: str, path: str, scheme: str) -> None:
    server = H1Server()
    server.receive_data(wire)
    [received] = server.events()
    assert isinstance(received, RequestReceived)
    request = received.request
    assert (request.authority, request.path, request.scheme) == (authority, path, scheme)


@pytest.mark.parametrize(
    ("line", "value"),
    [(b"X: \t y \t", "y"), (b"X:", ""), (b"X:y", "y"), (b"X: \xe9", "\xe9"), (b"x: a  b", "a  b")],
    ids=["spaces around", "empty", "no space", "high byte", "spaces inside"],
)
def test_values(line: bytes, value: str) -> None:
    server = H1Server()
    server.receive_data(get(line))
    [received] = server.events()
    assert isinstance(received, RequestReceived)
    assert received.request.headers.fields == [("x", value)]
