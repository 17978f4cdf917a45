"""Every kind of pod calling every other, on one node and on two: who reaches whom, as whom, and known by what [pure].

One cell is a request with its claims, in the form of a hop, so that `observe` judges it like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_py.evidence.checks import Answered, CallerProved, CountsRule, Logs
from lab_py.evidence.travel import Carriage, Refused, Travelled
from lab_py.hops.base import Hop
from lab_py.mesh_file import identity_of
from lab_py.topology import Design, Kind, Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab_py.evidence.checks import Check
    from lab_py.topology import Pod, Service, Topology

SIDECAR_SOURCE = "127.0.0.6"


def cells(topology: Topology, *, is_strict: bool = False) -> Iterator[tuple[Request, Hop]]:
    """A request of each kind of pod to each kind, on one node and on two, with what must be seen of it.

    Of several pairs the first is taken; services count that one other pod serves.

    Args:
        is_strict: PeerAuthentication says STRICT: who has a proxy takes nothing that proves nobody.
    """
    done: set[str] = set()
    for source in topology.pods:
        for service in topology.services:
            destination = topology.pod(service.pods[0])
            if destination != source and len(service.pods) == 1:
                title = f"{source.kind.value} to {destination.kind.value}, {_where(source, destination)}"
                if title not in done:
                    done.add(title)
                    checks = _checks(topology, source, service, destination, is_strict=is_strict)
                    yield (
                        Request(source.name, service.name),
                        Hop(f"{source.name} > {service.name}", title, tuple(checks)),
                    )


def carriage(topology: Topology, source: Pod, destination: Pod) -> Carriage:
    """How a request of one pod travels to another: as well as both ends can (redirection a.7, b, c)."""
    if Kind.PLAIN in (source.kind, destination.kind):
        return Carriage.PLAIN
    if destination.kind is Kind.SIDECAR and not destination.takes_hbone:
        return Carriage.MTLS if source.kind is Kind.SIDECAR else Carriage.PLAIN
    is_inside = topology.design is Design.TUNNELS and source.node == destination.node
    return Carriage.INSIDE if is_inside and source.kind is destination.kind is Kind.AMBIENT else Carriage.HBONE


def _where(source: Pod, destination: Pod) -> str:
    return "same node" if source.node == destination.node else "other node"


def _checks(topology: Topology, source: Pod, service: Service, destination: Pod, *, is_strict: bool) -> Iterator[Check]:
    """Behind a sidecar the application sees the sidecar; else whoever called, whatever carried the call."""
    application, carried = f"app-{destination.name}", carriage(topology, source, destination)
    if is_strict and carried is Carriage.PLAIN and destination.kind is not Kind.PLAIN:
        yield Refused(application)
        yield Travelled(source, destination, None)
        return
    seen = SIDECAR_SOURCE if destination.kind is Kind.SIDECAR else source.ip
    yield Answered(application, {"peer": f"{seen}:*", "local": f"{destination.ip}:{destination.port}"})
    yield Travelled(source, destination, carried)
    yield _translated(source, service, destination)
    if destination.kind is Kind.AMBIENT:
        yield _heard_by_ztunnel(source, destination)
    if destination.kind is Kind.SIDECAR:
        proved = str(identity_of(source)) if source.kind is Kind.SIDECAR else None
        yield CallerProved(application, proved)


def _translated(source: Pod, service: Service, destination: Pod) -> CountsRule:
    """kube-proxy sees the virtual address of who has no proxy, and of nobody else."""
    count = 1 if source.kind is Kind.PLAIN else 0
    return CountsRule(source.node.name, f"K-{service.name}-{destination.name}", "kube-proxy: DNAT", count)


def _heard_by_ztunnel(source: Pod, destination: Pod) -> Logs:
    """Whoever has a proxy proves itself; plaintext is nobody's."""
    proved = str(identity_of(source)) if source.kind is not Kind.PLAIN else None
    line = {"message": "connection opened", "direction": "inbound", "src.addr": f"{source.ip}:*"}
    return Logs(destination.node.ztunnel, {**line, "dst.workload": destination.name, "src.identity": proved})
