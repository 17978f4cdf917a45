"""Spellings of a path that become one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.http.errors import BadMessage
from mesh_py.http.paths import Normalization, normalize, without_query

BASE, MERGE, DECODE = Normalization.BASE, Normalization.MERGE_SLASHES, Normalization.DECODE_AND_MERGE_SLASHES


@pytest.mark.parametrize(
    ("path", "base", "merge", "decode"),
    [
        pytest.param("/a/b?c=../d//e", *["/a/b?c=../d//e"] * 3, id="plain, and the query stays"),
        pytest.param("/a/../admin", *["/admin"] * 3, id="dot segments"),
        pytest.param("/a/./b/.", *["/a/b/"] * 3, id="single dots"),
        pytest.param("/a/b/..", *["/a/"] * 3, id="dots at the end"),
        pytest.param("/a/%2e%2E/admin", *["/admin"] * 3, id="escaped dots"),
        pytest.param("/%61dmin", *["/admin"] * 3, id="escaped letters"),
        pytest.param("/a%3fb", *["/a%3fb"] * 3, id="other escapes stay"),
        pytest.param("/a\\admin", *["/a/admin"] * 3, id="backslash"),
        pytest.param("//a///b", "//a///b", "/a/b", "/a/b", id="slashes"),
        pytest.param("/a%2Fb", "/a%2Fb", "/a%2Fb", "/a/b", id="escaped slash"),
        pytest.param("/a%2f..%5cb", "/a%2f..%5cb", "/a%2f..%5cb", "/b", id="escaped slash and backslash"),
        pytest.param("/a//../b", "/a/b", "/a/b", "/a/b", id="an empty segment is one"),
        pytest.param("/a/../../b", *["/b"] * 3, id="above the root"),
        pytest.param("/a%zz%2", *["/a%zz%2"] * 3, id="broken escapes"),
        pytest.param("/.hidden/..x", *["/.hidden/..x"] * 3, id="names with dots"),
        pytest.param("*", *["*"] * 3, id="star"),
        pytest.param("", *[""] * 3, id="CONNECT"),
    ],
)
def test_levels(path: str, base: str, merge: str, decode: str) -> None:
    assert [normalize(path, level) for level in (BASE, MERGE, DECODE)] == [base, merge, decode]
    assert normalize(path, Normalization.NONE) == path


@pytest.mark.parametrize("path", ["/a%00", "/a/../%00"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(BadMessage):
        normalize(path)


@given(
    path=st.text("ab./\\%2efF5cC?", max_size=20).map(lambda text: f"/{text}"),
    level=st.sampled_from([BASE, MERGE, DECODE]),
)
def test_once_is_enough_and_nothing_climbs(path: str, level: Normalization) -> None:
    try:
        once = normalize(path, level)
    except BadMessage:
        return
    assert normalize(once, level) == once or level is DECODE  # there an escaped percent sign may hide another escape
    assert not {".", ".."} & set(without_query(once).split("/"))
