"""The limit of the machine, from parts that were measured by themselves."""

from __future__ import annotations

import pytest

from benchmarks.floors import floors
from benchmarks.scenarios import choose_scenarios
from benchmarks.summary import Sample, Summary
from benchmarks.tables import floors_table

LIMITS = {"tls_encrypt_gb_s": 4.0, "tls_decrypt_gb_s": 2.0, "tls_small_us": 3.0}


def direct(scenario: str, **metrics: float) -> Sample:
    return Sample(1, scenario, "direct", "direct", metrics)


@pytest.mark.parametrize(
    ("scenario", "metrics", "limit"),
    [
        pytest.param("bulk-1-up", {"cpu_s_per_gb": 0.25}, 0.25 * 2 + 0.75, id="two proxies, one encrypted leg"),
        pytest.param("chain-bulk-1", {"cpu_s_per_gb": 0.25}, 0.25 * 3 + 1.5, id="three proxies, two encrypted legs"),
        pytest.param("rr-32", {"cpu_us_per_op": 10.0}, 10 * 2 + 2 * 3.075, id="a record each way"),
        pytest.param("connect-16", {"cpu_us_per_op": 40.0}, 40 * 2 + 2 * 3.075, id="a new tunnel"),
    ],
)
def test_a_limit_is_the_sum_of_its_parts(scenario: str, metrics: dict[str, float], limit: float) -> None:
    scenarios = [one for one in choose_scenarios([scenario]) if one.name == scenario]
    (found,) = floors(Summary([direct(scenario, **metrics)]), LIMITS, scenarios)
    assert found.value == pytest.approx(limit)


def test_a_lone_round_trip_is_limited_in_time_too() -> None:
    summary = Summary(
        [direct("rr-1", cpu_us_per_op=10.0, p50_us=20.0), Sample(1, "rr-1", "ours", "ours", {"p50_us": 80})]
    )
    scenarios = choose_scenarios(["rr-1"])[:1]
    found = {one.metric: one.value for one in floors(summary, LIMITS, scenarios)}
    assert found["p50_us"] == 60  # a leg for every proxy, and the last
    assert "| 80: 75 %" in floors_table(summary, floors(summary, LIMITS, scenarios))


def test_a_small_stream_beside_bulk_is_limited_by_the_same_load_without_proxies() -> None:
    summary = Summary([direct("beside-8", p99_us=300.0, times_quiet=2.0, quiet_p99_us=150.0)])
    found = {one.metric: one.value for one in floors(summary, LIMITS, choose_scenarios(["beside-8"]))}
    assert found == {"p99_us": 300}


def test_without_cryptography_s_figures_there_is_no_limit() -> None:
    assert floors(Summary([direct("rr-32", cpu_us_per_op=1.0)]), {"error": "it failed"}, choose_scenarios([])) == []  # type: ignore[dict-item]
