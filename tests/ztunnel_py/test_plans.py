"""Decisions remembered until the mesh changes, and chance that is never remembered."""

from __future__ import annotations

from tests.support import world
from ztunnel_py.plans import Dice, Plans


def test_a_plan_holds_until_the_mesh_changes() -> None:
    state = world.mesh()
    plans: Plans[str] = Plans(state)
    plans.put("key", "plan")
    assert (plans.get("key"), plans.get("other")) == ("plan", None)
    state.upsert_workload(world.workload("new", "10.0.0.1"))
    assert plans.get("key") is None
    plans.put("key", "another")
    assert plans.get("key") == "another"


def test_a_plan_made_in_a_batch_does_not_outlive_it() -> None:
    state = world.mesh()
    plans: Plans[str] = Plans(state)
    with state.batch():
        state.upsert_workload(world.workload("new", "10.0.0.1"))
        plans.put("key", "plan")
    assert plans.get("key") is None


def test_peers_do_not_choose_how_many_are_kept() -> None:
    plans: Plans[int] = Plans(world.mesh(), kept=3)
    for number in range(10):
        plans.put(number, number)
    assert sum(plans.get(number) is not None for number in range(10)) <= 3
    assert plans.get(9) == 9


def test_dice_tell_that_they_were_rolled() -> None:
    dice = Dice()
    assert not dice.rolled
    assert 0 <= dice() < 1
    assert dice.rolled
