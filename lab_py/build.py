"""A lab's namespaces, devices, tunnels and rules, from a topology; what each step took."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab_py.errors import LabError
from lab_py.fabric import PACKET_HALF, kernel_tunnel, links, packet_tunnel, tunnel_ends, tunnel_lines
from lab_py.overlay import Overlay, PacketPort, Tap, TunnelEnd, tunnel_socket
from lab_py.redirect.plan import AT_BIRTH, redirections
from lab_py.topology import Design

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from lab_py.machine import Machine
    from lab_py.netns import Namespaces
    from lab_py.overlay import Device
    from lab_py.topology import Node, Topology


@dataclass(slots=True)
class Built:
    """A lab without its processes."""

    topology: Topology
    namespaces: Namespaces
    overlay: Overlay = field(default_factory=Overlay)
    seconds: dict[str, float] = field(default_factory=dict)
    """What each step took."""

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[step] = time.perf_counter() - begin


def build(topology: Topology, machine: Machine, namespaces: Namespaces, without: Collection[str] = ()) -> Built:
    """Build everything that is no process. Call it inside the lab's own mount and process namespaces.

    Args:
        without: names of rules and steps that are left out (`redirections`).

    Raises:
        LabError: a step failed; what is built goes away with the caller's process namespace.
    """
    built = Built(topology, namespaces)
    with built._timed("namespaces"):
        namespaces.make(topology.namespaces)
        for name in topology.namespaces:
            namespaces.sysctls(name, AT_BIRTH)
    with built._timed("links"):
        for name, lines in links(topology):
            namespaces.ip(name, lines)
    if topology.design is Design.TUNNELS:
        with built._timed("tunnels"):
            for node in topology.nodes:
                _make_tunnels(built, node, machine)
            built.overlay.start()
    with built._timed("rules"):
        for redirection in redirections(topology, by_uid=machine.has_sidecar_uid, without=without):
            namespaces.install(redirection)
    return built


def _make_tunnels(built: Built, node: Node, machine: Machine) -> None:
    for namespace, ends in tunnel_ends(node).items():
        if machine.tunnel == "kernel":
            built.namespaces.ip(namespace, [kernel_tunnel(device, vni, remote) for device, _, vni, remote in ends])
        else:
            local = node.host_ip if namespace == node.name else node.ztunnel_ip
            built.overlay.add(_user_space_end(built, namespace, local, ends, machine.tunnel))
        lines = [line for device, address, _, _ in ends for line in tunnel_lines(device, address)]
        built.namespaces.ip(namespace, lines)


def _user_space_end(
    built: Built, namespace: str, local: str, ends: list[tuple[str, str, int, str]], tunnel: str
) -> TunnelEnd:
    names = [device for device, *_ in ends]
    if tunnel == "packet":
        lines = [
            line
            for name in names
            for line in (packet_tunnel(name, f"{name}{PACKET_HALF}"), f"link set {name}{PACKET_HALF} up")
        ]
        built.namespaces.ip(namespace, lines)

    def device(name: str) -> Device:
        return Tap(name) if tunnel == "tap" else PacketPort(name, f"{name}{PACKET_HALF}")

    def make() -> TunnelEnd:
        remote = ends[0][3]
        return TunnelEnd(namespace, tunnel_socket(local), remote, {vni: device(name) for name, _, vni, _ in ends})

    try:
        return built.namespaces.inside(namespace, make)
    except OSError as error:
        raise LabError(f"{namespace}: a tunnel's end cannot be made: {error.strerror}") from None
