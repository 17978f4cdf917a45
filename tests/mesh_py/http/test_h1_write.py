"""Heads on the wire."""

from __future__ import annotations

import pytest

from mesh_py.http.errors import UnwritableMessage
from mesh_py.http.h1_head import Framing
from mesh_py.http.h1_write import field_lines, write_request, write_response
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest, HttpResponse


@pytest.mark.parametrize(
    ("response", "line"),
    [
        (HttpResponse(200), b"HTTP/1.1 200 OK\r\n"),
        (HttpResponse(200, reason="Fine"), b"HTTP/1.1 200 Fine\r\n"),
        (HttpResponse(299), b"HTTP/1.1 299 \r\n"),
    ],
    ids=["usual words", "its own words", "unknown status"],
)
def test_status_lines(response: HttpResponse, line: bytes) -> None:
    assert write_response(response, Framing.NONE) == line + b"\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest("GET", "/a b", "web"),
        HttpRequest("GET", "/", "web x"),
        HttpRequest("GET", "", "web"),
        HttpRequest("CONNECT", "", ""),
        HttpRequest("GET", "/\r\nX: y", "web"),
        HttpRequest("GET", "/", "web\r\nX: y"),
        HttpRequest("GET\r\n", "/", "web"),
        HttpRequest("GET", "/", "web", Headers([("a\r\nb", "c")])),
        HttpRequest("GET", "/", "web", Headers([("a", "\u20ac")])),
    ],
    ids=["space", "space in host", "no path", "no authority", "path", "host", "method", "name", "no byte"],
)
def test_what_cannot_be_written(request_: HttpRequest) -> None:
    with pytest.raises(UnwritableMessage):
        write_request(request_, Framing.NONE)


def test_fields_of_the_connection_are_ours_alone() -> None:
    headers = Headers([("host", "x"), ("connection", "y"), ("te", "trailers"), ("a", "b")])
    wire = write_request(HttpRequest("GET", "/", "web", headers), Framing.NONE)
    assert wire == b"GET / HTTP/1.1\r\nhost: web\r\na: b\r\n\r\n"


def test_lines_of_trailers() -> None:
    assert field_lines(Headers([("a", "b"), ("c", "d")])) == b"a: b\r\nc: d\r\n"
    assert field_lines(Headers()) == b""
