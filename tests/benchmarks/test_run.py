"""The order of measurements."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from benchmarks.contestants import contestants_for
from benchmarks.processes import BenchmarkError
from benchmarks.run import Run, Settings
from benchmarks.scenarios import choose_scenarios
from benchmarks.world import Capture, Topology

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.arena import Arena
    from benchmarks.arenas import Arenas
    from benchmarks.plan import Contestant


def settings(rounds: int, words: Sequence[str] = ("bulk-1",), peers: Sequence[str] = ("ours", "envoy")) -> Settings:
    scenarios = choose_scenarios(list(words))
    contestants = contestants_for(peers, scenarios)
    return Settings(tuple(scenarios), tuple(contestants), rounds, 1.0, Topology.LOOPBACK, Capture.REDIRECT)


def test_contestants_alternate_and_take_turns_at_being_first() -> None:
    names = [step.contestant.name for step in settings(3).steps if step.scenario.name == "bulk-1-up"]
    assert names == [
        *("ours", "envoy", "envoy, large windows"),
        *("envoy", "envoy, large windows", "ours"),
        *("envoy, large windows", "ours", "envoy"),
    ]


def test_a_round_visits_every_scenario_before_the_next_begins() -> None:
    assert [step.round for step in settings(2).steps] == [1] * 6 + [2] * 6
    assert settings(2).expected_seconds(settings(2).steps) > 12


def test_what_hardly_differs_is_measured_in_two_rounds_only() -> None:
    rounds = settings(3, ["rr-32", "idle"], ["ours", "direct"]).steps
    assert [(step.round, step.contestant.name) for step in rounds if step.scenario.fresh] == [(1, "ours"), (2, "ours")]
    assert [step.round for step in rounds if step.contestant.peer == "direct"] == [1, 2]


def test_what_no_target_is_about_is_measured_in_three_rounds_only() -> None:
    steps = settings(5, ["rr-1", "rr-1-awake"], ["ours"]).steps
    rounds = {name: max(step.round for step in steps if step.scenario.name == name) for name in ("rr-1", "rr-1-awake")}
    assert rounds == {"rr-1": 5, "rr-1-awake": 3}


def test_a_rival_s_workers_are_measured_in_three_rounds_and_ours_in_all() -> None:
    steps = settings(5, ["workers-rr-32"], ["ours", "ours 2 workers", "envoy", "envoy 2 workers"]).steps
    rounds = {step.contestant.name: max(s.round for s in steps if s.contestant == step.contestant) for step in steps}
    assert rounds == {"ours": 5, "ours 2 workers": 5, "envoy": 3, "envoy 2 workers": 3}


class Failing:
    """In place of all arenas: whoever asks for one gets an error of a kind that nobody foresaw."""

    def __init__(self) -> None:
        self.asked = 0

    def of(self, contestant: Contestant) -> Arena:
        self.asked += 1
        raise ZeroDivisionError("nobody thought of it")


def test_a_failure_of_any_kind_is_told_and_loses_nothing_else() -> None:
    arenas, said = Failing(), list[str]()
    run = Run(settings(1), said.append)
    run._round(cast("Arenas", arenas), 1)
    assert arenas.asked == 6
    assert all("ZeroDivisionError: nobody thought of it (test_run.py:" in one.error for one in run.outcome.samples)
    assert "about 0:01 left" in said[-2]


def test_a_part_that_fails_is_told_and_the_next_is_measured() -> None:
    def fails() -> None:
        raise BenchmarkError("no compiler")

    run = Run(settings(1), lambda line: None)
    run.once({"limits": fails, "state": lambda: {"load, s": 1.5}})
    assert run.outcome.once == {"limits": {"error": "no compiler"}, "state": {"load, s": 1.5}}


def test_a_round_that_would_not_end_in_time_is_left_out() -> None:
    said: list[str] = []
    run = Run(replace(settings(3), budget=0.0), said.append)
    assert [run._fits(number) for number in (1, 2)] == [True, False]
    assert "round 2 is left out" in said[0]
