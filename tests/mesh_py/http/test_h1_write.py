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


FIELDS = [("accept", "*/*"), ("user-agent", "t"), ("te", "trailers"), ("x-own", "1")]


@pytest.mark.parametrize("others", [FIELDS[:3], FIELDS], ids=["fields that come again", "and one of its own"])
@pytest.mark.parametrize("framing", [Framing.NONE, Framing.CHUNKED])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_heads_that_differ_in_their_id_are_written_alike(
    others: list[tuple[str, str]], framing: Framing, method: str
) -> None:
    for place in range(len(others) + 1):
        for said in ("one", "two"):
            fields = [*others[:place], ("x-request-id", said), *others[place:]]
            lines = [f"{name}: {value}" for name, value in fields if name != "te"]
            if framing is Framing.CHUNKED:
                lines.append("transfer-encoding: chunked")
            elif method == "POST":
                lines.append("content-length: 0")
            for path in ("/a", "/b"):
                head = "\r\n".join([f"{method} {path} HTTP/1.1", "host: web", *lines, "", ""])
                assert write_request(HttpRequest(method, path, "web", Headers(fields)), framing) == head.encode()


@pytest.mark.parametrize("said", ["a\r\nb: c", "a\nb", "a\rb", "\0", "\u20ac"])
def test_an_id_smuggles_nothing(said: str) -> None:
    for value in ("one", "two"):
        write_request(HttpRequest("GET", "/", "web", Headers([("x-request-id", value)])), Framing.NONE)
    with pytest.raises(UnwritableMessage):
        write_request(HttpRequest("GET", "/", "web", Headers([("x-request-id", said)])), Framing.NONE)


def test_fields_of_the_connection_are_ours_alone() -> None:
    headers = Headers([("host", "x"), ("connection", "y"), ("te", "trailers"), ("a", "b")])
    wire = write_request(HttpRequest("GET", "/", "web", headers), Framing.NONE)
    assert wire == b"GET / HTTP/1.1\r\nhost: web\r\na: b\r\n\r\n"


def test_lines_of_trailers() -> None:
    assert field_lines(Headers([("a", "b"), ("c", "d")])) == b"a: b\r\nc: d\r\n"
    assert field_lines(Headers()) == b""
