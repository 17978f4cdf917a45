"""Columns on a terminal."""

from __future__ import annotations

from lab_py.tables import table


def test_the_last_column_is_wrapped_and_styles_take_no_room() -> None:
    rows = [("\033[31m!\033[0m", "one", "a b c " * 8), ("", "longer", "short")]
    assert list(table(("", "NAME", "WHAT"), rows, 40)) == [
        "   NAME    WHAT",
        "\033[31m!\033[0m  one     a b c a b c a b c a b c a b c",
        "           a b c a b c a b c",
        "   longer  short",
    ]


def test_a_narrow_terminal_has_room_all_the_same() -> None:
    assert list(table(("A", "B"), [("x" * 30, "some words that are wrapped")], 20))[1:] == [
        f"{'x' * 30}  some words that are",
        f"{'':30}  wrapped",
    ]
