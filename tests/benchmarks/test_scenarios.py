"""Scenarios are chosen by name or by the front of one."""

import pytest

from benchmarks.metrics import HEADLINE, metric_named
from benchmarks.plan import Kind
from benchmarks.scenarios import SCENARIOS, TARGETS, choose_scenarios


@pytest.mark.parametrize(
    ("words", "names"),
    [
        pytest.param([], [s.name for s in SCENARIOS], id="no word means all"),
        pytest.param(["beside", "idle"], ["beside-8", "idle-10000"], id="kinds"),
        pytest.param(["bulk-8"], ["bulk-8-up", "bulk-8-down"], id="a kind and a number"),
        pytest.param(
            ["connect-1"],
            ["connect-1", "connect-1-quiet", "connect-1-awake"],
            id="a number is not the front of another",
        ),
        pytest.param(["rr-32", "bulk-1-up"], ["bulk-1-up", "rr-32"], id="in the plan's order"),
    ],
)
def test_words_choose_scenarios(words: list[str], names: list[str]) -> None:
    assert [s.name for s in choose_scenarios(words)] == names


def test_a_word_that_chooses_nothing_is_named() -> None:
    with pytest.raises(ValueError, match="no scenario r"):
        choose_scenarios(["rr", "r"])


def test_names_are_unique_and_targets_name_scenarios_and_their_figures() -> None:
    kinds = {s.name: s.kind for s in SCENARIOS}
    assert len(kinds) == len(SCENARIOS)
    for target in TARGETS:
        metric = metric_named(target.metric)
        assert metric in HEADLINE[kinds[target.scenario]]
        assert metric.higher_is_better is target.at_least


def test_every_kind_has_headline_figures() -> None:
    assert set(HEADLINE) == set(Kind)
