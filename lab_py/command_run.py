"""`run`: a lab for one request, judged hop by hop, and gone."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from lab_py import state
from lab_py.capture_file import WARNING, capture_file
from lab_py.enter import Inside
from lab_py.evidence.recording import in_order
from lab_py.hops.paths import hops_of
from lab_py.lab import bring_up
from lab_py.observe import observe
from lab_py.peers.secrets import read_secrets
from lab_py.report import as_json, as_lines, verdict
from lab_py.result_file import ResultFile
from mesh_py.process.console import Console

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lab_py.evidence.capture import Frame
    from lab_py.evidence.checks import Place
    from lab_py.lab import Lab, Wishes
    from lab_py.topology import Topology

_PRIVATE = 0o600
"""Of a capture, which holds keys."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run is to tell, and where."""

    output: str = "text"
    pcap: Path | None = None

    def arguments(self) -> list[str]:
        """The same for the command that runs inside."""
        pcap = [] if self.pcap is None else ["--pcap", str(self.pcap)]
        return ["--output", self.output, *pcap]

    @staticmethod
    def open(path: Path | None, mode: int, files: ExitStack) -> ResultFile | None:
        """One of the files, where it is wanted. Raises LabError."""
        return None if path is None else files.enter_context(closing(ResultFile(path, mode)))


def outside(topology: Topology, again: Sequence[str], *, rootless: bool, needs_request: bool = True) -> int:
    """Run the command `again` inside, in a folder that goes away with it; its exit status. Raises LabError."""
    if needs_request:
        hops_of(topology)  # what cannot be judged is refused before anything is built
    folder = state.claim(f"run-{os.getpid()}")
    try:
        return Inside([*again, "--folder", str(folder)], rootless=rootless).wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def inside(topology: Topology, folder: Path, wishes: Wishes, wanted: Wanted) -> int:
    """Build, ask, judge, tell: 0 if every hop was observed as predicted. Raises LabError."""
    begin = time.perf_counter()
    hops = hops_of(topology)
    with ExitStack() as files:
        pcap = wanted.open(wanted.pcap, _PRIVATE, files)
        lab = bring_up(topology, folder, wishes)
        frames: dict[Place, Sequence[Frame]] = {}
        found = observe(topology, lab.built.namespaces, lab.files, hops, frames=frames)
        seconds = time.perf_counter() - begin
        if pcap is not None:
            sightings = in_order(frames, hops)
            pcap.write(capture_file(list(frames), sightings, read_secrets(lab.files), topology.title))
            click.echo(f"warning: {pcap.path} {WARNING}", err=True)
    if wanted.output == "json":
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
