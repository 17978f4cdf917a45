"""Trees of expressions; what they match is in test_regex."""

from __future__ import annotations

import pytest

from mesh_py.http.regex_syntax import ANY_BYTE, Begin, Characters, Choice, End, Repeat, Sequence, Tree, parse

A, B = Characters(1 << ord("a")), Characters(1 << ord("b"))


@pytest.mark.parametrize(
    ("pattern", "tree"),
    [
        ("", Sequence(())),
        ("ab", Sequence((A, B))),
        ("a|b", Choice((A, B))),
        ("(a)", A),
        ("a*b+", Sequence((Repeat(A, 0, None), Repeat(B, 1, None)))),
        ("a{2,3}", Repeat(A, 2, 3)),
        ("^a$", Sequence((Begin(), A, End()))),
        ("[^a]", Characters(ANY_BYTE & ~A.mask)),
    ],
)
def test_trees(pattern: str, tree: Tree) -> None:
    assert parse(pattern) == tree
