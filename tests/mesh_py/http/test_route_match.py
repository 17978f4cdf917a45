"""How specific a match is; what it matches is in test_router."""

from __future__ import annotations

import pytest

from mesh_py.http.regex_syntax import UnsupportedRegex
from mesh_py.http.route_match import compile_match
from mesh_py.manifests.routes import (
    GRPCMethodMatch,
    GRPCRouteMatch,
    HTTPRouteMatch,
    PathMatch,
    PathMatchType,
    ValueMatch,
    ValueMatchType,
)
from tests.mesh_py.http.routes import request

EXACT, PREFIX, REGEX = PathMatchType.EXACT, PathMatchType.PATH_PREFIX, PathMatchType.REGULAR_EXPRESSION
ONE, TWO = ValueMatch("a", "1"), ValueMatch("b", "2")


def test_precedence() -> None:
    """From the Gateway API's text on HTTPRouteRule.matches, with Istio's place for expressions."""
    in_order = [
        HTTPRouteMatch(PathMatch(EXACT, "/a")),
        HTTPRouteMatch(PathMatch(PREFIX, "/longer")),
        HTTPRouteMatch(PathMatch(PREFIX, "/a"), method="GET"),
        HTTPRouteMatch(PathMatch(PREFIX, "/a"), headers=(ONE, TWO)),
        HTTPRouteMatch(PathMatch(PREFIX, "/a"), headers=(ONE,), query_params=(ONE,)),
        HTTPRouteMatch(PathMatch(PREFIX, "/a/"), headers=(ONE,)),
        HTTPRouteMatch(PathMatch(PREFIX, "/a"), query_params=(ONE, TWO)),
        HTTPRouteMatch(PathMatch(PREFIX, "/a")),
        HTTPRouteMatch(PathMatch(REGEX, "/a.*")),
        HTTPRouteMatch(PathMatch(REGEX, "/")),
    ]
    precedences = [compile_match(match).precedence for match in in_order]
    assert precedences == sorted(precedences)


def test_the_host_header_is_the_authority() -> None:
    match = compile_match(HTTPRouteMatch(headers=(ValueMatch("Host", "web"),)))
    assert match.hold(request(host="web"))
    assert not match.hold(request(host="other"))


def test_a_grpc_method_is_a_literal() -> None:
    match = compile_match(GRPCRouteMatch(GRPCMethodMatch(method="a.b")))
    assert match.path == PathMatch(REGEX, r"/[^/]+/a\.b")


def test_an_expression_that_cannot_be_used() -> None:
    with pytest.raises(UnsupportedRegex):
        compile_match(HTTPRouteMatch(headers=(ValueMatch("a", "(?=x)", ValueMatchType.REGULAR_EXPRESSION),)))
