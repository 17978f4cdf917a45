"""Names that a control plane gives, and what goes when it takes them back."""

from __future__ import annotations

from mesh_py.xds.aliases import Aliases


def test_istiods_names_are_the_own_ones() -> None:
    aliases = Aliases()
    assert aliases.bring("a", "a") is None
    assert aliases.bring("a", "a") is None
    assert aliases.drop("a") == "a"
    assert aliases.drop("ghost") == "ghost"


def test_another_name_takes_along_what_it_stands_for() -> None:
    aliases = Aliases()
    aliases.bring("x", "a")
    assert aliases.bring("x", "b") == "a"
    assert aliases.drop("x") == "b"
    assert aliases.drop("x") == "x"


def test_an_own_name_that_stands_for_something_else_now() -> None:
    aliases = Aliases()
    aliases.bring("a", "a")
    assert aliases.bring("a", "b") == "a"
    assert aliases.bring("a", "a") == "b"


def test_what_has_come_under_a_newer_name_stays() -> None:
    aliases = Aliases()
    aliases.bring("x", "a")
    aliases.bring("y", "a")
    assert aliases.drop("x") is None
    aliases.bring("x", "a")
    aliases.bring("a", "a")
    assert aliases.drop("x") is None
    assert aliases.drop("a") == "a"


def test_nothing_is_remembered_of_what_has_gone() -> None:
    aliases = Aliases()
    for number in range(5):
        aliases.bring("x", f"a{number}")
    aliases.drop("x")
    aliases.bring("x", "a")
    aliases.drop("a")
    aliases.drop("x")
    assert (aliases._own, aliases._given) == ({}, {})
