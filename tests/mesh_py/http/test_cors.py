"""Preflights and marks."""

from __future__ import annotations

import pytest

from mesh_py.http.cors import is_allowed, mark_response, preflight
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpResponse
from mesh_py.manifests.route_filters import Cors
from tests.mesh_py.http.routes import request

SITE = Cors(("https://a.b",), False, ("GET", "PUT"), ("X-A", "X-B"), ("X-Out",), 60)
OPEN = Cors(("*",), True, ("*",), ("*",))


@pytest.mark.parametrize(
    ("allowed", "origin", "expected"),
    [
        ("https://a.b", "https://a.b", True),
        ("https://a.b", "http://a.b", False),
        ("https://a.b", "https://a.b.evil", False),
        ("*", "https://x", True),
        ("https://*.a.b", "https://x.a.b", True),
        ("https://*.a.b", "https://x.y.a.b", True),
        ("https://*.a.b", "https://a.b", False),
        ("https://*.a.b", "https://xa.b", False),
        ("https://*", "http://a.b", False),
    ],
)
def test_origins(allowed: str, origin: str, expected: bool) -> None:
    assert is_allowed(origin, Cors((allowed,))) is expected


def test_a_preflight() -> None:
    answer = preflight(request(method="OPTIONS", origin="https://a.b", access_control_request_method="PUT"), SITE)
    assert answer == HttpResponse(
        200,
        Headers(
            [
                ("access-control-allow-origin", "https://a.b"),
                ("access-control-allow-methods", "GET,PUT"),
                ("access-control-allow-headers", "X-A,X-B"),
                ("access-control-max-age", "60"),
            ]
        ),
    )


def test_with_credentials_what_is_asked_is_named() -> None:
    asks = request(
        method="OPTIONS",
        origin="https://x",
        access_control_request_method="DELETE",
        access_control_request_headers="x-y",
    )
    answer = preflight(asks, OPEN)
    assert answer is not None
    assert answer.headers.get("access-control-allow-methods") == "DELETE"
    assert answer.headers.get("access-control-allow-headers") == "x-y"
    assert answer.headers.get("access-control-allow-credentials") == "true"


@pytest.mark.parametrize(
    "asks",
    [
        request(method="OPTIONS", origin="https://a.b"),
        request(method="OPTIONS", access_control_request_method="GET"),
        request(method="GET", origin="https://a.b", access_control_request_method="GET"),
        request(method="OPTIONS", origin="https://evil", access_control_request_method="GET"),
    ],
    ids=["no method", "no origin", "no OPTIONS", "another origin"],
)
def test_what_is_no_preflight(asks: object) -> None:
    assert preflight(asks, SITE) is None  # type: ignore[arg-type]


def test_who_says_no_origin_has_none_even_where_all_are_welcome() -> None:
    assert preflight(request(method="OPTIONS", access_control_request_method="GET"), OPEN) is None
    untouched = HttpResponse(200)
    mark_response(request(), untouched, OPEN)
    assert len(untouched.headers) == 0


def test_without_credentials_a_star_stays_one() -> None:
    asks = request(method="OPTIONS", origin="https://x", access_control_request_method="DELETE")
    answer = preflight(asks, Cors(("*",), False, ("*",)))
    assert answer is not None
    assert answer.headers.get("access-control-allow-methods") == "*"


def test_marks() -> None:
    response = HttpResponse(200, Headers([("access-control-allow-origin", "what the application says")]))
    mark_response(request(origin="https://a.b"), response, SITE)
    assert response.headers.fields == [
        ("access-control-allow-origin", "https://a.b"),
        ("access-control-expose-headers", "X-Out"),
    ]
    for asks in (request(), request(origin="https://evil")):
        untouched = HttpResponse(200)
        mark_response(asks, untouched, SITE)
        assert len(untouched.headers) == 0
