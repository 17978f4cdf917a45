"""Medians, spreads, ratios and verdicts over the raw rounds. Pure: samples in, values out."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from benchmarks.metrics import Metric, metric_named
from benchmarks.plan import Code
from benchmarks.scenarios import WORKER_PAIRS, targets_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.plan import Target

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
    """One contestant to another: of the medians, and the spread of the ratios within each round."""

    value: float
    low: float
    high: float
    rival: str


class Word(StrEnum):
    """What became of a target."""

    GOAL = "goal"
    """Better than must be: as we wish it."""
    MUST = "must"
    MISS = "MISS"
    NONE = "no figure"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target of one form of ours and what became of it. `value` is what it judges; None where a figure is missing."""

    target: Target
    code: Code
    value: float | None
    ours: float | None = None
    theirs: float | None = None
    """The figures themselves; theirs is None also where the target is one of ours alone."""
    rivals_own: float | None = None
    """What the rival's own two workers come to against its one, where the target compares ours: it judges nothing."""

    @property
    def word(self) -> Word:
        """Whether the target is met, and how well."""
        if self.value is None:
            return Word.NONE
        if self._holds(self.value, self.target.goal):
            return Word.GOAL
        return Word.MUST if self._holds(self.value, self.target.must) else Word.MISS

    @property
    def distance(self) -> float:
        """How far it is from what it must be, on either side, as a part of that; infinite without a figure."""
        return float("inf") if self.value is None else abs(self.value / self.target.must - 1)

    def as_json(self) -> dict[str, str | float | None]:
        """The whole of it, flat."""
        figures = {"value": self.value, "ours": self.ours, "theirs": self.theirs, "rivals_own": self.rivals_own}
        return {**asdict(self.target), "code": self.code, **figures, "word": self.word}

    def _holds(self, value: float, bound: float) -> bool:
        """Judged as it is written, with two digits."""
        return round(value, 2) >= bound if self.target.at_least else round(value, 2) <= bound


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

    def best_figure(self, scenario: str, peer: str, metric: Metric) -> Figure | None:
        """The figure of the variant that counts."""
        name = self.best(scenario, peer, metric)
        return None if name is None else self.figure(scenario, name, metric.key)

    def ratio(self, scenario: str, metric: Metric, rival: str = RIVAL, subject: str = OURS) -> Ratio | None:
        """The subject to the better variant of `rival`; None without figures of both."""
        ours, theirs = self.best_figure(scenario, subject, metric), self.best_figure(scenario, rival, metric)
        if ours is None or theirs is None or not theirs.median:
            return None
        each = [
            ours.rounds[r] / theirs.rounds[r] for r in ours.rounds.keys() & theirs.rounds.keys() if theirs.rounds[r]
        ]
        value = ours.median / theirs.median
        name = self.best(scenario, rival, metric) or rival
        return Ratio(value, min(each, default=value), max(each, default=value), name)

    def judged(self) -> list[dict[Code, Verdict]]:
        """The verdicts, target by target, of each form whose scenario was tried on all that the target is about."""
        forms = [[(code, target) for target in targets_of(code)] for code in Code]
        rows = [[pair for pair in row if self._tried(pair[1])] for row in zip(*forms, strict=True)]
        return [{code: self._verdict(target, code) for code, target in row} for row in rows if row]

    def verdicts(self, code: Code = Code.PLAIN) -> list[Verdict]:
        """Those of one form."""
        return [row[code] for row in self.judged() if code in row]

    def _tried(self, target: Target) -> bool:
        tried = {sample.peer for sample in self.samples if sample.scenario == target.scenario}
        return {target.subject, target.against or target.subject} <= tried

    def _verdict(self, target: Target, code: Code) -> Verdict:
        metric = metric_named(target.metric)
        ours = self.best_figure(target.scenario, target.subject, metric)
        if ours is None:
            return Verdict(target, code, None)
        if target.against is None:
            return Verdict(target, code, ours.median, ours.median)
        theirs = self.best_figure(target.scenario, target.against, metric)
        ratio = self.ratio(target.scenario, metric, target.against, target.subject)
        value = ratio.value if ratio else None
        own = None if target.against == RIVAL else self.ratio(target.scenario, metric, RIVAL, WORKER_PAIRS[RIVAL])
        figures = ours.median, theirs.median if theirs else None, own.value if own else None
        return Verdict(target, code, value, *figures)

    def errors(self) -> list[Sample]:
        """The measurements that failed."""
        return [sample for sample in self.samples if sample.error]
