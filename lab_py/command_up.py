"""`up`: a lab that stays until `down`."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

import click

from lab_py import state
from lab_py.control import ControlSocket
from lab_py.enter import Inside
from lab_py.errors import LabError
from lab_py.lab import bring_up
from lab_py.orders import Orders
from lab_py.state import Record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lab_py.lab import Lab, Wishes
    from lab_py.peers.running import Running
    from lab_py.topology import Topology

UP_SECONDS = 60.0
"""How long a lab may take to be up; its processes have a shorter deadline of their own."""
LOG = "lab.log"
_LOOK_SECONDS = 0.02
_WATCH_SECONDS = 0.5


def outside(topology: Topology, name: str, again: Sequence[str], *, rootless: bool) -> int:
    """Start the command `again` inside and return once the lab is up. Raises LabError; nothing is left then."""
    begin = time.perf_counter()
    folder = state.claim(name)
    try:
        lab = Inside([*again, "--folder", str(folder)], rootless=rootless, log=folder / LOG)
        try:
            _wait_until_up(lab, folder)
            record = _record(topology, name, lab, rootless=rootless, seconds=time.perf_counter() - begin)
            state.write_record(folder, record)
        except BaseException:
            lab.kill()
            raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    lab.let_stay()
    _tell(topology, record, folder)
    return 0


def _wait_until_up(lab: Inside, folder: Path) -> None:
    deadline = time.monotonic() + UP_SECONDS
    while state.read_processes(folder) is None:
        if lab.process.poll() is not None or time.monotonic() > deadline:
            said = (folder / LOG).read_text(errors="replace").strip()
            raise LabError(said.removeprefix("error: ") or "the lab does not come up, and says nothing")
        time.sleep(_LOOK_SECONDS)


def _record(topology: Topology, name: str, lab: Inside, *, rootless: bool, seconds: float) -> Record:
    keeper = lab.process.pid
    started = state.started_at(keeper)
    if started is None:
        raise LabError("the lab ended as soon as it was up")
    first, names = lab.first_process(), topology.namespaces
    return Record(name, topology.name, keeper, started, first, names, rootless, seconds)


def _tell(topology: Topology, record: Record, folder: Path) -> None:
    click.echo(f"{record.name} is up after {record.seconds:.1f} s: {topology.title}")
    click.echo((folder / LOG).read_text(errors="replace").strip())
    name = "" if record.name == "lab" else f" --name {record.name}"
    request = topology.request
    if request is not None:
        service = topology.service(request.service)
        curl = f"curl -s http://{service.name}:{service.port}/ip"
        click.echo(f"try:  python -m lab_py exec{name} {request.source} -- {curl}")
    click.echo(f"then: python -m lab_py logs{name}; python -m lab_py status{name}; python -m lab_py down{name}")


def inside(topology: Topology, folder: Path, wishes: Wishes) -> int:
    """Bring it up, say so, and watch its processes until we are ended from outside. Raises LabError."""
    lab = bring_up(topology, folder, wishes)
    steps = ", ".join(f"{name} {value * 1000:.0f}" for name, value in lab.built.seconds.items())
    click.echo(f"{lab.described}; stood after {lab.built_in * 1000:.0f} ms ({steps}), served after {lab.seconds:.1f} s")
    _watch(lab, folder)
    return 0


def _watch(lab: Lab, folder: Path) -> None:
    """Say how the processes fare, and take orders, for as long as we live."""
    told: list[dict[str, Any]] = []
    control, orders = ControlSocket(folder), Orders(lab)
    while True:
        now = [_describe(one) for one in lab.processes]
        if now != told:
            state.write_processes(folder, now)
            told = now
        control.obey(orders.obey, _WATCH_SECONDS)


def _describe(one: Running) -> dict[str, Any]:
    """How a process fares; of one that has ended, what it said last."""
    found = {"name": one.peer.name, "namespace": one.peer.namespace, "pid": one.process.pid, "ended": one.status}
    return found if one.status is None else {**found, "said_last": one.last_line}
