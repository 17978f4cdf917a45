"""`run`: a lab for one request, judged hop by hop, and gone."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from lab_py import state
from lab_py.capture_file import WARNING, capture_file
from lab_py.command_step import step_through
from lab_py.control_plane import ControlPlane
from lab_py.enter import Inside
from lab_py.errors import Unusable
from lab_py.evidence.capture import every_place
from lab_py.evidence.recording import in_order
from lab_py.facts import packet_facts, rule_facts, topology_facts
from lab_py.hops.paths import hops_of
from lab_py.inner.streams import inner_packets
from lab_py.lab import bring_up
from lab_py.observe import observe
from lab_py.page.document import document
from lab_py.peers.envoy import check_envoys
from lab_py.peers.secrets import read_secrets
from lab_py.report import as_json, as_lines, verdict
from lab_py.result_file import PRIVATE, PUBLIC, ResultFile
from lab_py.runs import leave_result, start_run, take_result, told
from lab_py.tables import show
from lab_py.topology import Design
from mesh_py.process.console import Console

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from lab_py.evidence.capture import Frame
    from lab_py.evidence.checks import Place
    from lab_py.evidence.recording import Sighting
    from lab_py.hops.base import HopFound
    from lab_py.lab import Lab, Wishes
    from lab_py.topology import Kind, Topology


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run is to tell, and where."""

    output: str = "text"
    """`text`, `json`, `yaml`, or `step`."""
    pcap: Path | None = None
    html: Path | None = None

    def arguments(self) -> list[str]:
        """What of it the command that runs inside must know."""
        output = "text" if self.output == "text" else "json"  # all else is told when all of it is there
        return ["--output", output, *([] if self.pcap is None else ["--pcap", str(self.pcap)])]


def outside(topology: Topology, again: Sequence[str], *, rootless: bool, needs_request: bool = True) -> int:
    """Run the command `again` inside, in a folder that goes away with it; its exit status. Raises LabError."""
    if needs_request:
        hops_of(topology)  # what cannot be judged is refused before anything is built
    folder = state.claim(f"run-{os.getpid()}")
    try:
        return Inside([*again, "--folder", str(folder)], rootless=rootless).wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(
    topology: Topology, again: Sequence[str], wanted: Wanted, beside: Sequence[str] | None, *, rootless: bool
) -> int:
    """One run, told as it is wanted: 0 if every hop was observed as predicted. Raises LabError, Unusable.

    Args:
        again: the command that runs inside.
        beside: the arguments of a run in the other design, for the page; None: the page has this one alone.
    """
    hops_of(topology)  # what cannot be judged is refused before anything is built
    with ExitStack() as stack:
        page = _open(wanted.html, PUBLIC, stack)
        second = None
        if page is not None and beside is not None:
            second = stack.enter_context(start_run(beside))
            stack.callback(second.terminate)
        status, data = _run_inside(again, rootless=rootless)
        if data is None:
            return status
        runs = [data] if second is None else [data, told(second)]
        if page is not None:
            page.write(document(sorted(runs, key=_is_todays)).encode())
    if wanted.output in ("json", "yaml"):
        show(data, wanted.output)
        return _status(status, runs)
    if wanted.output == "step":
        step_through(data, topology)
        _tell_verdict(data)
    _tell_the_rest(data, runs[1:], wanted.html)
    return _status(status, runs)


def _status(status: int, runs: Sequence[Mapping[str, Any]]) -> int:
    return max(status, *(0 if one["ok"] else 1 for one in runs))


def _tell_verdict(data: Mapping[str, Any]) -> None:
    console = Console()
    missing = [f"({hop['hop']})" for hop in data["hops"] if not hop["ok"]]
    text = f"NOT observed as predicted: {', '.join(missing)}" if missing else "every hop was observed as predicted"
    console.say(console.styled(text, "red" if missing else "green", "bold"))


def _run_inside(again: Sequence[str], *, rootless: bool) -> tuple[int, dict[str, Any] | None]:
    folder = state.claim(f"run-{os.getpid()}")
    try:
        status = Inside([*again, "--folder", str(folder)], rootless=rootless).wait()
        return status, take_result(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def other_design(topology: Topology, envoys: Collection[Kind]) -> Design | None:
    """The design that a page shows beside the topology's own; None: nothing can be shown for it."""
    other = next(one for one in Design if one is not topology.design)
    try:
        hops_of(replace(topology, design=other))
        check_envoys(replace(topology, design=other), envoys, ControlPlane.ISTIOD)
    except Unusable:
        return None
    return other


def _is_todays(run: Mapping[str, Any]) -> bool:
    return bool(run["topology"]["design"] == Design.IN_POD.value)


def _open(path: Path | None, mode: int, files: ExitStack) -> ResultFile | None:
    return None if path is None else files.enter_context(closing(ResultFile(path, mode)))


def inside(topology: Topology, folder: Path, wishes: Wishes, wanted: Wanted) -> int:
    """Build, ask, judge, tell: 0 if every hop was observed as predicted. Raises LabError."""
    begin = time.perf_counter()
    hops = hops_of(topology)
    with ExitStack() as files:
        pcap = _open(wanted.pcap, PRIVATE, files)
        lab = bring_up(topology, folder, wishes)
        frames: dict[Place, Sequence[Frame]] = {}
        also = [] if pcap is None else every_place(lab.built.namespaces, topology.namespaces)
        found = observe(topology, lab.built.namespaces, lab.files, hops, frames=frames, also=also)
        seconds = time.perf_counter() - begin
        sightings = in_order(frames, hops)
        data = _data(topology, lab, found, sightings, seconds)
        if pcap is not None:
            texts = read_secrets(lab.files)
            inner = inner_packets(frames, sightings, texts)
            pcap.write(capture_file(list(frames), sightings, texts, topology.title, inner))
            click.echo(f"warning: {pcap.path} {WARNING}", err=True)
    if wanted.output == "text":
        _tell(topology, lab, seconds)
        console = Console()
        for line in as_lines(found, console.styled):
            console.say(line)
        console.say()
        is_so = all(one.is_so for one in found)
        console.say(console.styled(verdict(found), "green" if is_so else "red", "bold"))
    leave_result(folder, data)
    return 0 if all(one.is_so for one in found) else 1


def _data(
    topology: Topology, lab: Lab, found: Sequence[HopFound], sightings: Sequence[Sighting], seconds: float
) -> dict[str, Any]:
    """All of it as a value: what `-o json` prints, and what the page shows."""
    return as_json(
        found,
        scenario=topology.name,
        machine=lab.described,
        built={name: round(value, 4) for name, value in lab.built.seconds.items()},
        times={"built": round(lab.built_in, 4), "up": round(lab.seconds, 3), "first_request": round(seconds, 3)},
        topology=topology_facts(topology, lab.cast.envoys),
        rules=rule_facts(topology, found, by_uid=lab.machine.has_sidecar_uid),
        packets=packet_facts(sightings),
    )


def _tell(topology: Topology, lab: Lab, seconds: float) -> None:
    console = Console()
    console.say(console.styled(topology.title, "bold"))
    steps = ", ".join(f"{name} {value * 1000:.0f}" for name, value in lab.built.seconds.items())
    console.say(lab.described)
    console.say(
        f"stands after {lab.built_in * 1000:.0f} ms ({steps}), serves after {lab.seconds:.1f} s, "
        f"first request judged after {seconds:.1f} s"
    )
    console.say()


def _tell_the_rest(data: Mapping[str, Any], others: Sequence[Mapping[str, Any]], page: Path | None) -> None:
    """What is known only once the lab is gone."""
    console = Console()
    console.say(f"the lab was gone after {data['times']['down'] * 1000:.0f} ms")
    for other in others:
        missing = sum(not hop["ok"] for hop in other["hops"])
        said = f"{missing} of {len(other['hops'])} hops NOT" if missing else f"all {len(other['hops'])} hops"
        console.say(f"beside it, design {other['topology']['design']}: {said} observed as predicted")
    if page is not None:
        console.say(f"open {page} in a browser")
