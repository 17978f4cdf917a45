"""What a run measures and in which order: its rounds, and what is measured again in the time that they leave. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.contestants import DIRECT, takes_part
from benchmarks.scenarios import TARGETS, WORKER_PAIRS
from benchmarks.summary import RIVAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from benchmarks.plan import Contestant, Scenario
    from benchmarks.summary import Verdict
    from benchmarks.world import Capture, Topology

CLOSE = 0.05
"""A figure within this part of what it must be is close: one round more or less may decide."""
MOST_ROUNDS_AGAIN = 6
"""Further rounds of what is close, at most: a median is worth little more by then."""
_OVERHEAD_SECONDS = 0.6
"""What one measurement takes beside its measured time: warm-up, start and end of the generator."""
_FRESH_SECONDS = 9.0
"""What a measurement on proxies started for it takes in all."""
_MOST_ROUNDS_FRESH, _MOST_ROUNDS_DIRECT = 2, 2
"""Rounds in which these take part: they hardly differ from round to round, and cost much or say little."""
_MOST_ROUNDS_UNJUDGED = 3
"""Rounds of what no target is about, so that what is judged has more."""
_COMPARED_WORKERS = (RIVAL, WORKER_PAIRS[RIVAL])
"""A rival's one worker and its two: beside them no target stands."""
_JUDGED = frozenset(target.scenario for target in TARGETS)


@dataclass(frozen=True, slots=True)
class Step:
    """One measurement to come; `again` if it is of a further round of what was close."""

    round: int
    scenario: Scenario
    contestant: Contestant
    again: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """How a run is made; `seconds` is the measured time of each measurement."""

    scenarios: tuple[Scenario, ...]
    contestants: tuple[Contestant, ...]
    rounds: int
    seconds: float
    topology: Topology
    capture: Capture
    calm: float = 0
    """Seconds to wait, at most, for a quiet machine before each measurement."""
    budget: float = float("inf")
    """Seconds for all: a round that would not come to its end within them is left out."""
    congestion: str = ""
    """The TCP congestion control of every namespace; the machine's, if empty."""
    again: bool = False
    """Spend what the rounds leave of the budget on further rounds of what is close."""

    def steps_of(self, number: int) -> list[Step]:
        """The measurements of one round, in order."""
        return [
            Step(number, scenario, contestant)
            for scenario in self.scenarios
            if number <= _most_rounds(scenario)
            for contestant in _in_turn(self._field(scenario, number), number)
        ]

    @property
    def steps(self) -> list[Step]:
        """All measurements of the rounds in order."""
        return [step for number in range(1, self.rounds + 1) for step in self.steps_of(number)]

    def steps_again(self, number: int, close: Mapping[str, frozenset[str]], seconds: float) -> list[Step]:
        """A further round of what is close, by `close_calls`: as many whole scenarios as `seconds` have room for."""
        by_name = {scenario.name: scenario for scenario in self.scenarios}
        found: list[Step] = []
        for name, peers in close.items():
            field = [c for c in self._field(by_name[name], number) if c.peer in peers]
            steps = [Step(number, by_name[name], contestant, True) for contestant in _in_turn(field, number)]
            if self.expected_seconds(found + steps) > seconds:
                break
            found += steps
        return found

    def expected_seconds(self, steps: list[Step]) -> float:
        """About how long these steps take."""
        fresh = sum(step.scenario.fresh for step in steps)
        return fresh * _FRESH_SECONDS + (len(steps) - fresh) * (self.seconds + _OVERHEAD_SECONDS)

    def _field(self, scenario: Scenario, number: int) -> list[Contestant]:
        """Who is measured on a scenario in a round."""
        field = [c for c in self.contestants if takes_part(c, scenario)]
        if number > _MOST_ROUNDS_DIRECT:
            field = [c for c in field if c.peer != DIRECT]
        if number > _MOST_ROUNDS_UNJUDGED and scenario.for_workers:
            field = [c for c in field if c.peer not in _COMPARED_WORKERS]
        return field


def close_calls(verdicts: Iterable[Verdict]) -> dict[str, frozenset[str]]:
    """The scenarios that have a figure close to what it must be, the closest first, and the peers it is about.

    On both sides of the border alike: to measure again only what was missed would be to wait for luck.
    """
    found: dict[str, frozenset[str]] = {}
    for verdict in sorted((v for v in verdicts if v.distance <= CLOSE), key=lambda v: v.distance):
        target = verdict.target
        peers = {target.subject, target.against or target.subject}
        found[target.scenario] = found.get(target.scenario, frozenset()) | peers
    return found


def _in_turn(field: list[Contestant], number: int) -> list[Contestant]:
    """Each round another contestant begins: nobody is always second."""
    first = (number - 1) % len(field) if field else 0
    return field[first:] + field[:first]


def _most_rounds(scenario: Scenario) -> float:
    if scenario.fresh:
        return _MOST_ROUNDS_FRESH
    return float("inf") if scenario.name in _JUDGED else _MOST_ROUNDS_UNJUDGED
