"""HTTP/2 fields to messages and back. What is refused is in test_codec_h2, seen from the wire."""

from __future__ import annotations

import pytest

from mesh_py.http.errors import BadMessage, HeadTooLarge, UnwritableMessage
from mesh_py.http.h2_heads import read_request, read_response, read_trailers, write_request, write_response
from mesh_py.http.headers import Headers
from mesh_py.http.limits import Limits
from mesh_py.http.messages import HttpRequest, HttpResponse

LIMITS = Limits()


def raw(**pseudo: str) -> list[tuple[bytes, bytes]]:
    return [(f":{name}".encode(), value.encode()) for name, value in pseudo.items()]


GET = raw(method="GET", scheme="https", path="/", authority="web")


def test_host_stands_in_for_the_authority() -> None:
    request = read_request([*GET[:3], (b"host", b"web")], LIMITS)
    assert (request.authority, request.headers.fields) == ("web", [])


def test_cookies_are_joined() -> None:
    request = read_request([*GET, (b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")], LIMITS)
    assert request.headers.fields == [("x", "y"), ("cookie", "a=1; b=2")]


def test_split_cookies_are_one_field_to_the_limit() -> None:
    """Over HTTP/1 the same client sends one line; only the bytes of each count."""
    one = Limits(head_fields=2)
    crumbs = [(b"cookie", b"a=%d" % number) for number in range(50)]
    assert len(read_request([*GET, (b"x", b"y"), *crumbs], one).headers) == 2
    with pytest.raises(HeadTooLarge, match="2 header fields"):
        read_request([*GET, (b"x", b"y"), (b"z", b"y"), *crumbs], one)
    with pytest.raises(HeadTooLarge, match="bytes"):
        read_request([*GET, *crumbs * 50], LIMITS)


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest("GET", "/a?b", "web", Headers([("te", "trailers")]), "https", "HTTP/2"),
        HttpRequest("OPTIONS", "*", "web", Headers(), "http", "HTTP/2"),
        HttpRequest("CONNECT", "", "db:1", Headers(), "http", "HTTP/2"),
        HttpRequest("GET", "/chat", "web", Headers(), "https", "HTTP/2", "websocket"),
    ],
    ids=["GET", "star", "CONNECT", "websocket"],
)
def test_there_and_back(request_: HttpRequest) -> None:
    assert read_request(write_request(request_), LIMITS) == request_


def test_a_response_there_and_back() -> None:
    response = HttpResponse(404, Headers([("x", "\xe9")]), "HTTP/2")
    assert read_response(write_response(response), LIMITS) == response


def test_the_connections_fields_are_not_written() -> None:
    headers = Headers(
        [("connection", "x"), ("transfer-encoding", "chunked"), ("te", "gzip"), ("host", "y"), ("a", "b")]
    )
    assert write_response(HttpResponse(200, headers)) == [(b":status", b"200"), (b"a", b"b")]


def test_a_name_that_is_no_ascii_is_not_written() -> None:
    with pytest.raises(UnwritableMessage):
        write_response(HttpResponse(200, Headers([("\xe9", "x")])))


def test_trailers() -> None:
    assert read_trailers([(b"grpc-status", b"0")], LIMITS) == Headers([("grpc-status", "0")])


@pytest.mark.parametrize("method", ["get", "Get", "", "GE T", "GET\x7f"])
def test_a_method_that_no_policy_means(method: str) -> None:
    """Servers that make `get` GET must not get it from us: a policy against GET has let it pass."""
    with pytest.raises(BadMessage):
        read_request(raw(method=method, scheme="https", path="/", authority="web"), LIMITS)


def test_who_sends_it_is_not_said_in_trailers() -> None:
    late = [
        (name, b"x") for name in (b"authorization", b"x-forwarded-client-cert", b"x_forwarded_client_cert", b"cookie")
    ]
    assert read_trailers([*late, (b"content-length", b"1"), (b"a", b"1")], LIMITS) == Headers([("a", "1")])
