"""Medians, ratios and verdicts, from rounds written by hand."""

from __future__ import annotations

import pytest

from benchmarks.metrics import metric_named
from benchmarks.plan import Code
from benchmarks.summary import Figure, Ratio, Sample, Summary, Word

RATE, P50 = metric_named("per_second"), metric_named("p50_us")


def rounds(peer: str, variant: str, scenario: str, key: str, values: list[float]) -> list[Sample]:
    name = f"{peer} {variant}".strip()
    return [Sample(number, scenario, peer, name, {key: value}) for number, value in enumerate(values, 1)]


def test_a_figure_is_the_median_with_its_spread() -> None:
    summary = Summary(rounds("ours", "", "rr-32", "per_second", [30.0, 10.0, 20.0]))
    assert summary.figure("rr-32", "ours", "per_second") == Figure(20, 10, 30, {1: 30, 2: 10, 3: 20})
    assert summary.figure("rr-32", "ours", "p50_us") is None
    assert summary.figure("rr-1", "ours", "per_second") is None


def test_the_better_variant_counts_and_better_depends_on_the_figure() -> None:
    summary = Summary(
        [
            *rounds("envoy", "small", "rr-1", "per_second", [10, 10]),
            *rounds("envoy", "large", "rr-1", "per_second", [12, 12]),
            *rounds("envoy", "small", "rr-1", "p50_us", [90, 90]),
            *rounds("envoy", "large", "rr-1", "p50_us", [95, 95]),
        ]
    )
    assert summary.best("rr-1", "envoy", RATE) == "envoy large"
    assert summary.best("rr-1", "envoy", P50) == "envoy small"
    assert summary.best("rr-1", "ours", P50) is None


def test_the_ratio_is_of_medians_and_its_spread_of_rounds() -> None:
    summary = Summary(
        [
            *rounds("ours", "", "rr-32", "per_second", [40, 30, 20]),
            *rounds("envoy", "", "rr-32", "per_second", [20, 30, 10]),
        ]
    )
    assert summary.ratio("rr-32", RATE) == Ratio(1.5, 1.0, 2.0, "envoy")


def test_a_round_that_failed_takes_part_in_no_figure() -> None:
    failed = Sample(2, "rr-32", "ours", "ours", {}, "no answer")
    summary = Summary(
        [
            *rounds("ours", "", "rr-32", "per_second", [40]),
            failed,
            *rounds("envoy", "", "rr-32", "per_second", [20, 80]),
        ]
    )
    assert summary.ratio("rr-32", RATE) == Ratio(0.8, 2.0, 2.0, "envoy")
    assert summary.errors() == [failed]


@pytest.mark.parametrize(
    ("scenario", "key", "ours", "word"),
    [
        pytest.param("rr-32", "per_second", 150, Word.GOAL, id="at least, the goal exactly"),
        pytest.param("rr-32", "per_second", 110, Word.MUST, id="at least, what must be exactly"),
        pytest.param("rr-32", "per_second", 109, Word.MISS, id="at least, just below"),
        pytest.param("rr-1", "p50_us", 80, Word.GOAL, id="at most, the goal exactly"),
        pytest.param("rr-1", "p50_us", 100, Word.MUST, id="at most, what must be exactly"),
        pytest.param("rr-1", "p50_us", 101, Word.MISS, id="at most, just above"),
    ],
)
def test_a_target_is_met_or_missed(scenario: str, key: str, ours: float, word: Word) -> None:
    summary = Summary([*rounds("ours", "", scenario, key, [ours]), *rounds("envoy", "", scenario, key, [100])])
    assert [v.word for v in summary.verdicts() if v.target.metric == key] == [word]


def test_a_target_of_ours_alone_needs_no_rival() -> None:
    (verdict,) = Summary(rounds("ours", "", "beside-8", "times_quiet", [2.5])).verdicts()
    assert (verdict.word, verdict.value) == (Word.MUST, 2.5)


def test_two_workers_are_held_to_one_of_ours() -> None:
    one = rounds("ours", "", "workers-rr-32", "cpu_us_per_op", [40])
    (verdict,) = Summary([*one, *rounds("ours 2 workers", "", "workers-rr-32", "cpu_us_per_op", [44])]).verdicts()
    assert (verdict.word, verdict.value, verdict.ours, verdict.theirs) == (Word.MUST, 1.1, 44, 40)


def test_each_form_of_ours_is_judged_by_itself() -> None:
    plain, envoy = rounds("ours", "", "rr-32", "per_second", [100]), rounds("envoy", "", "rr-32", "per_second", [100])
    compiled = rounds("ours compiled", "", "rr-32", "per_second", [150])
    (row,) = Summary([*plain, *compiled, *envoy]).judged()
    assert {code: verdict.word for code, verdict in row.items()} == {Code.PLAIN: Word.MISS, Code.COMPILED: Word.GOAL}
    assert Summary([*plain, *envoy]).verdicts(Code.COMPILED) == []


def test_two_compiled_workers_are_held_to_one_compiled() -> None:
    one = rounds("ours compiled", "", "workers-rr-32", "cpu_us_per_op", [20])
    both = [*one, *rounds("ours compiled 2 workers", "", "workers-rr-32", "cpu_us_per_op", [30])]
    (verdict,) = Summary(both).verdicts(Code.COMPILED)
    assert (verdict.word, verdict.value, verdict.code) == (Word.MISS, 1.5, Code.COMPILED)


def test_a_verdict_in_the_json_is_flat_and_whole() -> None:
    (verdict,) = Summary(rounds("ours", "", "beside-8", "times_quiet", [2.5])).verdicts()
    assert verdict.as_json() == {
        "scenario": "beside-8",
        "metric": "times_quiet",
        "subject": "ours",
        "against": None,
        "code": "plain",
        "must": 3,
        "goal": 2,
        "at_least": False,
        "value": 2.5,
        "ours": 2.5,
        "theirs": None,
        "rivals_own": None,
        "word": "must",
    }


def test_a_target_without_figures_of_both_is_neither_met_nor_missed() -> None:
    ran = Sample(1, "rr-32", "ours", "ours", {}, "no answer")
    summary = Summary([ran, *rounds("envoy", "", "rr-32", "per_second", [100])])
    assert [v.word for v in summary.verdicts()] == [Word.NONE]
    assert Summary(rounds("envoy", "", "rr-32", "per_second", [100])).verdicts() == []
