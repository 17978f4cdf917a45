"""Two workers beside one of the same proxy: ours in each form, and Envoy's, which says what the machine costs. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from benchmarks.metrics import HEADLINE, metric_named
from benchmarks.scenarios import WORKER_PAIRS
from benchmarks.tables import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.plan import Scenario
    from benchmarks.summary import Summary

FREE_CORES = 6
"""What two proxies of two workers, the application and the generator need, to be busy all at once."""
THROUGHPUT_GOAL = 1.8
"""Two workers' throughput against one's, where so many cores are free."""
_COMPARED = ("gbit_s", "per_second", "cpu_s_per_gb", "cpu_us_per_op")


@dataclass(frozen=True, slots=True)
class WorkerRatio:
    """A figure with two workers to the same with one; `low` and `high` within the rounds."""

    scenario: str
    metric: str
    who: str
    one: float
    two: float
    ratio: float
    low: float
    high: float

    def as_json(self) -> dict[str, str | float]:
        """The whole of it, flat."""
        return asdict(self)


def worker_ratios(summary: Summary, scenarios: Sequence[Scenario]) -> list[WorkerRatio]:
    """Of every proxy that was measured with one worker and with two, by scenario and figure."""
    found = [
        _ratio(summary, scenario, metric.key, who)
        for scenario in scenarios
        if scenario.for_workers
        for metric in HEADLINE[scenario.kind]
        if metric.key in _COMPARED
        for who in WORKER_PAIRS
    ]
    return [one for one in found if one is not None]


def workers_table(ratios: Sequence[WorkerRatio], scenarios: Sequence[Scenario]) -> str:
    """A row for each of them, proxy beside proxy."""
    titles = {scenario.name: scenario.title for scenario in scenarios}
    rows = []
    for one in ratios:
        metric = metric_named(one.metric)
        said = f"**{one.ratio:.2f}** ({one.low:.2f}–{one.high:.2f})"
        rows.append([titles[one.scenario], metric.title, one.who, metric.write(one.one), metric.write(one.two), said])
    return table(["scenario", "figure", "who", "1 worker", "2 workers", "2 / 1"], rows)


def explain_cores(cores: int) -> str:
    """What the figures presume of the machine, and whether this one has it."""
    goal = f"Throughput of {THROUGHPUT_GOAL:g} times one worker's is the goal where {FREE_CORES} cores are free"
    busy = (
        "The four workers of a pair, the application and the generator are six that want a core at once"
        if cores < FREE_CORES
        else "Each of the six that are busy, four workers, the application and the generator, can have a core"
    )
    verdict = "it is not measurable here" if cores < FREE_CORES else "it can be read off here if nobody else is busy"
    return f"{busy}; this machine has {cores}. {goal}: {verdict}."


def _ratio(summary: Summary, scenario: Scenario, key: str, who: str) -> WorkerRatio | None:
    metric = metric_named(key)
    one = summary.best_figure(scenario.name, who, metric)
    two = summary.best_figure(scenario.name, WORKER_PAIRS[who], metric)
    ratio = summary.ratio(scenario.name, metric, who, WORKER_PAIRS[who])
    if one is None or two is None or ratio is None:
        return None
    return WorkerRatio(scenario.name, key, who, one.median, two.median, ratio.value, ratio.low, ratio.high)
