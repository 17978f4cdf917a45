"""`run`: a lab for one request, judged hop by hop, and gone."""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import TYPE_CHECKING

import click

from lab_py import state
from lab_py.enter import Inside
from lab_py.hops.paths import hops_of
from lab_py.lab import bring_up
from lab_py.observe import observe
from lab_py.report import as_json, as_lines, verdict
from mesh_py.process.console import Console

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lab_py.lab import Lab, Wishes
    from lab_py.topology import Topology


def outside(topology: Topology, again: Sequence[str], *, rootless: bool, needs_request: bool = True) -> int:
    """Run the command `again` inside, in a folder that goes away with it; its exit status. Raises LabError."""
    if needs_request:
        hops_of(topology)  # what cannot be judged is refused before anything is built
    folder = state.claim(f"run-{os.getpid()}")
    try:
        return Inside([*again, "--folder", str(folder)], rootless=rootless).wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def inside(topology: Topology, folder: Path, wishes: Wishes, output: str) -> int:
    """Build, ask, judge, tell: 0 if every hop was observed as predicted. Raises LabError."""
    begin = time.perf_counter()
    hops = hops_of(topology)
    lab = bring_up(topology, folder, wishes)
    found = observe(topology, lab.built.namespaces, lab.files, hops)
    seconds = time.perf_counter() - begin
    if output == "json":
        steps = {name: round(value, 4) for name, value in lab.built.seconds.items()}
        facts = {"scenario": topology.name, "machine": str(lab.machine), "built": steps, "seconds": round(seconds, 3)}
        click.echo(json.dumps(as_json(found, **facts), indent=2))
    else:
        _tell(topology, lab, seconds)
        console = Console()
        for line in as_lines(found, console.styled):
            console.say(line)
        console.say()
        is_so = all(one.is_so for one in found)
        console.say(console.styled(verdict(found), "green" if is_so else "red", "bold"))
    return 0 if all(one.is_so for one in found) else 1


def _tell(topology: Topology, lab: Lab, seconds: float) -> None:
    console = Console()
    console.say(console.styled(topology.title, "bold"))
    steps = ", ".join(f"{name} {value * 1000:.0f}" for name, value in lab.built.seconds.items())
    console.say(str(lab.machine))
    console.say(
        f"stands after {lab.built_in * 1000:.0f} ms ({steps}), serves after {lab.seconds:.1f} s, ",
    )
    console.say(f"first request judged after {seconds:.1f} s")
    console.say()
