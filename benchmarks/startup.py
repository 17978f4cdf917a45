"""How long a role takes to be ready, and how much of that is importing: every role by itself, started again and again.

    python -m benchmarks.startup [--rounds 3]

Prints JSON. In a namespace of its own where that is possible, so that the roles keep their ports.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks import interpreter
from benchmarks.certificates import make_certificates
from benchmarks.contestants import PEERS
from benchmarks.peers.base import Surroundings
from benchmarks.plan import Form, Stage
from benchmarks.processes import BenchmarkError, Processes
from benchmarks.world import Capture, Topology, can_isolate, open_world

if TYPE_CHECKING:
    from benchmarks.peers.base import Peer

ROLES = ("ztunnel_py", "sidecar_py", "waypoint_py", "istiod_py")
_IMPORT = "import time; began = time.perf_counter(); import {0}.app; print(time.perf_counter() - began)"


def import_seconds(role: str, rounds: int) -> float:
    """What a fresh interpreter needs to import all that the role starts with; the least of the rounds."""
    environment = {**os.environ, **interpreter.environment()}
    command = [interpreter.command(), "-c", _IMPORT.format(role)]
    said = []
    for _ in range(rounds):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise BenchmarkError(f"{role} cannot be imported: {done.stderr.strip().splitlines()[-1]}")
        said.append(float(done.stdout))
    return min(said)


def ready_seconds(peer: Peer, stage: Stage, certificates: Path, folder: Path) -> float:
    """From the start of the first proxy to the readiness of the last, all started at once."""
    folder.mkdir()
    capture = Capture.REDIRECT if can_isolate() else Capture.PROXY
    with Processes() as processes, open_world(Topology.LOOPBACK, capture) as world:
        began = time.monotonic()
        peer.start(Surroundings(world, processes, certificates, folder, stage))
        return time.monotonic() - began


def measure(rounds: int, peers: list[str]) -> dict[str, Any]:
    """Medians: `ready` by form and peer, `import` by role."""
    ready: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="hbone-bench-") as name:
        base = Path(name)
        base.chmod(0o755)
        certificates = make_certificates(base / "certificates")
        for form in Form:
            stage, times = replace(Stage(), form=form), {peer: list[float]() for peer in peers}
            for number in range(rounds):
                for peer in peers:
                    folder = base / f"{form.name}-{peer}-{number}"
                    times[peer].append(ready_seconds(PEERS[peer][form, ""], stage, certificates, folder))
            ready[form.value] = {peer: statistics.median(each) for peer, each in times.items()}
    return {"ready": ready, "import": {role: import_seconds(role, rounds) for role in ROLES}}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--rounds", default=3, show_default=True, help="Starts of each; the median counts.")
@click.option("--peer", "peers", multiple=True, default=["ours", "envoy"], show_default=True, help="Whose.")
def main(rounds: int, peers: tuple[str, ...]) -> None:
    """Measure starts."""
    click.echo(json.dumps(measure(rounds, list(peers)), indent=2))


if __name__ == "__main__":
    main()
