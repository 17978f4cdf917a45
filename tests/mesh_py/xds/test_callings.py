"""Names that a control plane gives, and what goes when it takes them back."""

from __future__ import annotations

from mesh_py.xds.callings import Callings


def test_istiods_names_are_the_own_ones() -> None:
    callings = Callings()
    assert callings.bring("a", "a") is None
    assert callings.bring("a", "a") is None
    assert callings.drop("a") == "a"
    assert callings.drop("ghost") == "ghost"


def test_another_name_takes_along_what_it_stands_for() -> None:
    callings = Callings()
    callings.bring("x", "a")
    assert callings.bring("x", "b") == "a"
    assert callings.drop("x") == "b"
    assert callings.drop("x") == "x"


def test_an_own_name_that_stands_for_something_else_now() -> None:
    callings = Callings()
    callings.bring("a", "a")
    assert callings.bring("a", "b") == "a"
    assert callings.bring("a", "a") == "b"


def test_what_has_come_under_a_newer_name_stays() -> None:
    callings = Callings()
    callings.bring("x", "a")
    callings.bring("y", "a")
    assert callings.drop("x") is None
    callings.bring("x", "a")
    callings.bring("a", "a")
    assert callings.drop("x") is None
    assert callings.drop("a") == "a"


def test_nothing_is_remembered_of_what_has_gone() -> None:
    callings = Callings()
    for number in range(5):
        callings.bring("x", f"a{number}")
    callings.drop("x")
    callings.bring("x", "a")
    callings.drop("a")
    callings.drop("x")
    assert (callings._own, callings._given) == ({}, {})
