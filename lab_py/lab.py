"""A whole lab: built, its processes up, until it is told to end. Runs inside (`enter`)."""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab_py.build import Built, build
from lab_py.enter import settle_in
from lab_py.machine import Machine, look_at
from lab_py.netns import Namespaces
from lab_py.peers.python import peers
from lab_py.peers.running import Running, start, wait_until_ready
from lab_py.peers.secrets import with_secrets
from lab_py.world import WorldFiles, lay_out

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from lab_py.machine import Tunnel
    from lab_py.topology import Topology


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a lab is to be built, where there is a choice."""

    tunnel: Tunnel | None = None
    """Insists on one kind of tunnel end."""
    without: Collection[str] = ()
    """Names of rules and steps to leave out."""
    secrets: bool = False
    """Have the proxies write their TLS secrets."""


@dataclass(slots=True)
class Lab:
    """One that is up."""

    built: Built
    machine: Machine
    files: WorldFiles
    processes: list[Running]
    seconds: float
    """From nothing until every process served."""
    without: Collection[str] = ()
    """Names of rules and steps that were left out."""

    def running(self, name: str) -> Running:
        """The process of that name. Raises KeyError."""
        return {one.peer.name: one for one in self.processes}[name]

    @property
    def built_in(self) -> float:
        """What namespaces, devices, tunnels and rules took together."""
        return sum(self.built.seconds.values())


def bring_up(topology: Topology, folder: Path, wishes: Wishes) -> Lab:
    """Build it and start everything. Raises LabError; what is there then ends with this process."""
    begin = time.perf_counter()
    files = lay_out(topology, folder, datetime.datetime.now(datetime.UTC))
    settle_in(folder, files.hosts)
    machine = look_at(wishes.tunnel)
    built = build(topology, machine, Namespaces(), wishes.without)
    wanted = peers(topology, files, by_uid=machine.has_sidecar_uid)
    if wishes.secrets:
        wanted = (with_secrets(peer, files) for peer in wanted)
    processes = start(built.namespaces, files, wanted)
    wait_until_ready(built.namespaces, processes)
    return Lab(built, machine, files, processes, time.perf_counter() - begin, wishes.without)
