"""Two workers beside one of the same proxy."""

from __future__ import annotations

import pytest

from benchmarks.scenarios import choose_scenarios
from benchmarks.summary import Sample, Summary
from benchmarks.workers import explain_cores, worker_ratios, workers_table

SCENARIOS = choose_scenarios(["rr-32", "workers-rr-32"])
COSTS = {"ours": [20.0, 22.0], "ours 2 workers": [25.0, 26.0], "envoy": [30.0, 30.0], "envoy 2 workers": [36.0, 33.0]}


def summary(peers: list[str]) -> Summary:
    return Summary(
        Sample(number, scenario.name, peer, peer, {"cpu_us_per_op": cost})
        for scenario in SCENARIOS
        for peer in peers
        for number, cost in enumerate(COSTS[peer], 1)
    )


def test_each_proxy_stands_beside_its_own_one_worker() -> None:
    ratios = worker_ratios(summary(list(COSTS)), SCENARIOS)
    assert [(one.scenario, one.who, round(one.ratio, 2)) for one in ratios] == [
        ("workers-rr-32", "ours", 1.21),
        ("workers-rr-32", "envoy", 1.15),
    ]
    assert ratios[1].as_json()["high"] == 1.2
    assert "| envoy | 30.0     | 34.5      | **1.15** (1.10–1.20) |" in workers_table(ratios, SCENARIOS)


def test_whoever_ran_in_one_of_the_two_forms_has_no_ratio() -> None:
    assert [one.who for one in worker_ratios(summary(["ours", "ours 2 workers", "envoy"]), SCENARIOS)] == ["ours"]


@pytest.mark.parametrize(("cores", "said"), [(2, "it is not measurable here"), (8, "it can be read off here")])
def test_a_machine_without_the_cores_is_told(cores: int, said: str) -> None:
    text = explain_cores(cores)
    assert f"this machine has {cores}." in text
    assert "1.8 times one worker's is the goal where 6 cores are free" in text
    assert said in text
