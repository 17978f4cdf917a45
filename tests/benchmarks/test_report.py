"""The page holds the figures, the verdicts, who ran, and what failed."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.plan import choose_scenarios
from benchmarks.report import details_table, figures_table, report, table, verdicts_table
from benchmarks.summary import Sample, Summary

SCENARIOS = choose_scenarios(["rr-32"])


def sample(peer: str, number: int, rate: float) -> Sample:
    metrics = {"per_second": rate, "p50_us": 700.0, "cpu_us_per_op": 60.0, "outbound_cpu_us_per_op": 31.0}
    return Sample(number, "rr-32", peer, peer, metrics)


@pytest.fixture
def summary() -> Summary:
    samples = [sample("ours", 1, 40000), sample("ours", 2, 44000), sample("envoy", 1, 30000)]
    return Summary([*samples, sample("envoy", 2, 30000), Sample(3, "rr-32", "envoy", "envoy", {}, "it ended")])


@pytest.fixture
def document() -> dict[str, Any]:
    return {
        "machine": {"CPU": "2 × something"},
        "settings": {"rounds": 2, "seconds": 3.0, "topology": "loopback", "capture": "redirect"},
        "contestants": [{"name": "ours", "version": "0.1", "TLS on the wire": "TLS_AES_128_GCM_SHA256, X25519"}],
        "samples": [{"other_cores": 0.1}, {"other_cores": 0.9}, {"error": "it ended"}],
    }


def test_a_table_is_padded_to_its_widest_cells() -> None:
    assert table(["a", "long"], [["wide one", "b"]]) == (
        "| a        | long |\n"
        "|----------|------|\n"
        "| wide one | b    |"
    )  # fmt: skip


def test_figures_stand_with_spread_and_ratio(summary: Summary) -> None:
    text = figures_table(summary, SCENARIOS)
    assert "| 42,000 (40,000–44,000) | 30,000 |" in text
    assert "1.40 (1.33–1.47)" in text
    assert "| p99 us               | -  " in text  # a figure that nobody gave


def test_verdicts_say_pass_or_miss(summary: Summary) -> None:
    assert "| at least 1   | 1.40     | pass |" in verdicts_table(summary.verdicts(), SCENARIOS)


def test_details_split_the_cpu(summary: Summary) -> None:
    assert "| us per op | -    | -      | 31.0 + -   |" in details_table(summary, SCENARIOS)


def test_the_page_tells_failures_and_disturbance(summary: Summary, document: dict[str, Any]) -> None:
    page = report(document, summary, SCENARIOS, ["results/overview.svg"])
    assert "round 3, rr-32, envoy: it ended" in page
    assert "above 0.25 cores in 1 of 2 measurements" in page
    assert "](results/overview.svg)" in page
    assert "TLS_AES_128_GCM_SHA256, X25519" in page


def test_without_our_pair_the_page_says_why_nothing_is_judged(document: dict[str, Any]) -> None:
    page = report(document, Summary([sample("envoy", 1, 30000)]), SCENARIOS, [])
    assert "Not judged: ours did not take part." in page
