"""Heads of the usual form: whatever is read at one stroke is read by llhttp to the same effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.http.h1_head import Framing, Head, HeadReader
from mesh_py.http.h1_quick import read_request, read_response
from mesh_py.http.limits import Limits

if TYPE_CHECKING:
    from mesh_py.http.messages import HttpRequest, HttpResponse

LIMITS = Limits()
GET = b"GET /items?a=b HTTP/1.1\r\nHost: web:80\r\nUser-Agent: t\r\nAccept: */*\r\nX-Own: \xe9 \r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 4\r\nconnection: keep-alive\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nserver: x\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\n"
CHUNKED = b"HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n"


def by_llhttp(data: bytes) -> tuple[HttpRequest, Head, int]:
    reader = HeadReader(LIMITS)
    taken = reader.feed(data, httptools.HttpRequestParser)
    assert reader.is_complete
    request, head = reader.take_request()
    return request, head, taken


def answer_by_llhttp(data: bytes, method: str) -> tuple[HttpResponse, Head, int]:
    reader = HeadReader(LIMITS)
    taken = reader.feed(data, httptools.HttpResponseParser)
    assert reader.is_complete
    response, head = reader.take_response(method, "")
    return response, head, taken


@pytest.mark.parametrize("data", [GET, POST + b"body", GET + GET])
def test_usual_requests_are_read_at_one_stroke(data: bytes) -> None:
    assert read_request(data, LIMITS, "http") == by_llhttp(data)


@pytest.mark.parametrize("data", [OK + b"ok", CHUNKED + b"0\r\n\r\n", b"HTTP/1.1 204 \r\n\r\n"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_usual_answers_are_read_at_one_stroke(data: bytes, method: str) -> None:
    assert read_response(data, LIMITS, method) == answer_by_llhttp(data, method)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"CONNECT web:80 HTTP/1.1\r\nhost: web:80\r\n\r\n", id="CONNECT"),
        pytest.param(b"GET http://web/ HTTP/1.1\r\nhost: web\r\n\r\n", id="an absolute target"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\nhost: web\r\n\r\n", id="of the server"),
        pytest.param(b"GET / HTTP/1.0\r\nhost: web\r\n\r\n", id="an old version"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", id="two hosts"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: a b\r\n\r\n", id="no proper host"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", id="the last one"),
        pytest.param(
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", id="an upgrade"
        ),
        pytest.param(b"GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\n\r\n", id="te"),
        pytest.param(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", id="a chunked body"),
        pytest.param(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n", id="two lengths"),
        pytest.param(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\n", id="no length"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: a\r\n folded\r\n\r\n", id="a folded line"),
        pytest.param(b"GET / HTTP/1.1\nhost: a\n\n", id="bare line ends"),
        pytest.param(GET[:-1], id="not whole"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 101 + b"\r\n", id="too many fields"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: a\r\nx: " + bytes([65]) * 70_000 + b"\r\n\r\n", id="too long"),
    ],
)
def test_any_other_is_left_to_llhttp(data: bytes) -> None:
    assert read_request(data, LIMITS, "http") is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="interim"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n", id="an upgrade"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", id="ends with the connection"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", id="two framings"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nhost: web\r\n\r\n", id="a host"),
        pytest.param(b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n", id="an old version"),
    ],
)
def test_any_other_answer_is_left_to_llhttp(data: bytes) -> None:
    assert read_response(data, LIMITS, "GET") is None


def test_every_character_everywhere() -> None:
    """At each place of a head, each byte: read as llhttp reads it, or not read."""
    for position in range(len(GET)):
        for byte in range(256):
            data = GET[:position] + bytes([byte]) + GET[position + 1 :]
            if (quick := read_request(data, LIMITS, "http")) is not None:
                assert quick == by_llhttp(data), data
    for position in range(len(OK)):
        for byte in range(256):
            data = OK[:position] + bytes([byte]) + OK[position + 1 :]
            if (answer := read_response(data, LIMITS, "GET")) is not None:
                assert answer == answer_by_llhttp(data, "GET"), data


NAMES = st.sampled_from(
    (
        *(b"Host", b"host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Upgrade", b"TE", b"Keep-Alive"),
        *(b"X-A", b"accept", b"Cookie", b"x-request-id", b"Proxy-Connection", b"expect", b"X_Forwarded_Client_Cert"),
    )
)
VALUES = st.sampled_from(
    (
        *(b"", b" ", b"web", b" web \t", b"0", b"12", b"007", b"chunked", b"Chunked", b"close", b"keep-alive"),
        *(b"Keep-Alive", b"a,b", b"x\x7f", b"\xff", b"100-continue", b"keep-alive, x-a"),
    )
)
FIELDS = st.lists(st.builds(lambda name, value: name + b":" + value + b"\r\n", NAMES, VALUES), max_size=5)


LINES = st.sampled_from([b"GET /", b"POST /a?b=c", b"HEAD /a#b", b"BREW /", b"get /", b"GET a", b"GET //"])


@given(LINES, FIELDS)
def test_whatever_is_read_is_read_alike(line: bytes, fields: list[bytes]) -> None:
    for more in ([], [b"host: web\r\n"]):
        data = line + b" HTTP/1.1\r\n" + b"".join([*more, *fields]) + b"\r\n"
        if (quick := read_request(data, LIMITS, "http")) is not None:
            assert quick == by_llhttp(data)


@given(
    st.sampled_from([b"200 OK", b"204 None", b"304 ", b"500 \xe9", b"200"]), FIELDS, st.sampled_from(["GET", "HEAD"])
)
def test_answers_too(line: bytes, fields: list[bytes], method: str) -> None:
    data = b"HTTP/1.1 " + line + b"\r\n" + b"".join(fields) + b"\r\n"
    if (quick := read_response(data, LIMITS, method)) is not None:
        assert quick == answer_by_llhttp(data, method)


@given(st.lists(st.sampled_from([b"host: web", b"accept: */*", b"content-length: 2", b"x-a: b"]), max_size=4), VALUES)
def test_heads_that_differ_in_their_id_are_remembered_alike(lines: list[bytes], value: bytes) -> None:
    for at in range(len(lines) + 1):
        for name in (b"x-request-id: ", b"x-request-id:", b"X-Request-Id: ", b"a-x-request-id: "):
            for said in (b"one", b" two ", b"", value, b"\0", b"a\nb", b"a\rb"):
                head = b"\r\n".join([b"GET / HTTP/1.1", *lines[:at], name + said, *lines[at:], b"", b""])
                if (quick := read_request(head, LIMITS, "http")) is not None:
                    assert quick == by_llhttp(head)


def test_lines_that_repeat_are_remembered_alike() -> None:
    assert read_request(GET, LIMITS, "http") == read_request(GET, LIMITS, "http")
    quick = read_response(CHUNKED, LIMITS, "GET")
    assert quick is not None
    assert quick[1].framing is Framing.CHUNKED
