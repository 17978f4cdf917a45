"""Medians, spreads, ratios and verdicts over the raw rounds. Pure: samples in, values out."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.metrics import Metric, metric_named
from benchmarks.plan import TARGETS, Target

if TYPE_CHECKING:
    from collections.abc import Iterable

OURS, RIVAL = "ours", "envoy"
"""The two peers whose ratio is held to the targets."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: a scenario on a contestant in a round. `error` is set, and `metrics` empty, if it failed."""

    round: int
    scenario: str
    peer: str
    contestant: str
    metrics: dict[str, float]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric over the rounds that gave one: the median, its spread, and the rounds by number."""

    median: float
    low: float
    high: float
    rounds: dict[int, float]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours to the rival's: of the medians, and the spread of the ratios within each round."""

    value: float
    low: float
    high: float
    rival: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and what became of it; `ratio` is None where one of the two gave no figure."""

    target: Target
    ratio: Ratio | None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a ratio."""
        if self.ratio is None:
            return None
        return self._holds(self.ratio.value)

    def _holds(self, value: float) -> bool:
        return value >= self.target.ratio if self.target.at_least else value <= self.target.ratio


class Summary:
    """All samples of a run, asked by scenario, contestant and metric."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self.samples = tuple(samples)

    def contestants(self, peer: str | None = None) -> list[str]:
        """Names in order of appearance, of one peer or of all."""
        return list(dict.fromkeys(s.contestant for s in self.samples if peer in (None, s.peer)))

    def figure(self, scenario: str, contestant: str, key: str) -> Figure | None:
        """A metric's rounds on one contestant; None if no round gave it."""
        rounds = {
            s.round: s.metrics[key]
            for s in self.samples
            if s.scenario == scenario and s.contestant == contestant and key in s.metrics
        }
        if not rounds:
            return None
        values = rounds.values()
        return Figure(statistics.median(values), min(values), max(values), rounds)

    def best(self, scenario: str, peer: str, metric: Metric) -> str | None:
        """The variant of `peer` with the better median: the one that counts."""
        found = [
            (figure.median, name)
            for name in self.contestants(peer)
            if (figure := self.figure(scenario, name, metric.key))
        ]
        if not found:
            return None
        return (max if metric.higher_is_better else min)(found)[1]

    def ratio(self, scenario: str, metric: Metric, rival: str = RIVAL) -> Ratio | None:
        """Ours to the better variant of `rival`; None without figures of both."""
        our_name, their_name = self.best(scenario, OURS, metric), self.best(scenario, rival, metric)
        if our_name is None or their_name is None:
            return None
        ours = self.figure(scenario, our_name, metric.key)
        theirs = self.figure(scenario, their_name, metric.key)
        if ours is None or theirs is None or not theirs.median:
            return None
        each = [ours.rounds[r] / theirs.rounds[r] for r in ours.rounds.keys() & theirs.rounds.keys()]
        value = ours.median / theirs.median
        return Ratio(value, min(each, default=value), max(each, default=value), their_name)

    def verdicts(self) -> list[Verdict]:
        """One for each target whose scenario ran on both."""
        ran = {s.scenario for s in self.samples if s.peer == OURS}
        ran &= {s.scenario for s in self.samples if s.peer == RIVAL}
        return [
            Verdict(target, self.ratio(target.scenario, metric_named(target.metric)))
            for target in TARGETS
            if target.scenario in ran
        ]

    def errors(self) -> list[Sample]:
        """The measurements that failed."""
        return [sample for sample in self.samples if sample.error]
