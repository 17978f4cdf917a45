"""The order of measurements."""

from benchmarks.contestants import contestants_for
from benchmarks.plan import choose_scenarios
from benchmarks.run import Settings
from benchmarks.world import Capture, Topology


def settings(rounds: int) -> Settings:
    scenarios = choose_scenarios(["bulk-1"])
    contestants = contestants_for(["ours", "envoy"], scenarios)
    return Settings(tuple(scenarios), tuple(contestants), rounds, 1.0, Topology.LOOPBACK, Capture.REDIRECT)


def test_contestants_alternate_and_take_turns_at_being_first() -> None:
    names = [c.name for _, scenario, c in settings(3).steps if scenario.name == "bulk-1-up"]
    assert names == [
        *("ours", "envoy", "envoy, large windows"),
        *("envoy", "envoy, large windows", "ours"),
        *("envoy, large windows", "ours", "envoy"),
    ]


def test_a_round_visits_every_scenario_before_the_next_begins() -> None:
    assert [number for number, _, _ in settings(2).steps] == [1] * 6 + [2] * 6
    assert settings(2).expected_seconds > 12
