"""The key that HTTP/1 wants and HTTP/2 does without."""

from __future__ import annotations

from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest, HttpResponse
from mesh_py.http.websocket import accept_of, add_accept, for_h1, from_h1

KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 1.3


def websocket(*fields: tuple[str, str]) -> HttpRequest:
    return HttpRequest("GET", "/", "web", Headers(fields), protocol="websocket")


def test_the_hash_of_a_key() -> None:
    assert accept_of(KEY) == ACCEPT


def test_a_key_is_made_where_none_came() -> None:
    made = for_h1(websocket()).headers.get("sec-websocket-key")
    assert made is not None
    assert len(made) == 24
    assert for_h1(websocket(("sec-websocket-key", KEY))).headers.get_all("sec-websocket-key") == [KEY]


def test_the_key_stays_with_http_1() -> None:
    request = websocket(("sec-websocket-key", KEY), ("x", "1"))
    assert from_h1(request).headers.fields == [("x", "1")]
    assert request.headers.get("sec-websocket-key") == KEY


def test_an_answer_is_added_where_upstream_gave_none() -> None:
    response = HttpResponse(101)
    add_accept(websocket(("sec-websocket-key", KEY)), response)
    add_accept(websocket(("sec-websocket-key", "another")), response)
    assert response.headers.get_all("sec-websocket-accept") == [ACCEPT]


def test_other_requests_are_left_alone() -> None:
    request = HttpRequest("GET", "/", "web")
    assert from_h1(for_h1(request)) is request
    assert request.headers == Headers()
