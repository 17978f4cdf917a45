"""Conditions of HTTPRoutes in Envoy's words, and their order."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.envoy.route_matches import precedence, route_match
from mesh_py.manifests.routes import HTTPRouteMatch, PathMatch, PathMatchType, ValueMatch, ValueMatchType

EXACT, PREFIX, REGEX = PathMatchType.EXACT, PathMatchType.PATH_PREFIX, PathMatchType.REGULAR_EXPRESSION


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PathMatch(), {"prefix": "/"}),
        (PathMatch(PREFIX, "/a"), {"path_separated_prefix": "/a"}),
        (PathMatch(PREFIX, "/a/"), {"path_separated_prefix": "/a"}),
        (PathMatch(EXACT, "/a/"), {"path": "/a/"}),
        (PathMatch(REGEX, "/a.*"), {"safe_regex": {"regex": "/a.*"}}),
    ],
)
def test_paths(path: PathMatch, expected: dict[str, Any]) -> None:
    assert route_match(HTTPRouteMatch(path)) == expected


def test_headers_parameters_and_the_method() -> None:
    match = HTTPRouteMatch(
        headers=(
            ValueMatch("X-A", "1"),
            ValueMatch("x-a", "the second of one name does not count"),
            ValueMatch("x-b", "b+", ValueMatchType.REGULAR_EXPRESSION),
        ),
        query_params=(ValueMatch("q", "1"), ValueMatch("Q", "2"), ValueMatch("q", "3")),
        method="PUT",
    )
    assert route_match(match) == {
        "prefix": "/",
        "headers": [
            {"name": "x-a", "string_match": {"exact": "1"}},
            {"name": "x-b", "string_match": {"safe_regex": {"regex": "b+"}}},
            {"name": ":method", "string_match": {"exact": "PUT"}},
        ],
        "query_parameters": [
            {"name": "q", "string_match": {"exact": "1"}},
            {"name": "Q", "string_match": {"exact": "2"}},
        ],
    }


def test_the_more_particular_goes_first() -> None:
    one = (ValueMatch("a", "1"),)
    in_order = [
        HTTPRouteMatch(PathMatch(EXACT, "/a")),
        HTTPRouteMatch(PathMatch(PREFIX, "/a/long")),
        HTTPRouteMatch(PathMatch(PREFIX, "/a"), method="GET"),
        HTTPRouteMatch(PathMatch(PREFIX, "/a"), headers=one, query_params=one),
        HTTPRouteMatch(PathMatch(PREFIX, "/a"), headers=one),
        HTTPRouteMatch(PathMatch(PREFIX, "/a"), query_params=one),
        HTTPRouteMatch(PathMatch(PREFIX, "/a")),
        HTTPRouteMatch(),
        HTTPRouteMatch(PathMatch(REGEX, "/a/much/longer/expression")),
    ]
    assert sorted(in_order, key=precedence) == in_order
