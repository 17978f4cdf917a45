"""Beside each miss stand the run's own figures, and where its traffic is told about."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.floors import Floor
from benchmarks.reasons import anchor_of, reasons
from benchmarks.scenarios import SCENARIOS, choose_scenarios
from benchmarks.summary import Sample, Summary

if TYPE_CHECKING:
    from benchmarks.plan import Scenario

ROOT = Path(__file__).parents[2]
STEPS = {"title": "new tunnels", "unit": "us per operation", "steps": {"system calls: send": 20.0}}

CALLS = {"ours": {"outbound": 11.61, "inbound": 18.0}, "envoy": {"outbound": 18.6, "inbound": 20.2}}
ONCE = {"profile": {"connect": STEPS}, "calls": {"connect-16": CALLS}}


def sample(scenario: str, peer: str, **metrics: float) -> Sample:
    return Sample(1, scenario, peer, peer, {key: float(value) for key, value in metrics.items()})


def page_of(samples: list[Sample], names: list[str], floors: list[Floor] | None = None, cores: int = 2) -> str:
    found = reasons(Summary(samples), choose_scenarios(names), ONCE, floors or [], cores)
    return "\n".join(found)


def test_nothing_missed_nothing_said() -> None:
    assert page_of([sample("rr-32", "ours", per_second=200), sample("rr-32", "envoy", per_second=100)], ["rr-32"]) == ""


def test_a_miss_says_what_the_proxies_used_and_might_use() -> None:
    """4,000 a second on two cores are 500 us each, of which the proxies have 200; at 1.3 times 4,000, 385."""
    ours = {"cpu_us_per_op": 200, "cpu_user_us_per_op": 90, "cpu_system_us_per_op": 110, "inbound_cpu_us_per_op": 120}
    switches = {"voluntary_switches_per_op": 0.5, "involuntary_switches_per_op": 1.25}
    samples = [
        sample("connect-16", "ours", per_second=4000, **ours, **switches),
        sample("connect-16", "envoy", per_second=4000, cpu_us_per_op=250),
    ]
    floor = Floor(choose_scenarios(["connect-16"])[0], "cpu_us_per_op", 150)
    page = page_of(samples, ["connect-16"], [floor])
    assert "- per second: plain 1.00, must be at least 1.3" in page
    assert "plain: 500 us of 2 cores for an operation, of which 200 are the CPU of our proxies and 300 all else" in page
    assert "1.3 times envoy's rate leaves the proxies 85 us; the machine's limit by itself is 150." in page
    assert re.search(r"\| ours +\| 4,000 +\| 200.0 +\| 90.0 \| 110.0 +\| - +\| 120.0 +\| 0.50 +\| 1.25 +\| 0.80 ", page)
    assert re.search(r"\| envoy +\| 4,000 .*\| 1.00 ", page)
    assert "one worker: ours 11.6 outbound + 18.0 inbound; envoy 18.6 outbound + 20.2 inbound." in page
    assert "docs/performance.md#new-tunnels" in page
    assert "| system calls: send   | 20.0             | 100 % |" in page


def test_one_client_waits_for_each_answer_whatever_the_cores() -> None:
    samples = [sample("connect-1-quiet", peer, per_second=1000, cpu_us_per_op=600) for peer in ("ours", "envoy")]
    assert "plain: 1000 us from one operation to the next, of which 600" in page_of(samples, ["connect-1"])


def test_two_workers_that_cost_too_much_stand_beside_the_rival_s_own() -> None:
    costs = {"ours": (20, 0.25), "ours 2 workers": (25, 0.75), "envoy": (30, 0.1), "envoy 2 workers": (36, 0.5)}
    samples = [
        sample(
            "workers-rr-32",
            peer,
            per_second=9000,
            cpu_us_per_op=cost,
            voluntary_switches_per_op=switches,
            involuntary_switches_per_op=0.25,
        )
        for peer, (cost, switches) in costs.items()
    ]
    page = page_of(samples, ["workers-rr-32"])
    assert "plain 1.25, must be at most 1.1; envoy's own two workers come to 1.20 times its one here" in page
    assert "ours 0.50 and 1.00 switches, +5.0 us; envoy 0.35 and 0.75 switches, +6.0 us" in page


def test_traffic_whose_cpu_nobody_counts_has_no_table() -> None:
    page = page_of([sample("beside-8", "ours", times_quiet=5)], ["beside-8"])
    assert "plain 5.00, must be at most 3" in page
    assert "who" not in page


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_scenario_is_told_about_where_the_page_says(scenario: Scenario) -> None:
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / "performance.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert anchor_of(scenario) in anchors
