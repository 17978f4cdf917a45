"""The figures: their names, units, which way is better, and how to write them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.plan import Kind


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a sample. `key` is its name in the JSON."""

    key: str
    title: str
    higher_is_better: bool
    digits: int

    def write(self, value: float) -> str:
        """The value with this metric's digits and thousands separated."""
        return f"{value:,.{self.digits}f}"


_RATE = Metric("per_second", "per second", True, 0)
_P50 = Metric("p50_us", "p50 us", False, 0)
_P90 = Metric("p90_us", "p90 us", False, 0)
_P99 = Metric("p99_us", "p99 us", False, 0)
_P999 = Metric("p999_us", "p99.9 us", False, 0)
_CPU_OP = Metric("cpu_us_per_op", "CPU us per operation", False, 1)

_SPREAD = Metric("smaller_share", "% of connections, the worker with fewer", True, 0)
_BULK = (Metric("gbit_s", "Gbit/s", True, 2), Metric("cpu_s_per_gb", "CPU s per GB", False, 2))

HEADLINE: dict[Kind, tuple[Metric, ...]] = {
    Kind.BULK: _BULK,
    Kind.DOWNLOAD: _BULK,
    Kind.RR: (_RATE, _P50, _P90, _P99, _P999, _CPU_OP),
    Kind.BESIDE: (
        _P50,
        _P99,
        Metric("quiet_p99_us", "p99 us alone", False, 0),
        Metric("times_quiet", "p99, times p99 alone", False, 1),
    ),
    Kind.CONNECT: (_RATE, _P50, _P99, _CPU_OP),
    Kind.HTTP: (_RATE, _P50, _P90, _P99, _P999, _CPU_OP),
    Kind.IDLE: (
        Metric("mb_per_1000", "MB per 1,000 tunnels", False, 1),
        Metric("rss_mb", "memory MB, both proxies", False, 0),
        _SPREAD,
    ),
}
"""The rows of the table, by kind of scenario."""

_BY_KEY = {metric.key: metric for metrics in HEADLINE.values() for metric in metrics}


def metric_named(key: str) -> Metric:
    """The headline metric with this key; KeyError if there is none."""
    return _BY_KEY[key]
