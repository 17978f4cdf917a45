"""The order of measurements, and what is measured again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.contestants import contestants_for
from benchmarks.plan import Code
from benchmarks.scenarios import choose_scenarios, targets_of
from benchmarks.schedule import Settings, close_calls
from benchmarks.summary import Verdict
from benchmarks.world import Capture, Topology

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def verdict(scenario: str, metric: str, value: float | None, code: Code = Code.PLAIN) -> Verdict:
    target = next(t for t in targets_of(code) if (t.scenario, t.metric) == (scenario, metric))
    return Verdict(target, code, value)


def test_what_is_close_to_its_target_on_either_side_comes_closest_first() -> None:
    found = close_calls(
        [
            verdict("rr-32", "per_second", 1.06),
            verdict("rr-32", "per_second", 1.3, Code.COMPILED),
            verdict("connect-16", "per_second", 1.31),
            verdict("connect-16", "per_second", 1.33, Code.COMPILED),
            verdict("workers-rr-256", "cpu_us_per_op", 1.12),
            verdict("beside-8", "times_quiet", 2.9),
            verdict("bulk-1-up", "gbit_s", 1.2),
            verdict("idle-10000", "mb_per_1000", None),
        ]
    )
    assert list(found.items()) == [
        ("connect-16", frozenset({"ours", "ours compiled", "envoy"})),
        ("workers-rr-256", frozenset({"ours 2 workers", "ours"})),
        ("beside-8", frozenset({"ours"})),
        ("rr-32", frozenset({"ours", "envoy"})),
    ]


@pytest.mark.parametrize(
    ("seconds", "names"),
    [
        pytest.param(1, [], id="no time, nothing"),
        pytest.param(4, ["envoy", "ours"], id="time for the closest alone"),
        pytest.param(60, ["envoy", "ours", "ours"], id="time for all"),
    ],
)
def test_as_much_is_measured_again_as_there_is_time_for(seconds: float, names: list[str]) -> None:
    close = {"rr-32": frozenset({"ours", "envoy"}), "beside-8": frozenset({"ours"})}
    run = settings(5, ["rr-32", "beside-8", "rr-256"], ["ours", "envoy", "direct"])
    steps = run.steps_again(6, close, seconds)
    assert [step.contestant.name for step in steps] == names
    assert all(step.again and step.round == 6 for step in steps)
