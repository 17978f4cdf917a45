"""From what was measured to the figures of one sample, by the keys of `metrics.py`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.plan import Kind

if TYPE_CHECKING:
    from benchmarks.arena import Measured
    from benchmarks.plan import Scenario

_LATENCIES = ("per_second", "p50_us", "p90_us", "p99_us", "p999_us", "errors")


def metrics_of(measured: Measured, scenario: Scenario) -> dict[str, float]:
    """The figures of one measurement; CPU and memory are of the proxies, or without any of both applications."""
    said = measured.generator
    if scenario.kind is Kind.IDLE:
        found = _held(measured, scenario.connections)
    elif scenario.kind in (Kind.BULK, Kind.DOWNLOAD):
        found = {"gbit_s": said["gbit_s"], **_used(measured, "s_per_gb", said["bytes"] / 1e9)}
    elif scenario.kind is Kind.BESIDE:
        kept = {key: said[key] for key in ("per_second", "p50_us", "p99_us", "quiet_p50_us", "quiet_p99_us")}
        found = {**kept, "times_quiet": said["p99_us"] / said["quiet_p99_us"]}
    else:
        found = {key: said[key] for key in _LATENCIES}
        found |= _used(measured, "us_per_op", said["with_warmup"] / 1e6)
    return {key: round(float(value), 4) for key, value in found.items()}


def _used(measured: Measured, unit: str, amount: float) -> dict[str, float]:
    """`amount` is GB, or millions of operations."""
    usage = measured.usage
    return {
        f"cpu_{unit}": sum(one.cpu_s for one in usage.values()) / amount,
        f"cpu_user_{unit}": sum(one.user_s for one in usage.values()) / amount,
        f"cpu_system_{unit}": sum(one.system_s for one in usage.values()) / amount,
        **{f"{role}_cpu_{unit}": one.cpu_s / amount for role, one in usage.items()},
        **_switched(measured, unit, amount),
        **_memory(measured),
    }


def _switched(measured: Measured, unit: str, amount: float) -> dict[str, float]:
    """Context switches of all proxies, for each operation or GB."""
    each, count = ("gb", amount) if unit == "s_per_gb" else ("op", amount * 1e6)
    usage = measured.usage.values()
    return {
        f"voluntary_switches_per_{each}": sum(one.voluntary for one in usage) / count,
        f"involuntary_switches_per_{each}": sum(one.involuntary for one in usage) / count,
    }


def _memory(measured: Measured) -> dict[str, float]:
    rss = {f"{role}_rss_mb": one.rss_mb for role, one in measured.usage.items()}
    return {**rss, "rss_mb": sum(rss.values())}


def _held(measured: Measured, count: int) -> dict[str, float]:
    """Memory that idle tunnels took, and how evenly the workers share them."""
    memory = _memory(measured)
    found = {**memory, "mb_per_1000": (memory["rss_mb"] - measured.rss_before_mb) / count * 1000}
    # The parent of the workers takes no connection: the two that took most are the workers.
    most = sorted(measured.sockets)[-2:]
    if len(most) == 2 and most[1] > 0:
        found["smaller_share"] = 100 * most[0] / (most[0] + most[1])
    return found
