"""Counters, gauges and histograms for everything that is not traffic [pure].

Each keeps plain numbers per label set, bounded in number, and describes itself as a `Family`, so that the
families of several worker processes add up without knowing one another.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Literal

import msgspec

Kind = Literal["counter", "gauge", "histogram"]
Join = Literal["sum", "max"]
"""How the values of several processes become one."""

LABEL_SETS_KEPT = 10_000
"""Per instrument. A newcomer beyond it is counted under the label value `other` instead."""


class Family(msgspec.Struct):
    """One metric family with its samples, ready to be sent, joined with others and printed.

    `name` lacks the `_total` that counters are printed with. A histogram's values are one count per bucket,
    the last one above every bound, then the sum; any other kind has one value.
    """

    name: str
    kind: Kind
    help: str
    label_names: tuple[str, ...] = ()
    samples: dict[tuple[str, ...], list[int | float]] = {}
    bounds: tuple[float, ...] = ()
    join: Join = "sum"

    def copy(self) -> Family:
        """The same family with samples of its own."""
        samples = {labels: list(values) for labels, values in self.samples.items()}
        return msgspec.structs.replace(self, samples=samples)

    def add(self, other: Family) -> None:
        """Take in the same family of another process."""
        for labels, values in other.samples.items():
            mine = self.samples.get(labels)
            if mine is None:
                self.samples[labels] = list(values)
            elif self.join == "max":
                self.samples[labels] = [max(pair) for pair in zip(mine, values, strict=True)]
            else:
                self.samples[labels] = [sum(pair) for pair in zip(mine, values, strict=True)]


Cell = list[int | float]
"""The values of one label set, to be changed in place."""


class Instrument:
    """What counters, gauges and histograms share: a family, and a bound on its label sets."""

    kind: Kind

    def __init__(
        self,
        name: str,
        help: str,
        labels: tuple[str, ...] = (),
        *,
        bounds: tuple[float, ...] = (),
        join: Join = "sum",
    ) -> None:
        self.family = Family(name, self.kind, help, labels, {}, bounds, join)
        self._other = ("other",) * len(labels)
        self._width = len(bounds) + 2 if bounds else 1

    def cell(self, labels: tuple[str, ...]) -> Cell:
        """The values of a label set, for who counts there again and again."""
        return self._values(labels)

    def _values(self, labels: tuple[str, ...]) -> Cell:
        values = self.family.samples.get(labels)
        if values is not None:
            return values
        if len(labels) != len(self._other):
            raise ValueError(f"{self.family.name} has the labels {self.family.label_names}, not {labels}")
        if len(self.family.samples) >= LABEL_SETS_KEPT and labels != self._other:
            return self._values(self._other)
        return self.family.samples.setdefault(labels, [0] * self._width)


class Counter(Instrument):
    """A number that only grows."""

    kind = "counter"

    def increase(self, labels: tuple[str, ...] = (), by: float = 1) -> None:
        """Add `by` (not negative) to the label set."""
        self._values(labels)[0] += by


class Gauge(Instrument):
    """A number that goes up and down."""

    kind = "gauge"

    def set(self, value: float, labels: tuple[str, ...] = ()) -> None:
        """The label set now has this value."""
        self._values(labels)[0] = value

    def change(self, by: float, labels: tuple[str, ...] = ()) -> None:
        """Add `by`, negative to take away."""
        self._values(labels)[0] += by


class Histogram(Instrument):
    """How many observations fell under each bound."""

    kind = "histogram"

    def observe(self, value: float, labels: tuple[str, ...] = ()) -> None:
        """Count one observation; a value equal to a bound falls under it."""
        observe(self._values(labels), self.family.bounds, value)


def observe(cell: Cell, bounds: tuple[float, ...], value: float) -> None:
    """Count one observation in a cell of a histogram with these bounds."""
    cell[bisect_left(bounds, value)] += 1
    cell[-1] += value
