"""Rounds of questions until a connection knows what it needs, or nobody does."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from mesh_py.xds.on_demand import OnDemand
from tests.support.clock import VirtualClock
from tests.support.world import service
from ztunnel_py.on_demand_wait import ROUNDS, ask_beside, ask_for, is_asking_needed


@dataclass
class World:
    """`refers` says which name each name leads to."""

    refers: dict[str, str] = field(default_factory=dict)
    clock: VirtualClock = field(default_factory=VirtualClock)
    asked: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    went_on: int = 0

    def __post_init__(self) -> None:
        self.names = OnDemand(self.asked.extend, self.forgotten.extend, self.clock, 5.0)

    def missing(self) -> tuple[str, ...]:
        """The first name of the chain that is not known."""
        name = "n/a"
        while name in self.known and name in self.refers:
            name = self.refers[name]
        return () if name in self.known else (name,)

    def ask(self) -> None:
        ask_for(self.names, self.missing, self.go_on)

    def go_on(self) -> None:
        self.went_on += 1

    def answer(self, name: str) -> None:
        self.known.add(name)
        self.names.brought(service(name.partition("/")[2], namespace="n"), [])


@pytest.fixture
def world() -> World:
    return World({"n/a": "n/b", "n/b": "n/c"})


def test_each_answer_may_lead_to_another_question(world: World) -> None:
    world.ask()
    for name in ("n/a", "n/b", "n/c"):
        assert world.asked[-1] == name
        assert world.went_on == 0
        world.answer(name)
    assert (world.asked, world.went_on) == (["n/a", "n/b", "n/c"], 1)


def test_what_is_nobodys_ends_the_questions(world: World) -> None:
    world.ask()
    world.answer("n/a")
    world.names.removed(["n/b"])
    assert (world.asked, world.went_on) == (["n/a", "n/b"], 1)
    assert not is_asking_needed(world.names, world.missing)


def test_silence_ends_them_in_time(world: World) -> None:
    world.ask()
    world.clock.advance(5.0)
    assert world.went_on == 1


def test_a_chain_without_end_is_not_followed() -> None:
    world = World({f"n/{'a' * n}": f"n/{'a' * (n + 1)}" for n in range(1, 99)})
    world.ask()
    while not world.went_on:
        world.answer(world.asked[-1])
    assert len(world.asked) == ROUNDS


def test_what_is_asked_beside_holds_nobody_up(world: World) -> None:
    ask_beside(world.names, world.missing)
    ask_beside(world.names, world.missing)
    assert world.asked == ["n/a"]


def test_nothing_is_asked_for_where_all_is_known(world: World) -> None:
    world.known |= {"n/a", "n/b", "n/c"}
    assert not is_asking_needed(world.names, world.missing)
    world.ask()
    assert (world.asked, world.went_on) == ([], 1)
