"""A route's conditions compiled to plain functions [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mesh_py.http.regex import compile_regex
from mesh_py.manifests.routes import (
    GRPCRouteMatch,
    HTTPRouteMatch,
    PathMatch,
    PathMatchType,
    ValueMatch,
    ValueMatchType,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh_py.http.messages import HttpRequest

_RANKS = {PathMatchType.EXACT: 0, PathMatchType.PATH_PREFIX: 1, PathMatchType.REGULAR_EXPRESSION: 2}
_EVERY_PREFIX = PathMatch()


class Conditions(NamedTuple):
    """What a match asks for, beside its path."""

    path: PathMatch
    tests: tuple[Callable[[HttpRequest], bool], ...]
    precedence: tuple[int, int, int, int, int]
    """Sorts the more specific first: kind of path, its length, method, headers, query parameters."""

    def hold(self, request: HttpRequest) -> bool:
        """Whether everything but the path is as asked for."""
        for test in self.tests:  # noqa: SIM110 - called for every request: no generator
            if not test(request):
                return False
        return True


def compile_match(match: HTTPRouteMatch | GRPCRouteMatch) -> Conditions:
    """The conditions of one match.

    Raises:
        UnsupportedRegex: one of its expressions cannot be used.
    """
    path, method = _grpc_path(match), "POST"
    query: tuple[ValueMatch, ...] = ()
    if isinstance(match, HTTPRouteMatch):
        path, method, query = match.path, match.method, match.query_params
    tests: list[Callable[[HttpRequest], bool]] = []
    if method:
        tests.append(lambda request: request.method == method)
    tests += [_header(header) for header in _first_of_each(match.headers, lower=True)]
    if query:
        tests.append(_query(_first_of_each(query, lower=False)))
    named = bool(method) and isinstance(match, HTTPRouteMatch)
    length = len(path.value.rstrip("/")) if path.type is PathMatchType.PATH_PREFIX else len(path.value)
    return Conditions(path, tuple(tests), (_RANKS[path.type], -length, -int(named), -len(match.headers), -len(query)))


def _first_of_each(matches: tuple[ValueMatch, ...], *, lower: bool) -> list[ValueMatch]:
    """Of several matches with one name the first counts (Gateway API)."""
    found: dict[str, ValueMatch] = {}
    for match in matches:
        found.setdefault(match.name.lower() if lower else match.name, match)
    return [match._replace(name=name) for name, match in found.items()]


def _value(match: ValueMatch) -> Callable[[str], bool]:
    if match.type is ValueMatchType.REGULAR_EXPRESSION:
        return compile_regex(match.value)
    return match.value.__eq__


def _header(match: ValueMatch) -> Callable[[HttpRequest], bool]:
    name, holds = match.name, _value(match)
    if name == "host":
        return lambda request: holds(request.authority)

    def header(request: HttpRequest) -> bool:
        value = request.headers.joined(name)
        return value is not None and holds(value)

    return header


def _query(matches: list[ValueMatch]) -> Callable[[HttpRequest], bool]:
    """Names and values as they are written, escapes and all, as Envoy compares them."""
    tests = [(match.name, _value(match)) for match in matches]

    def query(request: HttpRequest) -> bool:
        _, _, text = request.path.partition("?")
        values: dict[str, str] = {}
        for pair in text.split("&"):
            name, _, value = pair.partition("=")
            values.setdefault(name, value)  # of a parameter given twice the first counts
        return all(name in values and holds(values[name]) for name, holds in tests)

    return query


def _grpc_path(match: HTTPRouteMatch | GRPCRouteMatch) -> PathMatch:
    """`/service/method`, where either may be open."""
    method = match.method if isinstance(match, GRPCRouteMatch) else None
    if method is None or not (method.service or method.method):
        return _EVERY_PREFIX
    if method.type is ValueMatchType.REGULAR_EXPRESSION:
        service, name = method.service or "[^/]+", method.method or "[^/]+"
        return PathMatch(PathMatchType.REGULAR_EXPRESSION, f"/{service}/{name}")
    if not method.service:
        return PathMatch(PathMatchType.REGULAR_EXPRESSION, f"/[^/]+/{_escaped(method.method)}")
    if not method.method:
        return PathMatch(PathMatchType.PATH_PREFIX, f"/{method.service}")
    return PathMatch(PathMatchType.EXACT, f"/{method.service}/{method.method}")


def _escaped(text: str) -> str:
    return "".join(character if character.isalnum() else f"\\{character}" for character in text)
