"""What a run does about failures and about its time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from benchmarks.contestants import contestants_for
from benchmarks.processes import BenchmarkError
from benchmarks.run import Run
from benchmarks.scenarios import choose_scenarios
from benchmarks.schedule import Settings
from benchmarks.summary import Sample
from benchmarks.world import Capture, Topology

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from benchmarks.arena import Arena
    from benchmarks.arenas import Arenas
    from benchmarks.plan import Contestant


def settings(rounds: int, words: Sequence[str] = ("bulk-1",), peers: Sequence[str] = ("ours", "envoy")) -> Settings:
    scenarios = choose_scenarios(list(words))
    contestants = contestants_for(peers, scenarios)
    return Settings(tuple(scenarios), tuple(contestants), rounds, 1.0, Topology.LOOPBACK, Capture.REDIRECT)


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
    run._measure_all(cast("Arenas", arenas), settings(1).steps)
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


def test_what_is_close_is_measured_again_for_as_long_as_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    run = Run(replace(settings(1, ["rr-32"]), budget=600.0, again=True), said.append)
    samples = [
        Sample(1, "rr-32", peer, peer, {"per_second": rate}) for peer, rate in (("ours", 110.0), ("envoy", 99.0))
    ]
    run.outcome.samples.extend(samples)
    run._measure_all(cast("Arenas", Failing()), run._left)
    left = iter([60.0, 60.0, 0.0])
    monkeypatch.setattr(Run, "_seconds_left", lambda self: next(left))
    run._measure_again(cast("Arenas", Failing()))
    rounds = [(r["round"], r["contestant"]) for r in run.outcome.records if r["again"]]
    assert rounds == [(2, "envoy"), (2, "ours"), (3, "ours"), (3, "envoy")]
    assert "round 3 again  envoy" in said[-2]
