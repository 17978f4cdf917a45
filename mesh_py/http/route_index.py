"""Matches found by path, in the order of their precedence [pure].

The Gateway API's order: kind of path, its length, method, number of headers, number of query parameters, then age and
position. Of kinds of paths Istio's: exact, then prefixes, then expressions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from mesh_py.http.paths import without_query
from mesh_py.http.regex import compile_regex
from mesh_py.manifests.routes import PathMatch, PathMatchType

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh_py.http.messages import HttpRequest
    from mesh_py.http.route_match import Conditions

Target = TypeVar("Target")
_Entry = tuple["Conditions", Target]


class PathIndex(Generic[Target]):
    """What a request matches first. Add the older route's matches before the younger one's, then `close`."""

    def __init__(self) -> None:
        self._entries: list[_Entry[Target]] = []
        self._exact: dict[str, list[_Entry[Target]]] = {}
        self._prefixes: dict[str, list[_Entry[Target]]] = {}
        self._lengths: list[int] = []
        self._expressions: list[tuple[Callable[[str], bool], _Entry[Target]]] = []

    def add(self, conditions: Conditions, target: Target) -> None:
        """One more match.

        Raises:
            UnsupportedRegex: its path is an expression that cannot be used.
        """
        if conditions.path.type is PathMatchType.REGULAR_EXPRESSION:
            compile_regex(conditions.path.value)
        self._entries.append((conditions, target))

    def close(self) -> None:
        """All are added: put them in order."""
        self._entries.sort(key=lambda entry: entry[0].precedence)  # stable: age stays where all else is equal
        for entry in self._entries:
            path = entry[0].path
            if path.type is PathMatchType.EXACT:
                self._exact.setdefault(path.value, []).append(entry)
            elif path.type is PathMatchType.PATH_PREFIX:
                self._prefixes.setdefault(path.value.rstrip("/"), []).append(entry)
            else:
                self._expressions.append((compile_regex(path.value), entry))
        self._lengths = sorted({len(prefix) for prefix in self._prefixes}, reverse=True)

    def find(self, request: HttpRequest) -> tuple[Target, PathMatch] | None:
        """The first match, and the path it asked for."""
        path = without_query(request.path)
        for conditions, target in self._exact.get(path, ()):
            if conditions.hold(request):
                return target, conditions.path
        for length in self._lengths:
            # A prefix ends where a segment of the path does.
            if length == len(path) or (length < len(path) and path[length] == "/"):
                for conditions, target in self._prefixes.get(path[:length], ()):
                    if conditions.hold(request):
                        return target, conditions.path
        for holds, (conditions, target) in self._expressions:
            if holds(path) and conditions.hold(request):
                return target, conditions.path
        return None


def host_rank(host: str) -> tuple[int, int]:
    """Sorts names before wildcards before none, longer ones first."""
    if not host:
        return (2, 0)
    return (int(host.startswith("*")), -len(host))


def is_of_host(authority: str, host: str) -> bool:
    """Whether the authority, without its port, is the host; `*.a.b` stands for all names under `a.b`."""
    name = authority.lower()
    name = name[: name.find("]") + 1] if name.startswith("[") else name.partition(":")[0]
    return name == host or (host.startswith("*.") and name.endswith(host[1:]))
