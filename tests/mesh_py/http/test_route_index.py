"""Paths and hosts found in order; routes as a whole are in test_router."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.http.route_index import PathIndex, host_rank, is_of_host
from mesh_py.http.route_match import compile_match
from mesh_py.manifests.routes import HTTPRouteMatch, PathMatch, PathMatchType
from tests.mesh_py.http.routes import request

SEGMENTS = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=3).map(lambda parts: "/" + "/".join(parts))


def precedes(match: PathMatch) -> tuple[bool, int]:
    return match.type is not PathMatchType.EXACT, -len(match.value.rstrip("/"))


def holds(match: PathMatch, path: str) -> bool:
    """The plain meaning, segment by segment."""
    if match.type is PathMatchType.EXACT:
        return match.value == path
    wanted = [part for part in match.value.split("/") if part]
    return path.split("/")[1 : len(wanted) + 1] == wanted


@given(
    matches=st.lists(
        st.builds(PathMatch, st.sampled_from([PathMatchType.EXACT, PathMatchType.PATH_PREFIX]), SEGMENTS), max_size=8
    ),
    path=SEGMENTS,
)
def test_a_naive_search_finds_the_same(matches: list[PathMatch], path: str) -> None:
    index: PathIndex[int] = PathIndex()
    for number, match in enumerate(matches):
        index.add(compile_match(HTTPRouteMatch(match)), number)
    index.close()
    found = index.find(request(path))
    candidates = [(precedes(match), number) for number, match in enumerate(matches) if holds(match, path)]
    assert (found[0] if found else None) == (min(candidates)[1] if candidates else None)


def test_hosts_in_order() -> None:
    hosts = ["", "*.b", "a.b", "*.a.b", "long.a.b"]
    assert sorted(hosts, key=host_rank) == ["long.a.b", "a.b", "*.a.b", "*.b", ""]


@pytest.mark.parametrize(
    ("authority", "host", "expected"),
    [
        ("a.b", "a.b", True),
        ("A.b:80", "a.b", True),
        ("x.a.b", "*.a.b", True),
        ("a.b", "*.a.b", False),
        ("xa.b", "*.a.b", False),
        ("[::1]:80", "[::1]", True),
    ],
)
def test_hosts(authority: str, host: str, expected: bool) -> None:
    assert is_of_host(authority, host) is expected
