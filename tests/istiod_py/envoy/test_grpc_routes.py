"""GRPCRoutes as HTTPRoutes."""

from __future__ import annotations

import pytest

from istiod_py.envoy.grpc_routes import as_http_route
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.routes import (
    GRPCMethodMatch,
    GRPCRoute,
    GRPCRouteMatch,
    GRPCRouteRule,
    PathMatch,
    PathMatchType,
    ValueMatch,
    ValueMatchType,
)
from tests.istiod_py.envoy.meshes import backend

EXACT, PREFIX, REGEX = PathMatchType.EXACT, PathMatchType.PATH_PREFIX, PathMatchType.REGULAR_EXPRESSION
BY_REGEX = ValueMatchType.REGULAR_EXPRESSION


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (None, PathMatch()),
        (GRPCMethodMatch(), PathMatch()),
        (GRPCMethodMatch("pkg.Echo", "Say"), PathMatch(EXACT, "/pkg.Echo/Say")),
        (GRPCMethodMatch("pkg.Echo"), PathMatch(PREFIX, "/pkg.Echo")),
        (GRPCMethodMatch(method="Say"), PathMatch(REGEX, "/[^/]+/Say")),
        (GRPCMethodMatch("pkg.E.*", "", BY_REGEX), PathMatch(REGEX, "/pkg.E.*/[^/]+")),
        (GRPCMethodMatch("", "S.*", BY_REGEX), PathMatch(REGEX, "/[^/]+/S.*")),
    ],
)
def test_methods_are_paths(method: GRPCMethodMatch | None, path: PathMatch) -> None:
    headers = (ValueMatch("x-a", "1"),)
    rule = GRPCRouteRule("named", (GRPCRouteMatch(method, headers),), (), (backend(),))
    found = as_http_route(GRPCRoute(Metadata("g", "default"), (), ("h.example",), (rule,)))
    [[match]] = [one.matches for one in found.rules]
    assert (match.path, match.headers) == (path, headers)
    assert (found.hostnames, found.rules[0].name, found.rules[0].backend_refs) == (
        ("h.example",),
        "named",
        (backend(),),
    )
