"""The physical limit beside each main figure: what the same work costs with no proxy's own thinking in it. Pure.

A floor is made of parts that were measured by themselves in the same run: socket calls and epoll from the generator and
its applications straight to each other (`direct`, compiled C), cryptography from `limits.py`.

- Bulk: a byte through a pair is received twice and sent twice, as twice through loopback TCP, and encrypted and
  decrypted once. Through a chain of three proxies: three times, and twice.
- A round trip: every proxy does for it, in system calls, what the two applications do together; each HBONE leg has a
  record each way.
- A new tunnel: as a round trip, with accept, connect and close at both ends.
- A small stream beside bulk: its time under the same load with nothing between the applications.
- The lone round trip's time: a leg more of loopback for every proxy on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.contestants import DIRECT
from benchmarks.metrics import metric_named
from benchmarks.plan import ROLES, Form, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from benchmarks.plan import Scenario
    from benchmarks.summary import Summary

_LEGS = {Form.NODES: 1, Form.SIDECARS: 1, Form.WAYPOINT: 2}
"""Encrypted ones."""


@dataclass(frozen=True, slots=True)
class Floor:
    """The least that a figure of a scenario can be here, in the figure's own unit (costs and times: less is better)."""

    scenario: Scenario
    metric: str
    value: float


def floors(summary: Summary, limits: Mapping[str, float], scenarios: Iterable[Scenario]) -> list[Floor]:
    """One for each scenario whose parts were measured; none without the figures of cryptography."""
    found: list[Floor | None] = []
    if "tls_small_us" not in limits:
        return []
    for scenario in scenarios:
        if scenario.stage.apart or scenario.for_workers or scenario.awake:
            continue
        metric = _METRIC.get(scenario.kind)
        if metric is None:
            continue
        if scenario.kind is Kind.RR and scenario.connections == 1:
            found.append(_lone(summary, scenario))
        if scenario.kind is Kind.BESIDE:
            found.append(_straight(summary, scenario, metric))
        else:
            found.append(_cost(summary, limits, scenario, metric))
    return [floor for floor in found if floor is not None]


_METRIC = {
    Kind.BULK: "cpu_s_per_gb",
    Kind.DOWNLOAD: "cpu_s_per_gb",
    Kind.RR: "cpu_us_per_op",
    Kind.BESIDE: "p99_us",
    Kind.CONNECT: "cpu_us_per_op",
    Kind.HTTP: "cpu_us_per_op",
}


def _cost(summary: Summary, limits: Mapping[str, float], scenario: Scenario, metric: str) -> Floor | None:
    direct = summary.best_figure(scenario.name, DIRECT, metric_named(metric))
    if direct is None:
        return None
    form = scenario.stage.form
    sockets = direct.median * len(ROLES[form])
    if metric == "cpu_s_per_gb":
        each = 1 / limits["tls_encrypt_gb_s"] + 1 / limits["tls_decrypt_gb_s"]
        return Floor(scenario, metric, sockets + _LEGS[form] * each)
    records = 2 * _LEGS[form] * _records(scenario.request, limits)
    return Floor(scenario, metric, sockets + records)


def _records(size: int, limits: Mapping[str, float]) -> float:
    """Microseconds to encrypt and decrypt one message: a fixed part, and one for its bytes."""
    per_byte = (1 / limits["tls_encrypt_gb_s"] + 1 / limits["tls_decrypt_gb_s"]) / 1e3
    return limits["tls_small_us"] + size * per_byte


def _lone(summary: Summary, scenario: Scenario) -> Floor | None:
    return _straight(summary, scenario, "p50_us", times=len(ROLES[scenario.stage.form]) + 1)


def _straight(summary: Summary, scenario: Scenario, metric: str, times: int = 1) -> Floor | None:
    """So many times what the applications reach without any proxy."""
    direct = summary.best_figure(scenario.name, DIRECT, metric_named(metric))
    return None if direct is None else Floor(scenario, metric, direct.median * times)
