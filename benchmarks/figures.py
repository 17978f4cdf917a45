"""From what was measured to the figures of one sample, by the keys of `metrics.py`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.plan import Kind

if TYPE_CHECKING:
    from benchmarks.arena import Measured

_LATENCIES = ("per_second", "p50_us", "p90_us", "p99_us", "p999_us", "errors")


def metrics_of(measured: Measured, kind: Kind) -> dict[str, float]:
    """The figures of one measurement; CPU and memory are of the proxies alone."""
    said = measured.generator
    if kind is Kind.IDLE:
        found = _memory(measured)
    elif kind in (Kind.BULK, Kind.DOWNLOAD):
        found = {"gbit_s": said["gbit_s"], **_used(measured, "s_per_gb", said["bytes"] / 1e9)}
    else:
        found = {key: said[key] for key in _LATENCIES}
        found |= _used(measured, "us_per_op", said["with_warmup"] / 1e6)
    return {key: round(float(value), 4) for key, value in found.items()}


def _used(measured: Measured, unit: str, amount: float) -> dict[str, float]:
    usage = measured.usage
    if not usage:
        return {}
    return {
        f"cpu_{unit}": sum(one.cpu_s for one in usage.values()) / amount,
        f"cpu_user_{unit}": sum(one.user_s for one in usage.values()) / amount,
        f"cpu_system_{unit}": sum(one.system_s for one in usage.values()) / amount,
        **{f"{role}_cpu_{unit}": one.cpu_s / amount for role, one in usage.items()},
        **_memory(measured),
    }


def _memory(measured: Measured) -> dict[str, float]:
    if not measured.usage:
        return {}
    rss = {f"{role}_rss_mb": one.rss_mb for role, one in measured.usage.items()}
    return {**rss, "rss_mb": sum(rss.values())}
