"""What a message says about itself."""

from __future__ import annotations

import pytest

from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest, HttpResponse, accepts_tunnel, has_no_body

WEBSOCKET = HttpRequest("GET", "/", "a", protocol="websocket")
CONNECT = HttpRequest("CONNECT", "", "a:1")


@pytest.mark.parametrize(
    ("status", "method", "none"),
    [(200, "GET", False), (200, "HEAD", True), (204, "GET", True), (304, "GET", True), (100, "GET", True)],
)
def test_where_no_body_may_be(status: int, method: str, none: bool) -> None:
    assert has_no_body(status, method) is none


@pytest.mark.parametrize(
    ("request_", "status", "accepted"),
    [
        (WEBSOCKET, 101, True),
        (WEBSOCKET, 200, False),
        (CONNECT, 200, True),
        (CONNECT, 101, False),
        (CONNECT, 403, False),
    ],
)
def test_what_opens_a_tunnel(request_: HttpRequest, status: int, accepted: bool) -> None:
    assert request_.is_tunnel
    assert accepts_tunnel(status, request_) is accepted


@pytest.mark.parametrize(("status", "interim"), [(100, True), (103, True), (101, False), (200, False)])
def test_interim(status: int, interim: bool) -> None:
    assert HttpResponse(status).is_interim is interim


def test_a_copy_has_headers_of_its_own() -> None:
    request = HttpRequest("GET", "/", "a", Headers([("x", "1")]), "https", "HTTP/2", "websocket")
    copy = request.copy()
    assert copy == request
    copy.headers.add("y", "2")
    assert copy != request
