"""Rewrites and redirects as the Gateway API's conformance cases have them: the ids name the case."""

from __future__ import annotations

import pytest

from mesh_py.http.errors import InvalidBackend
from mesh_py.http.route_changes import new_path, redirect, rewrite
from mesh_py.manifests.route_filters import PathModifier, UrlRewrite
from mesh_py.manifests.route_filters import RequestRedirect as Go
from mesh_py.manifests.routes import PathMatch, PathMatchType
from tests.mesh_py.http.routes import request


def prefix(value: str) -> PathMatch:
    return PathMatch(PathMatchType.PATH_PREFIX, value)


def replaces(value: str) -> PathModifier:
    return PathModifier(value, replaces_prefix=True)


@pytest.mark.parametrize(
    ("path", "match", "change", "expected"),
    [
        # The table of the Gateway API's HTTPPathModifier.
        pytest.param("/foo/bar", "/foo", replaces("/xyz"), "/xyz/bar", id="1"),
        pytest.param("/foo/bar", "/foo", replaces("/xyz/"), "/xyz/bar", id="2"),
        pytest.param("/foo/bar", "/foo/", replaces("/xyz"), "/xyz/bar", id="3"),
        pytest.param("/foo/bar", "/foo/", replaces("/xyz/"), "/xyz/bar", id="4"),
        pytest.param("/foo", "/foo", replaces("/xyz"), "/xyz", id="5"),
        pytest.param("/foo/", "/foo", replaces("/xyz"), "/xyz/", id="6"),
        pytest.param("/foo/bar", "/foo", replaces(""), "/bar", id="7"),
        pytest.param("/foo/", "/foo", replaces(""), "/", id="8"),
        pytest.param("/foo", "/foo", replaces(""), "/", id="9"),
        pytest.param("/foo/", "/foo", replaces("/"), "/", id="10"),
        pytest.param("/foo", "/foo", replaces("/"), "/", id="11"),
        pytest.param("/any?q=1", "/", PathModifier("/full"), "/full?q=1", id="HTTPRouteRewritePath: full"),
        pytest.param("/a/b?q=/a", "/a", replaces("/x"), "/x/b?q=/a", id="HTTPRouteRewritePath: the query stays"),
    ],
)
def test_paths(path: str, match: str, change: PathModifier, expected: str) -> None:
    assert new_path(path, change, prefix(match)) == expected


def test_a_prefix_that_was_not_matched_cannot_be_replaced() -> None:
    with pytest.raises(InvalidBackend):
        new_path("/a", replaces("/b"), PathMatch(PathMatchType.EXACT, "/a"))


def test_a_rewrite_keeps_what_was_asked() -> None:
    """HTTPRouteRewriteHost, HTTPRouteRewritePath."""
    asked = request("/a/b")
    rewrite(asked, UrlRewrite("other.example", replaces("/x")), prefix("/a"))
    assert (asked.authority, asked.path) == ("other.example", "/x/b")
    assert asked.headers.fields == [("x-envoy-original-path", "/a/b"), ("x-envoy-original-host", "web")]


@pytest.mark.parametrize(
    ("change", "host", "port", "status", "location"),
    [
        pytest.param(Go(hostname="b.c"), "web", 80, 302, "http://b.c/p/q", id="HTTPRouteRedirectHostAndStatus"),
        pytest.param(Go(status_code=308), "web", 80, 308, "http://web/p/q", id="HTTPRoute308Redirect"),
        pytest.param(Go(scheme="https"), "web", 80, 302, "https://web/p/q", id="HTTPRouteRedirectScheme"),
        pytest.param(Go(scheme="https"), "web:8080", 8080, 302, "https://web/p/q", id="scheme and its port"),
        pytest.param(Go(port=8083), "web:8080", 8080, 302, "http://web:8083/p/q", id="HTTPRouteRedirectPort"),
        pytest.param(Go(port=80), "web:8080", 8080, 302, "http://web/p/q", id="the usual port is not said"),
        pytest.param(Go(scheme="https", port=443), "web:8080", 8080, 302, "https://web/p/q", id="nor that of https"),
        pytest.param(Go(), "web:8080", 8080, 302, "http://web:8080/p/q", id="HTTPRouteRedirectPortAndScheme"),
        pytest.param(Go(path=replaces("/x")), "web", 80, 302, "http://web/x/q", id="HTTPRouteRedirectPath: prefix"),
        pytest.param(Go(path=PathModifier("/x")), "web", 80, 302, "http://web/x", id="HTTPRouteRedirectPath: full"),
        pytest.param(Go(), "[::1]:81", 81, 302, "http://[::1]:81/p/q", id="an address"),
    ],
)
def test_redirects(change: Go, host: str, port: int, status: int, location: str) -> None:
    response = redirect(request("/p/q", host=host), change, prefix("/p"), port)
    assert (response.status, response.headers.get("location")) == (status, location)
