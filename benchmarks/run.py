"""The run: every contestant started once, then rounds in which all scenarios visit all contestants in turn."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import generator
from benchmarks.arena import Arena
from benchmarks.certificates import make_certificates
from benchmarks.contestants import peer_of, takes_part
from benchmarks.figures import metrics_of
from benchmarks.machine import Load, await_calm
from benchmarks.metrics import HEADLINE
from benchmarks.processes import BenchmarkError
from benchmarks.summary import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.plan import Contestant, Scenario
    from benchmarks.tls_facts import TlsFacts
    from benchmarks.world import Capture, Topology

_OVERHEAD_SECONDS = 0.6
"""What one measurement takes beside its measured time: warm-up, start and end of the generator."""


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

    @property
    def steps(self) -> list[tuple[int, Scenario, Contestant]]:
        """All measurements in order. In each round another contestant is first: nobody is always after another."""
        found: list[tuple[int, Scenario, Contestant]] = []
        for number in range(1, self.rounds + 1):
            for scenario in self.scenarios:
                field = [c for c in self.contestants if takes_part(c, scenario)]
                first = (number - 1) % len(field)
                found += [(number, scenario, c) for c in field[first:] + field[:first]]
        return found

    @property
    def expected_seconds(self) -> float:
        """About how long the run takes."""
        return len(self.steps) * (self.seconds + _OVERHEAD_SECONDS)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything a run found: summarised samples, raw records for the JSON, and facts by contestant."""

    samples: list[Sample]
    records: list[dict[str, Any]]
    facts: list[dict[str, str]]


def run(settings: Settings, say: Callable[[str], None]) -> Outcome:
    """Makes the run; `say` takes lines of progress. Raises BenchmarkError when no contestant can be started."""
    generator.build()
    outcome = Outcome([], [], [])
    with contextlib.ExitStack() as held:
        held.enter_context(_ended_by_sigterm())
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="hbone-bench-")))
        folder.chmod(0o755)  # the captured application may run as another group
        certificates = make_certificates(folder / "certificates")
        arenas = {}
        for number, contestant in enumerate(settings.contestants):
            arena = Arena(
                contestant,
                peer_of(contestant),
                certificates,
                folder / str(number),
                settings.topology,
                settings.capture,
            )
            with _told(say, outcome, 0, "start", contestant):
                arenas[contestant] = held.enter_context(arena)
                outcome.facts.append(_facts(arena))
        if not arenas:
            raise BenchmarkError("no contestant could be started")
        steps = settings.steps
        for number, (round_number, scenario, contestant) in enumerate(steps, 1):
            if contestant in arenas:
                say(f"[{number:3}/{len(steps)}] round {round_number}  {contestant.name:18} {scenario.name}")
                await_calm(settings.calm)
                with _told(say, outcome, round_number, scenario.name, contestant):
                    _measure(arenas[contestant], scenario, round_number, settings.seconds, outcome, say)
    return outcome


def _measure(
    arena: Arena, scenario: Scenario, number: int, seconds: float, outcome: Outcome, say: Callable[[str], None]
) -> None:
    before = Load.now()
    measured = arena.measure(scenario, seconds)
    others, stolen = Load.now().others_since(before)
    metrics = metrics_of(measured, scenario.kind)
    contestant = arena.contestant
    outcome.samples.append(Sample(number, scenario.name, contestant.peer, contestant.name, metrics))
    outcome.records.append(
        {
            "round": number,
            "scenario": scenario.name,
            "contestant": contestant.name,
            "logging": contestant.logging.value,
            "metrics": metrics,
            "generator": measured.generator,
            "other_cores": round(others, 3),
            "stolen_cores": round(stolen, 3),
        }
    )
    headline = HEADLINE[scenario.kind]
    figures = [f"{m.title} {m.write(metrics[m.key])}" for m in headline if m.key in metrics]
    say(f"{'':10}{'; '.join(figures)}; cores used by others {others:.1f}")


@contextlib.contextmanager
def _told(
    say: Callable[[str], None], outcome: Outcome, number: int, scenario: str, contestant: Contestant
) -> Iterator[None]:
    """A failure is told, kept with the samples, and the run goes on."""
    try:
        yield
    except BenchmarkError as error:
        say(f"{'':10}FAILED: {error}")
        sample = Sample(number, scenario, contestant.peer, contestant.name, {}, str(error))
        outcome.samples.append(sample)
        outcome.records.append(
            {"round": number, "scenario": scenario, "contestant": contestant.name, "error": str(error)}
        )


def _facts(arena: Arena) -> dict[str, str]:
    contestant, running = arena.contestant, arena.running
    return {
        "name": contestant.name,
        "form": contestant.form.value if running.proxies else "-",
        "logging": contestant.logging.value,
        "version": running.version,
        "windows": running.windows,
        "TLS on the wire": _agreed(arena.tls),
    }


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
