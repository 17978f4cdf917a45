"""`run`: a lab for one request, judged hop by hop, and gone."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from lab_py import state
from lab_py.capture_file import WARNING, capture_file
from lab_py.enter import Inside
from lab_py.evidence.recording import in_order
from lab_py.facts import packet_facts, rule_facts, topology_facts
from lab_py.hops.paths import hops_of
from lab_py.lab import bring_up
from lab_py.observe import observe
from lab_py.page.document import document
from lab_py.peers.secrets import read_secrets
from lab_py.report import as_json, as_lines, verdict
from lab_py.result_file import ResultFile
from mesh_py.process.console import Console

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lab_py.evidence.capture import Frame
    from lab_py.evidence.checks import Place
    from lab_py.evidence.recording import Sighting
    from lab_py.hops.base import HopFound
    from lab_py.lab import Lab, Wishes
    from lab_py.topology import Topology

_PRIVATE, _PUBLIC = 0o600, 0o644
"""Of a capture, which holds keys; of a page, which does not."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run is to tell, and where."""

    output: str = "text"
    pcap: Path | None = None
    html: Path | None = None

    def arguments(self) -> list[str]:
        """The same for the command that runs inside."""
        files = {"--pcap": self.pcap, "--html": self.html}
        given = [word for flag, path in files.items() if path is not None for word in (flag, str(path))]
        return ["--output", self.output, *given]

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
        pcap, html = wanted.open(wanted.pcap, _PRIVATE, files), wanted.open(wanted.html, _PUBLIC, files)
        lab = bring_up(topology, folder, wishes)
        frames: dict[Place, Sequence[Frame]] = {}
        found = observe(topology, lab.built.namespaces, lab.files, hops, frames=frames)
        seconds = time.perf_counter() - begin
        sightings = in_order(frames, hops)
        data = _data(topology, lab, found, sightings, seconds)
        if html is not None:
            html.write(document(data).encode())
        if pcap is not None:
            pcap.write(capture_file(list(frames), sightings, read_secrets(lab.files), topology.title))
            click.echo(f"warning: {pcap.path} {WARNING}", err=True)
    if wanted.output == "json":
        click.echo(json.dumps(data, indent=2))
    else:
        _tell(topology, lab, seconds)
        console = Console()
        for line in as_lines(found, console.styled):
            console.say(line)
        console.say()
        is_so = all(one.is_so for one in found)
        console.say(console.styled(verdict(found), "green" if is_so else "red", "bold"))
    return 0 if all(one.is_so for one in found) else 1


def _data(
    topology: Topology, lab: Lab, found: Sequence[HopFound], sightings: Sequence[Sighting], seconds: float
) -> dict[str, Any]:
    """All of it as a value: what `-o json` prints, and what the page shows."""
    return as_json(
        found,
        scenario=topology.name,
        machine=str(lab.machine),
        built={name: round(value, 4) for name, value in lab.built.seconds.items()},
        seconds=round(seconds, 3),
        topology=topology_facts(topology),
        rules=rule_facts(topology, found, by_uid=lab.machine.has_sidecar_uid),
        packets=packet_facts(sightings),
    )


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
