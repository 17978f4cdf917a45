"""The run: what is measured once, and rounds in which all scenarios visit all contestants in turn."""

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
from benchmarks.figures import metrics_of
from benchmarks.machine import Load, await_calm
from benchmarks.metrics import HEADLINE
from benchmarks.processes import BenchmarkError
from benchmarks.schedule import MOST_ROUNDS_AGAIN, close_calls
from benchmarks.summary import Sample, Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.arena import Arena
    from benchmarks.schedule import Settings, Step
    from benchmarks.tls_facts import TlsFacts

_CLOSING_SECONDS = 15
"""What the end of a run takes: proxies end, page and pictures are written."""


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
        self._done: list[Step] = []

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
                    self._measure_all(arenas, settings.steps_of(number))
            if settings.again:
                self._measure_again(arenas)

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
        if number == 1 or self._settings.expected_seconds(self._settings.steps_of(number)) <= self._seconds_left():
            return True
        self._say(f"{self._clock()}  round {number} is left out: it would not end in time")
        self._left = []
        return False

    def _seconds_left(self) -> float:
        """Of the budget, in seconds as they are expected: whatever took longer so far will take longer again."""
        now, expected = time.monotonic(), self._settings.expected_seconds(self._done)
        left = self._settings.budget - _CLOSING_SECONDS - (now - self._started)
        return left * expected / max(now - self._rounds_began, 1e-9)

    def _measure_again(self, arenas: Arenas) -> None:
        """What is close now is measured again, whatever comes of it, until the time is over."""
        close = close_calls(verdict for row in Summary(self.outcome.samples).judged() for verdict in row.values())
        last = max((step.round for step in self._done), default=0)
        for number in range(last + 1, last + 1 + MOST_ROUNDS_AGAIN):
            self._left = self._settings.steps_again(number, close, self._seconds_left())
            if not self._left:
                return
            self._measure_all(arenas, self._left)

    def _measure_all(self, arenas: Arenas, steps: list[Step]) -> None:
        for step in steps:
            again = " again" if step.again else ""
            self._say(f"{self._clock()}  round {step.round}{again}  {step.contestant.name:20} {step.scenario.name}")
            self._done.append(step)
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
                "again": step.again,
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
            record = {
                "round": step.round,
                "scenario": step.scenario.name,
                "contestant": contestant.name,
                "again": step.again,
            }
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
