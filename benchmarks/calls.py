"""How many system calls each proxy makes for an operation: ours and Envoy's, as the kernel counts them (perf).

    python -m benchmarks.calls [--seconds 1]

Counting costs a little for each call, so it is done beside the rounds and not in them. Prints JSON: by scenario, who
and role.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path

import click

from benchmarks import generator
from benchmarks.arena import Arena
from benchmarks.certificates import make_certificates
from benchmarks.contestants import available_peers, peer_of
from benchmarks.plan import Contestant, Scenario
from benchmarks.processes import BenchmarkError, Processes
from benchmarks.scenarios import COMPILED, choose_scenarios
from benchmarks.world import Capture, Topology, can_isolate

COUNTED = ("rr-32", "connect-16")
_EVENT = "raw_syscalls:sys_enter"
_ATTACH_SECONDS = 0.4


def can_count() -> bool:
    """Whether perf is here and has the right to count system calls."""
    if not (can_isolate() and shutil.which("perf")):
        return False
    return any(Path(f"/sys/kernel/{base}/events/raw_syscalls").is_dir() for base in ("tracing", "debug/tracing"))


def count(scenario: Scenario, peer: str, seconds: float, certificates: Path, folder: Path) -> dict[str, float]:
    """System calls per operation, by role. Raises BenchmarkError."""
    contestant = Contestant(peer, stage=scenario.stage)
    arena = Arena(contestant, peer_of(contestant), certificates, folder, Topology.LOOPBACK, Capture.REDIRECT)
    with arena, Processes() as counters:
        arena.measure(scenario, 0.3)  # connections, caches
        running = {}
        for role, process in arena.running.proxies.items():
            said = folder / f"{role}.perf"
            arguments = ["stat", "-x", ",", "-e", _EVENT, "-p", str(process.pid), "-o", str(said)]
            command = ["perf", *arguments, "sleep", f"{seconds + 2 * _ATTACH_SECONDS + 1}"]
            running[role] = counters.start(command, log=folder / f"{role}.perf-log"), said
        time.sleep(_ATTACH_SECONDS)
        operations = arena.measure(scenario, seconds).generator["with_warmup"]
        found = {}
        for role, (counter, said) in running.items():
            if counter.wait(seconds + 30) != 0:
                raise BenchmarkError("perf stat failed: it needs the right to count system calls (root)")
            found[role] = round(calls_of(said.read_text()) / operations, 2)
        return found


def calls_of(text: str) -> int:
    """The count in what `perf stat -x ,` wrote. Raises BenchmarkError where it counted nothing."""
    for line in text.splitlines():
        counted, _, rest = line.partition(",")
        if _EVENT in rest and counted.isdigit():
            return int(counted)
    raise BenchmarkError(f"perf stat counted no {_EVENT}")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seconds", default=1.0, show_default=True, type=click.FloatRange(0.2, 60), help="Of each.")
def main(seconds: float) -> None:
    """Count the system calls of our proxies and of Envoy's."""
    try:
        generator.build()
        with tempfile.TemporaryDirectory(prefix="hbone-bench-") as base:
            Path(base).chmod(0o755)  # the captured application may run as another group
            certificates = make_certificates(Path(base, "certificates"))
            peers = [peer for peer in ("ours", COMPILED, "envoy") if peer in available_peers()]
            found = {
                one.name: {peer: count(one, peer, seconds, certificates, Path(base, one.name, peer)) for peer in peers}
                for name in COUNTED
                for one in choose_scenarios([name])
                if one.name == name
            }
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from None
    click.echo(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
