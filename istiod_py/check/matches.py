"""Matches of routes: never reached, taken by others, or beyond what our proxies can follow [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.check import codes
from mesh_py.http.regex import compile_regex
from mesh_py.manifests.routes import (
    GRPCMethodMatch,
    GRPCRouteMatch,
    HTTPRouteMatch,
    PathMatchType,
    TCPRoute,
    ValueMatchType,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from istiod_py.check.checked_mesh import CheckedMesh
    from istiod_py.check.codes import Finding
    from mesh_py.manifests.metadata import Place
    from mesh_py.manifests.routes import GRPCRoute, GRPCRouteRule, HTTPRoute, HTTPRouteRule

    Match = HTTPRouteMatch | GRPCRouteMatch
    Route = HTTPRoute | GRPCRoute
    Rule = HTTPRouteRule | GRPCRouteRule


def check(mesh: CheckedMesh) -> Iterator[Finding]:
    """Everything about matches and host names of HTTPRoute and GRPCRoute."""
    routes = [route for route in mesh.routes if not isinstance(route, TCPRoute)]
    for route in routes:
        yield from _hostnames(route)
        yield from _shadowed(route)
        for rule in route.rules:
            for match in rule.matches:
                yield from _expressions(route, rule, match)
    yield from _rivals(routes)


def _hostnames(route: Route) -> Iterator[Finding]:
    if route.hostnames and route.parent_refs and all(parent.kind == "Service" for parent in route.parent_refs):
        what = f"{_subject(route)} names hosts, which do not count where a route is attached to a Service"
        yield codes.IDLE_HOSTNAMES.at(route.metadata.place, what, "remove 'hostnames', or match the header Host")


def _shadowed(route: Route) -> Iterator[Finding]:
    """Equal matches of one route: the first rule takes all of them."""
    seen: set[str] = set()
    for rule in route.rules:
        for match in rule.matches:
            key = repr(match)
            if key in seen:
                what = f"{_subject(route)} has this match in an earlier rule, which takes all it matches"
                yield codes.SHADOWED.at(_place(route, rule), what, "remove one, or put its backends together")
            seen.add(key)


def _rivals(routes: list[Route]) -> Iterator[Finding]:
    """Equal matches of two routes with one parent and the same hosts: the older route takes all of them."""
    seen: dict[tuple[object, ...], Route] = {}
    for route in sorted(routes, key=lambda one: one.metadata.age):
        told: set[str] = set()
        for key, rule in _claims(route):
            first = seen.setdefault(key, route)
            if first is not route and first.metadata.key not in told:
                told.add(first.metadata.key)
                what = f"{_subject(route)} has a match that {_subject(first)}, which is older, has too and takes"
                yield codes.RIVAL.at(_place(route, rule), what, "match something else, or put both into one route")


def _claims(route: Route) -> Iterator[tuple[tuple[object, ...], Rule]]:
    """Everything that a route wants for itself."""
    for parent in route.parent_refs:
        claimed = (parent.group, parent.kind, parent.namespace, parent.name, parent.port, parent.section_name)
        for rule in route.rules:
            for match in rule.matches:
                yield (route.kind, *claimed, route.hostnames, repr(match)), rule


def _expressions(route: Route, rule: Rule, match: Match) -> Iterator[Finding]:
    for expression in _expressions_of(match):
        try:
            compile_regex(expression)
        except ValueError as error:
            what = f"{_subject(route)} matches by {expression!r}: {error}"
            yield codes.EXPRESSION.at(_place(route, rule), what, "write it in RE2's syntax, and shorter")


def _expressions_of(match: Match) -> Iterator[str]:
    values = match.headers
    if isinstance(match, HTTPRouteMatch):
        values = (*values, *match.query_params)
        if match.path.type is PathMatchType.REGULAR_EXPRESSION:
            yield match.path.value
    elif match.method is not None:
        yield from _method_expressions(match.method)
    yield from (value.value for value in values if value.type is ValueMatchType.REGULAR_EXPRESSION)


def _method_expressions(method: GRPCMethodMatch) -> Iterator[str]:
    if method.type is ValueMatchType.REGULAR_EXPRESSION:
        yield from filter(None, (method.service, method.method))


def _place(route: Route, rule: Rule) -> Place:
    return rule.place if rule.place.line else route.metadata.place


def _subject(route: Route) -> str:
    return f"{route.kind} {route.metadata.key}"
