"""GRPCRoutes as HTTPRoutes: a gRPC method is the path `/service/method` of a POST [pure]."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mesh_py.manifests.routes import (
    EVERY_PATH,
    HTTPRoute,
    HTTPRouteMatch,
    HTTPRouteRule,
    PathMatch,
    PathMatchType,
    ValueMatchType,
)

if TYPE_CHECKING:
    from mesh_py.manifests.routes import GRPCMethodMatch, GRPCRoute, GRPCRouteMatch, GRPCRouteRule

_ANY_PART = "[^/]+"


def as_http_route(route: GRPCRoute) -> HTTPRoute:
    """The same route for requests."""
    return HTTPRoute(route.metadata, route.parent_refs, route.hostnames, tuple(map(_rule, route.rules)))


def _rule(rule: GRPCRouteRule) -> HTTPRouteRule:
    return HTTPRouteRule(
        name=rule.name,
        matches=tuple(map(_match, rule.matches)),
        filters=rule.filters,
        backend_refs=rule.backend_refs,
        session_persistence=rule.session_persistence,
        place=rule.place,
    )


def _match(match: GRPCRouteMatch) -> HTTPRouteMatch:
    return HTTPRouteMatch(EVERY_PATH if match.method is None else _path(match.method), match.headers)


def _path(method: GRPCMethodMatch) -> PathMatch:
    is_regex = method.type is ValueMatchType.REGULAR_EXPRESSION
    if not method.service and not method.method:
        return EVERY_PATH
    if not is_regex and method.service:
        if method.method:
            return PathMatch(PathMatchType.EXACT, f"/{method.service}/{method.method}")
        return PathMatch(PathMatchType.PATH_PREFIX, f"/{method.service}")
    parts = (part if is_regex else re.escape(part) for part in (method.service, method.method))
    return PathMatch(PathMatchType.REGULAR_EXPRESSION, "/" + "/".join(part or _ANY_PART for part in parts))
