"""Advice for names that lead nowhere."""

from __future__ import annotations

import pytest

from istiod_py.check.nearest import nearest, nearest_label, text_of


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (["reviews", "ratings"], "did you mean 'reviews'?"),
        (["b", "a"], "there are a, b"),
        (list("abcdefg"), "there are a, b, c, d, e and 2 more"),
        ([], "add one"),
    ],
)
def test_the_nearest_name(known: list[str], expected: str) -> None:
    assert nearest("reveiws", known, "add one") == expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([{"app": "web"}], "app: did you mean 'web'?"),
        ([{"app": "wbe"}], "label the pods, or mend the selector"),
        ([{"tier": "x"}], "label the pods, or mend the selector"),
        ([], "label the pods, or mend the selector"),
    ],
)
def test_the_nearest_label(labels: list[dict[str, str]], expected: str) -> None:
    assert nearest_label({"app": "wbe"}, labels) == expected


def test_a_selector_is_written_as_on_a_command_line() -> None:
    assert text_of({"a": "b", "c": "d"}) == "a=b,c=d"
    assert text_of({}) == "everything"
