"""The page holds the figures, the verdicts, who ran, and what failed."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.report import report
from benchmarks.scenarios import choose_scenarios
from benchmarks.summary import Sample, Summary
from benchmarks.tables import details_table, figures_table, table, verdicts_table

SCENARIOS = choose_scenarios(["rr-32"])


def sample(peer: str, number: int, rate: float) -> Sample:
    metrics = {"per_second": rate, "p50_us": 700.0, "cpu_us_per_op": 60.0, "outbound_cpu_us_per_op": 31.0}
    metrics |= {"cpu_user_us_per_op": 20.0, "cpu_system_us_per_op": 40.0}
    return Sample(number, "rr-32", peer, peer, metrics)


@pytest.fixture
def summary() -> Summary:
    samples = [sample("ours", 1, 40000), sample("ours", 2, 44000), sample("envoy", 1, 30000)]
    return Summary([*samples, sample("envoy", 2, 30000), Sample(3, "rr-32", "envoy", "envoy", {}, "it ended")])


@pytest.fixture
def document() -> dict[str, Any]:
    return {
        "machine": {"CPU": "2 × something"},
        "cores": 2,
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
    assert "p99 us" not in text  # a figure that nobody gave


def test_verdicts_say_how_far_a_target_is_reached(summary: Summary) -> None:
    text = verdicts_table(summary.judged(), SCENARIOS)
    assert "| ≥ 1.1 | ≥ 1.5 | 30,000        | 42,000      | **1.40** | must    |" in text


def test_details_split_the_cpu(summary: Summary) -> None:
    assert "| us per op | 20.0 | 40.0   | 31.0       |" in details_table(summary, SCENARIOS)


def test_the_page_tells_failures_and_disturbance(summary: Summary, document: dict[str, Any]) -> None:
    page = report(document, summary, SCENARIOS, ["results/overview.svg"])
    assert "round 3, rr-32, envoy: it ended" in page
    assert "above 0.25 cores in 1 of 2 measurements" in page
    assert "](results/overview.svg)" in page
    assert "TLS_AES_128_GCM_SHA256, X25519" in page


def test_a_miss_stands_beside_the_profile_that_says_why(document: dict[str, Any]) -> None:
    profile = {"title": "round trips", "unit": "us per operation", "steps": {"system calls: send": 20.0}}
    slow = Summary([sample("ours", 1, 15000), sample("envoy", 1, 30000)])
    page = report({**document, "once": {"profile": {"round-trip": profile}}}, slow, SCENARIOS, [])
    assert "plain: 0 of 1 reached" in page
    assert "The compiled form was not measured, so the plain one alone is judged" in page
    assert "per second: plain 0.50, must be at least 1.1" in page
    assert "| system calls: send   | 20.0             | 100 % |" in page


def test_both_forms_are_judged_and_a_miss_names_its_form(document: dict[str, Any]) -> None:
    both = Summary([sample("ours", 1, 15000), sample("ours compiled", 1, 36000), sample("envoy", 1, 30000)])
    page = report(document, both, SCENARIOS, [])
    assert "plain: 0 of 1 reached, 0 of them as far as the goal; compiled: 1 of 1 reached" in page
    assert "| 15,000      | **0.50** | MISS    | 36,000         | **1.20** | must    |" in page
    assert "per second: plain 0.50, must be at least 1.1" in page


def test_what_is_measured_once_stands_in_the_page_or_says_why_not(summary: Summary, document: dict[str, Any]) -> None:
    start = {"ready": {"node proxies": {"ours": 1.25, "envoy": 0.5}}, "import": {"ztunnel_py": 0.4}}
    once = {"start": start, "state": {"load, s": 1.5}, "lab": {"error": "no right"}}
    page = report({**document, "once": once}, summary, SCENARIOS, [])
    assert "| node proxies | 1.25 | 0.50  |" in page
    assert "ztunnel_py 0.40 s" in page
    assert "- lab: no right" in page


def test_further_rounds_are_told_with_the_rule_that_chose_them(summary: Summary, document: dict[str, Any]) -> None:
    assert "further rounds" not in report(document, summary, SCENARIOS, [])
    again = [{"scenario": "rr-32", "round": number, "again": True} for number in (3, 3, 4)]
    page = report({**document, "samples": again}, summary, SCENARIOS, [])
    assert "within 5 % of what it must be, below or above, of those whom the target is about: rr-32 2." in page


def test_without_our_pair_the_page_says_why_nothing_is_judged(document: dict[str, Any]) -> None:
    page = report(document, Summary([sample("envoy", 1, 30000)]), SCENARIOS, [])
    assert "Not judged: ours did not take part." in page
