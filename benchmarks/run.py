"""The run: rounds in which all scenarios visit all contestants in turn, then what is measured once."""

from __future__ import annotations

import contextlib
import signal
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import generator
from benchmarks.arenas import Arenas
from benchmarks.certificates import make_certificates
from benchmarks.contestants import DIRECT, takes_part
from benchmarks.figures import metrics_of
from benchmarks.machine import Load, await_calm
from benchmarks.metrics import HEADLINE
from benchmarks.processes import BenchmarkError
from benchmarks.scenarios import TARGETS, WORKER_PAIRS
from benchmarks.summary import RIVAL, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.arena import Arena
    from benchmarks.plan import Contestant, Scenario
    from benchmarks.tls_facts import TlsFacts
    from benchmarks.world import Capture, Topology

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
    """One measurement to come."""

    round: int
    scenario: Scenario
    contestant: Contestant


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

    def steps_of(self, number: int) -> list[Step]:
        """The measurements of one round, in order. Each round another contestant begins: nobody is always second."""
        found: list[Step] = []
        for scenario in self.scenarios:
            if number > _most_rounds(scenario):
                continue
            field = [c for c in self.contestants if takes_part(c, scenario)]
            if number > _MOST_ROUNDS_DIRECT:
                field = [c for c in field if c.peer != DIRECT]
            if number > _MOST_ROUNDS_UNJUDGED and scenario.for_workers:
                field = [c for c in field if c.peer not in _COMPARED_WORKERS]
            first = (number - 1) % len(field) if field else 0
            found += [Step(number, scenario, c) for c in field[first:] + field[:first]]
        return found

    @property
    def steps(self) -> list[Step]:
        """All measurements in order."""
        return [step for number in range(1, self.rounds + 1) for step in self.steps_of(number)]

    def expected_seconds(self, steps: list[Step]) -> float:
        """About how long these steps take."""
        fresh = sum(step.scenario.fresh for step in steps)
        return fresh * _FRESH_SECONDS + (len(steps) - fresh) * (self.seconds + _OVERHEAD_SECONDS)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything a run found: summarised samples, raw records for the JSON, and facts by contestant."""

    samples: list[Sample] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    facts: list[dict[str, str]] = field(default_factory=list)
    once: dict[str, Any] = field(default_factory=dict)
    """What is measured once, by name; `{"error": ...}` where it failed."""


class Run:
    """One run; `say` takes lines of progress."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self.outcome = Outcome()
        self._settings, self._say = settings, say
        self._started = self._rounds_began = time.monotonic()
        self._left = settings.steps

    def rounds(self) -> None:
        """Makes the rounds. Whatever fails is told and kept with the samples; only KeyboardInterrupt ends it.

        Raises BenchmarkError without a load generator.
        """
        generator.build()
        with contextlib.ExitStack() as held:
            held.enter_context(_ended_by_sigterm())
            folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="hbone-bench-")))
            folder.chmod(0o755)  # the captured application may run as another group
            certificates = make_certificates(folder / "certificates")
            settings = self._settings
            arenas = held.enter_context(
                Arenas(
                    certificates,
                    folder,
                    settings.topology,
                    settings.capture,
                    self._note_facts,
                    congestion=settings.congestion,
                )
            )
            self._rounds_began = time.monotonic()
            for number in range(1, settings.rounds + 1):
                if self._fits(number):
                    self._round(arenas, number)

    def once(self, parts: Mapping[str, Callable[[], Any]]) -> None:
        """Measures what is measured once, by name."""
        with _ended_by_sigterm():
            for name, part in parts.items():
                self._say(f"{self._clock()}  {name}")
                try:
                    self.outcome.once[name] = part()
                except Exception as error:  # a part that fails must not lose the rest
                    self.outcome.once[name] = {"error": _reason(error)}
                    self._say(f"{'':10}FAILED: {_reason(error)}")

    def _fits(self, number: int) -> bool:
        """Whether a round comes to its end in time, going by those before it."""
        now, settings = time.monotonic(), self._settings
        if number == 1:
            return True
        done = settings.expected_seconds([s for n in range(1, number) for s in settings.steps_of(n)])
        needed = settings.expected_seconds(settings.steps_of(number)) * (now - self._rounds_began) / done
        if now - self._started + needed <= settings.budget:
            return True
        self._say(f"{self._clock()}  round {number} is left out: it would not end in time")
        self._left = []
        return False

    def _round(self, arenas: Arenas, number: int) -> None:
        for step in self._settings.steps_of(number):
            self._say(f"{self._clock()}  round {number}  {step.contestant.name:20} {step.scenario.name}")
            self._left = self._left[1:]
            await_calm(self._settings.calm)
            with self._told(step):
                if step.scenario.fresh:
                    with arenas.fresh(step.contestant) as arena:
                        self._measure(arena, step)
                else:
                    self._measure_kept(arenas, step)

    def _measure_kept(self, arenas: Arenas, step: Step) -> None:
        arena = arenas.of(step.contestant)
        try:
            self._measure(arena, step)
        except BenchmarkError:
            arenas.drop(step.contestant)  # what it is worth after a failure nobody knows
            raise

    def _measure(self, arena: Arena, step: Step) -> None:
        before = Load.now()
        measured = arena.measure(step.scenario, self._settings.seconds)
        others, stolen = Load.now().others_since(before)
        metrics = metrics_of(measured, step.scenario)
        contestant = step.contestant
        self.outcome.samples.append(Sample(step.round, step.scenario.name, contestant.peer, contestant.name, metrics))
        self.outcome.records.append(
            {
                "round": step.round,
                "scenario": step.scenario.name,
                "contestant": contestant.name,
                "metrics": metrics,
                "generator": measured.generator,
                "other_cores": round(others, 3),
                "stolen_cores": round(stolen, 3),
            }
        )
        headline = HEADLINE[step.scenario.kind]
        figures = [f"{m.title} {m.write(metrics[m.key])}" for m in headline if m.key in metrics]
        self._say(f"{'':10}{'; '.join(figures)}; cores used by others {others:.1f}")

    @contextlib.contextmanager
    def _told(self, step: Step) -> Iterator[None]:
        """A failure is told, kept with the samples, and the run goes on."""
        try:
            yield
        except Exception as error:  # of whatever kind: one scenario must not lose the rest
            reason, contestant = _reason(error), step.contestant
            self._say(f"{'':10}FAILED: {reason}")
            sample = Sample(step.round, step.scenario.name, contestant.peer, contestant.name, {}, reason)
            self.outcome.samples.append(sample)
            record = {"round": step.round, "scenario": step.scenario.name, "contestant": contestant.name}
            self.outcome.records.append({**record, "error": reason})

    def _note_facts(self, arena: Arena) -> None:
        contestant, running = arena.contestant, arena.running
        facts = {
            "name": contestant.name,
            "stage": str(contestant.stage) if running.proxies else "-",
            "version": running.version,
            "windows": running.windows,
            "TLS on the wire": _agreed(arena.tls),
        }
        if facts not in self.outcome.facts:
            self.outcome.facts.append(facts)

    def _clock(self) -> str:
        """How long the run goes on, and about how long it will."""
        elapsed = time.monotonic() - self._started
        left = self._settings.expected_seconds(self._left)
        return f"[{_minutes(elapsed)}, about {_minutes(left)} left]"


def _most_rounds(scenario: Scenario) -> float:
    if scenario.fresh:
        return _MOST_ROUNDS_FRESH
    return float("inf") if scenario.name in _JUDGED else _MOST_ROUNDS_UNJUDGED


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _reason(error: Exception) -> str:
    """The text of an error that we foresaw; of any other also where it came from."""
    if isinstance(error, BenchmarkError):
        return str(error)
    at = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(at.filename).name}:{at.lineno})"


def _agreed(tls: dict[str, TlsFacts]) -> str:
    """Once if all legs say the same."""
    if len(set(tls.values())) <= 1:
        return str(next(iter(tls.values()), "-"))
    return "; ".join(f"{title}: {facts}" for title, facts in tls.items())


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does, so that every child is ended in order."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
