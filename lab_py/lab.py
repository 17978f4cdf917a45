"""A whole lab: built, its processes up, until it is told to end. Runs inside (`enter`)."""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab_py.build import Built, build
from lab_py.control_plane import ControlPlane
from lab_py.enter import settle_in
from lab_py.errors import Missing
from lab_py.machine import Machine, look_at
from lab_py.manifests import STRICT
from lab_py.netns import Namespaces
from lab_py.peers.envoy import write_bootstraps
from lab_py.peers.python import Cast, peers
from lab_py.peers.running import Running, start, wait_until_ready
from lab_py.peers.secrets import with_secrets
from lab_py.redirect.names import PROXY_ID
from lab_py.topology import Kind
from lab_py.world import WorldFiles, lay_out

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from lab_py.machine import Tunnel
    from lab_py.peers.base import Peer
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
    control_plane: ControlPlane = ControlPlane.FILE
    """Where the proxies have mesh and certificates from."""
    envoys: Collection[Kind] = ()
    """The kinds of pods whose proxy is the real Envoy."""
    is_strict: bool = False
    """PeerAuthentication says STRICT; it takes a control plane."""


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
    cast: Cast = field(default_factory=Cast)

    def running(self, name: str) -> Running:
        """The process of that name. Raises KeyError."""
        return {one.peer.name: one for one in self.processes}[name]

    @property
    def described(self) -> str:
        """How it is built, and who plays which part, in a line."""
        return f"{self.machine.described(self.built.topology.design)}, {self.cast}"

    @property
    def built_in(self) -> float:
        """What namespaces, devices, tunnels and rules took together."""
        return sum(self.built.seconds.values())


def bring_up(topology: Topology, folder: Path, wishes: Wishes) -> Lab:
    """Build it and start everything. Raises LabError; what is there then ends with this process."""
    begin = time.perf_counter()
    files = lay_out(topology, folder, datetime.datetime.now(datetime.UTC), wishes.control_plane)
    if wishes.is_strict:
        files.manifests.with_name("strict.yaml").write_text(STRICT, encoding="utf-8")
    settle_in(folder, files.hosts)
    machine = look_at(wishes.tunnel)
    if Kind.SIDECAR in wishes.envoys and not machine.has_sidecar_uid:
        raise Missing(f"Envoy as a sidecar is known by uid {PROXY_ID}, which is not mapped here: run the lab as root")
    built = build(topology, machine, Namespaces(), wishes.without)
    cast = Cast(machine.has_sidecar_uid, wishes.control_plane, wishes.envoys)
    wanted: Iterable[Peer] = peers(topology, files, cast)
    if wishes.secrets:
        wanted = (with_secrets(peer, files) for peer in wanted)
    at_once, later = _in_turn(wanted)
    processes = start(built.namespaces, files, at_once)
    if later:
        write_bootstraps(topology, files, wishes.envoys)
        wait_until_ready(built.namespaces, processes[:1])
        processes += start(built.namespaces, files, later)
    wait_until_ready(built.namespaces, processes)
    return Lab(built, machine, files, processes, time.perf_counter() - begin, wishes.without, cast)


def _in_turn(wanted: Iterable[Peer]) -> tuple[list[Peer], list[Peer]]:
    """Those that bear with a control plane that is not there yet, itself first; and Envoys, which wait long then."""
    found = list(wanted)
    return [one for one in found if not one.enters_by], [one for one in found if one.enters_by]
