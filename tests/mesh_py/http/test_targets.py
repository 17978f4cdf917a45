"""What may stand as a host and as a path."""

from __future__ import annotations

import pytest

from mesh_py.http.targets import is_host, is_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[(text, True) for text in ("", "a", "a.b:80", "[::1]:80", "10.0.0.1", "a_b", "a%20b")],
        *[(text, False) for text in ("a/b", "a b", "u@a", "a,b", "a#b", "a?b", "a\n", "\xe9", "a\\b", '"a"')],
    ],
)
def test_hosts(text: str, expected: bool) -> None:
    assert is_host(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[(text, True) for text in ("/", "/a?b=c&d", "/%20", "//", '/"', "/~")],
        *[(text, False) for text in ("", "a", "*", "/a#b", "/a b", "/a\n", "/\xe9", "/\x7f", "http://a/")],
    ],
)
def test_paths(text: str, expected: bool) -> None:
    assert is_path(text) is expected
