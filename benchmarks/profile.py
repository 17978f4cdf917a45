"""Where our proxies spend their time: flame graphs, and microseconds per step of bulk, round trip, connect, layer 7.

    python -m benchmarks.profile [--seconds 5] [--out FOLDER] [--docs]

Samples come from py-spy while the load generator drives our proxies, all of a form at once, without stopping them. A
sample counts while its process runs or waits for a core, which it does mostly in a system call that woke another: so
what a step costs is the share of its samples in the kernel's time, or in that of the program, as the kernel accounts
them to the proxies for an operation.
"""

from __future__ import annotations

import contextlib
import json
import linecache
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks import generator
from benchmarks.arena import Arena
from benchmarks.certificates import make_certificates
from benchmarks.contestants import peer_of
from benchmarks.figures import metrics_of
from benchmarks.flamegraph import flame_graph
from benchmarks.plan import Contestant
from benchmarks.processes import BenchmarkError, Processes
from benchmarks.scenarios import SCENARIOS
from benchmarks.steps import costs, parse_stacks, samples_by_step, steps_table
from benchmarks.world import Capture, Topology, can_isolate

if TYPE_CHECKING:
    from benchmarks.steps import Stack

_HERE = Path(__file__).parent
_ROOT = _HERE.parent
_RATE = 400
_LEAD_SECONDS = 0.7
"""How long py-spy takes until it samples."""
PROFILES = {"bulk": "bulk-8-down", "round-trip": "rr-32", "connect": "connect-16", "layer-7": "chain-32"}
"""Names of profiles, and the scenario that each samples."""
DOCUMENT = _ROOT / "docs" / "performance.md"
_BEGIN, _END = "<!-- made by `make profile`: begin -->", "<!-- made by `make profile`: end -->"


@dataclass(frozen=True, slots=True)
class Profile:
    """What came of sampling one scenario. Costs are of all proxies, `unit` says of what."""

    title: str
    stacks: Counter[Stack]
    user: float
    kernel: float
    unit: str

    def as_json(self) -> dict[str, Any]:
        """All but the stacks."""
        sampled = samples_by_step(self.stacks, source_line)
        return {
            "title": self.title,
            "samples": self.stacks.total(),
            "unit": self.unit,
            "steps": {step: round(cost, 4) for step, cost in costs(sampled, self.user, self.kernel).items()},
        }


def source_line(file: str, line: int) -> str:
    """A line of the project or of the standard library, as py-spy names files; empty where there is none."""
    for base in (_ROOT, Path(linecache.__file__).parent):
        if (base / file).is_file():
            return linecache.getline(str(base / file), line)
    return ""


def sample(name: str, seconds: float, certificates: Path, folder: Path) -> Profile:
    """Drives our proxies with one scenario and samples them. Raises BenchmarkError."""
    scenario = next(one for one in SCENARIOS if one.name == PROFILES[name])
    contestant = Contestant("ours", stage=scenario.stage)
    capture = Capture.REDIRECT if can_isolate() else Capture.PROXY
    with (
        Arena(contestant, peer_of(contestant), certificates, folder, Topology.LOOPBACK, capture) as arena,
        Processes() as samplers,
    ):
        arena.measure(scenario, 0.3)  # connections, caches
        calm = metrics_of(arena.measure(scenario, seconds / 2), scenario)  # what it costs unobserved
        running = []
        for role, process in arena.running.proxies.items():
            output = folder / f"{role}.stacks"
            arguments = ["--pid", str(process.pid), "--rate", str(_RATE), "--duration", str(round(seconds + 1))]
            command = [_py_spy(), "record", "--nonblocking", "--format", "raw", *arguments, "--output", str(output)]
            running.append((samplers.start(command, log=folder / f"{role}.py-spy"), output))
        time.sleep(_LEAD_SECONDS)
        arena.measure(scenario, seconds)
        stacks: Counter[Stack] = Counter()
        for sampler, output in running:
            if sampler.wait(seconds + 30) != 0 or not output.exists():
                raise BenchmarkError("py-spy failed: it needs the right to trace processes (root)")
            stacks += parse_stacks(output.read_text())
    is_bulk = "cpu_s_per_gb" in calm
    key, unit = ("s_per_gb", "CPU s per GB") if is_bulk else ("us_per_op", "us per operation")
    return Profile(scenario.title, stacks, calm[f"cpu_user_{key}"], calm[f"cpu_system_{key}"], unit)


def _py_spy() -> str:
    found = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if found is None:
        raise BenchmarkError("py-spy is missing: pip install 'hbone-mesh[bench]'")
    return found


def write_document(profiles: dict[str, dict[str, Any]], document: Path) -> None:
    """Puts the tables between their two marks in the page. BenchmarkError where the marks are missing."""
    text = document.read_text()
    parts = [f"{said['title'][:1].upper()}{said['title'][1:]}:\n\n{steps_table(said)}" for said in profiles.values()]
    made = f"{_BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{_END}"
    changed, count = re.subn(f"{re.escape(_BEGIN)}.*{re.escape(_END)}", lambda _: made, text, flags=re.DOTALL)
    if count != 1:
        raise BenchmarkError(f"{document} has no place for the tables: {_BEGIN} ... {_END}")
    document.write_text(changed)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seconds", default=5.0, show_default=True, type=click.FloatRange(0.5, 60), help="Sampled time of each.")
@click.option("--profile", "names", multiple=True, type=click.Choice(list(PROFILES)), help="Only these.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=_HERE / ".build" / "profile")
@click.option("--docs", is_flag=True, help="Bring the tables in docs/performance.md up to date as well.")
def main(seconds: float, names: tuple[str, ...], out: Path, docs: bool) -> None:
    """Sample our proxies; write flame graphs (SVG) and print the steps as JSON."""
    out.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, Any]] = {}
    try:
        generator.build()
        with tempfile.TemporaryDirectory(prefix="hbone-bench-") as base:
            Path(base).chmod(0o755)  # the captured application may run as another group
            certificates = make_certificates(Path(base, "certificates"))
            for name in names or PROFILES:
                profile = sample(name, seconds, certificates, Path(base, name))
                found[name] = profile.as_json()
                title = f"ours: {profile.title}"
                (out / f"flame-{name}.svg").write_text(flame_graph(title, profile.stacks, source_line))
        if docs:
            write_document(found, DOCUMENT)
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from None
    click.echo(json.dumps(found, indent=2))
    for name in found:
        with contextlib.suppress(ValueError):
            click.echo(f"written: {(out / f'flame-{name}.svg').relative_to(_ROOT)}", err=True)


if __name__ == "__main__":
    main()
