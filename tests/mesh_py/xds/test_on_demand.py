"""Waits for names: what ends them, who shares them, what is remembered, and the bounds (hbone-controlplane 2.7)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from mesh_py.xds import on_demand
from mesh_py.xds.on_demand import ABSENT_SECONDS, OnDemand
from tests.support.clock import VirtualClock
from tests.support.world import block, service, workload

SECONDS = 5.0
WORKLOAD = workload("w", "10.0.0.1", "fd00::1", network="east", hostname="db.example.com")
SERVICE = service("h.example.com", "10.96.0.1", cidr_vips=(block("10.97.0.0/16"),))


@dataclass
class World:
    clock: VirtualClock = field(default_factory=VirtualClock)
    asked: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    woken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = OnDemand(self.asked.extend, self.forgotten.extend, self.clock, SECONDS)

    def find(self, who: str, *names: str) -> None:
        self.names.find(names, lambda: self.woken.append(who))


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("name", "resource", "called"),
    [
        pytest.param("cluster//Pod/default/w", WORKLOAD, [], id="uid"),
        pytest.param("east/10.0.0.1", WORKLOAD, [], id="a workload's address"),
        pytest.param("east/fd00::1", WORKLOAD, [], id="its other address"),
        pytest.param("default/db.example.com", WORKLOAD, [], id="a workload's host name"),
        pytest.param("/10.96.0.1", SERVICE, [], id="a virtual address"),
        pytest.param("/10.97.3.4", SERVICE, [], id="a block of virtual addresses"),
        pytest.param("default/h.example.com", SERVICE, [], id="a service's name"),
        pytest.param("/10.5.5.5", WORKLOAD, ["some uid", "/10.5.5.5"], id="an alias"),
        pytest.param("resource", SERVICE, ["resource"], id="the resource's own name"),
    ],
)
def test_a_wait_ends_with_whatever_answers_it(world: World, name: str, resource, called: list[str]) -> None:
    world.find("a", name)
    assert (world.asked, world.woken) == ([name], [])
    world.names.brought(resource, called)
    assert world.woken == ["a"]
    assert world.names.waiting == ()
    assert world.clock.pending == 0


def test_others_do_not_end_it(world: World) -> None:
    world.find("a", "/10.0.0.1")
    world.names.brought(WORKLOAD, ["x", "y"])  # of network east
    world.names.brought(SERVICE, [])
    world.names.removed(["/10.0.0.2"])
    assert world.woken == []


def test_a_second_asker_shares_the_wait(world: World) -> None:
    world.find("a", "/10.96.0.1")
    world.clock.advance(SECONDS - 1)
    world.find("b", "/10.96.0.1")
    assert world.asked == ["/10.96.0.1"]
    assert world.woken == []
    world.names.brought(SERVICE, [])
    assert world.woken == ["a", "b"]


def test_several_names_are_waited_for_together(world: World) -> None:
    world.find("a", "/10.96.0.1", "east/10.0.0.1", "/10.96.0.1")
    assert world.asked == ["/10.96.0.1", "east/10.0.0.1"]
    world.names.brought(SERVICE, [])
    assert world.woken == []
    world.names.brought(WORKLOAD, [])
    assert world.woken == ["a"]


def test_nothing_to_ask_for_is_no_wait(world: World) -> None:
    world.find("a")
    assert (world.asked, world.woken) == ([], ["a"])


def test_a_name_that_is_nobodys_is_not_asked_for_again_at_once(world: World) -> None:
    world.find("a", "/1.2.3.4")
    world.names.removed(["/1.2.3.4"])
    world.find("b", "/1.2.3.4")
    assert (world.asked, world.woken) == (["/1.2.3.4"], ["a", "b"])
    world.clock.advance(ABSENT_SECONDS)
    world.find("c", "/1.2.3.4")
    assert world.asked == ["/1.2.3.4"] * 2
    assert world.woken == ["a", "b"]


def test_the_deadline_ends_a_wait(world: World) -> None:
    world.find("a", "/1.2.3.4")
    world.clock.advance(SECONDS / 2)
    world.find("b", "/1.2.3.4", "/1.2.3.5")
    world.clock.advance(SECONDS / 2)
    assert world.woken == ["a"]
    world.clock.advance(SECONDS / 2)
    assert world.woken == ["a", "b"]
    assert world.names.is_known_absent("/1.2.3.4")


def test_that_nobody_answered_tells_nothing(world: World) -> None:
    world.find("a", "n/denied", "n/late", "n/silent")
    world.names.removed(["n/denied"])
    world.clock.advance(SECONDS)
    world.names.removed(["n/late", "n/other"])
    names = ("n/denied", "n/late", "n/silent", "n/never asked", "n/other")
    assert [world.names.is_unanswered(name) for name in names] == [False, False, True, True, True]


def test_a_name_that_somebody_has_after_all_is_not_absent_any_more(world: World) -> None:
    world.find("a", "/10.96.0.1")
    world.names.removed(["/10.96.0.1"])
    world.names.brought(SERVICE, [])
    assert not world.names.is_known_absent("/10.96.0.1")


def test_waits_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_demand, "MOST_WAITING", 2)
    world.find("a", "n/a", "n/b", "n/c")
    world.find("b", "n/d")
    assert world.asked == ["n/a", "n/b"]
    assert world.woken == ["b"]


def test_the_memory_of_nobodys_names_is_bounded_and_their_subscriptions_end(world: World, monkeypatch) -> None:
    monkeypatch.setattr(on_demand, "MOST_ABSENT", 2)
    world.find("a", "n/a", "n/b", "n/c")
    world.names.removed(["n/a", "n/b", "n/c"])
    assert world.forgotten == ["n/a"]
    assert [world.names.is_known_absent(name) for name in ("n/a", "n/b", "n/c")] == [False, True, True]


def test_whoever_is_woken_may_ask_again(world: World) -> None:
    world.names.find(["n/a"], lambda: world.find("again", "n/a"))
    world.names.brought(service("a", namespace="n"), [])
    assert world.asked == ["n/a", "n/a"]
