"""Names, ages and places."""

from __future__ import annotations

from mesh_py.manifests.metadata import Metadata, Place


def test_the_oldest_comes_first_and_what_has_no_age_goes_by_its_place_in_the_files() -> None:
    old = Metadata("z", "a", creation_timestamp="2024-01-01T00:00:00Z", order=3)
    young = Metadata("y", "a", creation_timestamp="2025-01-01T00:00:00Z", order=2)
    first, second = Metadata("x", "a", order=0), Metadata("w", "a", order=1)
    assert sorted([second, young, first, old], key=lambda one: one.age) == [old, young, first, second]


def test_a_place_is_no_part_of_what_an_object_says() -> None:
    assert Metadata("a", place=Place("f", 1, 2)) == Metadata("a", place=Place("g", 3, 4))


def test_names_and_places_are_printed_as_people_write_them() -> None:
    assert Metadata("web", "shop").key == "shop/web"
    assert Metadata("shop").key == "shop"
    assert str(Place("f.yaml", 3, 5)) == "f.yaml:3:5"
    assert str(Place("f.yaml")) == "f.yaml"
