"""Who waits for a handshake, who makes room for whom, and who has to go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.capture.strangers import Stranger, Strangers

if TYPE_CHECKING:
    from hbone_py.errors import HboneError


class Port:
    """Four places, three of them for one source, patience of a second; each stranger has a name, source and number."""

    def __init__(self) -> None:
        self.strangers = Strangers(most=4, most_of_one=3, patience=1.0)
        self.waiting: dict[str, Stranger] = {}
        self.gone: list[str] = []

    def come(self, name: str, now: float) -> None:
        place = self.strangers.admit(name[0], now)
        if place is None:
            self.gone.append(name)
            return
        self.waiting[name] = place

        def cut(error: HboneError) -> None:
            assert f"this one of {name[0]} had to go" in str(error)
            self.gone.append(name)

        place.cut = cut


@pytest.mark.parametrize(
    ("came", "newcomer", "now", "goes"),
    [
        pytest.param("a1 a2", "a3", 0.0, "", id="there is room"),
        pytest.param("a1 a2 a3", "a4", 0.5, "a4", id="a burst of one source"),
        pytest.param("a1 a2 a3", "a4", 1.0, "a1", id="a siege of one source"),
        pytest.param("a1 a2 a3", "b1", 0.0, "", id="another source"),
        pytest.param("a1 a2 a3 b1", "c1", 0.0, "a1", id="no room: who has most goes, however young"),
        pytest.param("a1 b1 a2 b2", "a3", 0.5, "a3", id="no room, and of those who have most itself"),
        pytest.param("b1 a1 a2 a3", "b2", 0.5, "a1", id="who has least is let in"),
        pytest.param("d1 c1 b1 a1", "e1", 0.5, "d1", id="many sources: the first"),
    ],
)
def test_who_goes(came: str, newcomer: str, now: float, goes: str) -> None:
    port = Port()
    for name in came.split():
        port.come(name, 10.0)
    assert not port.gone
    port.come(newcomer, 10.0 + now)
    assert port.gone == goes.split()


def test_who_has_proved_who_it_is_gives_its_place_back() -> None:
    port = Port()
    for name in ("a1", "a2", "a3"):
        port.come(name, 0.0)
    for _ in range(2):  # it is settled again when it ends
        port.strangers.settled(port.waiting["a2"])
    assert len(port.strangers) == 2
    port.come("a4", 5.0)
    assert not port.gone


def test_room_is_made_for_who_is_known() -> None:
    port = Port()
    assert not port.strangers.make_room()
    port.come("a1", 0.0)
    assert port.strangers.make_room()
    assert (port.gone, len(port.strangers)) == (["a1"], 0)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 7)), max_size=40))
def test_whoever_goes_is_of_those_who_have_most(steps: list[tuple[str, int]]) -> None:
    """They are told apart without a look at all of them; here all of them are looked at."""
    strangers = Strangers(most=6, most_of_one=6, patience=0.0)
    held: list[Stranger] = []

    def cut(stranger: Stranger) -> None:
        counts = [sum(one.source == source for one in held) for source in "abcd"]
        assert sum(one.source == stranger.source for one in held) == max(counts)
        held.remove(stranger)

    for source, number in steps:
        place = strangers.admit(source, 0.0)
        assert place is not None
        place.cut = lambda _, place=place: cut(place)  # type: ignore[misc]
        held.append(place)
        if number < len(held) and number % 2:
            strangers.settled(held.pop(number))
        assert len(strangers) == len(held) <= 6
    while held:
        assert strangers.make_room()
    assert not strangers.make_room()
    assert (strangers._by_source, strangers._crowds) == ({}, {}), "something is kept of who is gone"
