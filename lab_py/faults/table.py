"""The faults worth trying in a topology, and every rule and route beside them [pure]."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from lab_py.errors import Unusable
from lab_py.faults.base import Denied, Fault, ForeignCertificate, ProcessGone
from lab_py.faults.redirection_rows import on_the_way, piece
from lab_py.redirect.plan import redirections
from lab_py.topology import Design, Kind
from mesh_py.discovery.problems import suggest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab_py.topology import Pod, Topology

POLICY = "lab-deny"
"""The policy that `policy` adds."""


def faults_of(topology: Topology) -> list[Fault]:
    """The table's rows, for the path of the topology's request; of a mesh without one, what is everybody's."""
    rows = [*on_the_way(topology), *_of_processes(topology), *_of_the_mesh(topology)]
    return list({fault.name: fault for fault in rows}.values())


def pieces_of(topology: Topology) -> list[str]:
    """Every rule and route, as `namespace/name`: each of them can be taken away too."""
    return [f"{one.namespace}/{name}" for one in redirections(topology) for name in one.names_in_order]


def find_fault(topology: Topology, name: str) -> Fault:
    """The row of that name, or the fault of a piece: `node-a/P8`, or `P8` where there is only one. Raises Unusable."""
    known = {fault.name: fault for fault in faults_of(topology)}
    if name in known:
        return known[name]
    pieces = pieces_of(topology)
    matching = [one for one in pieces if one == name or one.endswith(f"/{name}")]
    if not matching:
        close = get_close_matches(name, [*known, *pieces], n=1)
        raise Unusable(f"there is no {name!r}; {suggest(name, close or list(known))}")
    if len(matching) > 1:
        raise Unusable(f"{name!r} is in several places: {', '.join(matching)}")
    namespace, _, rule = matching[0].partition("/")
    return piece(namespace, rule, called=matching[0])


def _of_processes(topology: Topology) -> Iterator[Fault]:
    for pod in _pods_on_the_way(topology):
        if pod.kind is Kind.WAYPOINT and topology.design is Design.TUNNELS:
            yield _gone("waypoint", f"waypoint-{pod.name}", "503 from the sidecar: the waypoint's address refuses")
        if pod.kind is Kind.SIDECAR:
            yield _gone("sidecar", f"sidecar-{pod.name}", "captured connections are refused by the pod itself")
        if pod.kind is Kind.AMBIENT:
            yield _gone("ztunnel", pod.node.ztunnel, "what is brought to ztunnel is refused")
        if pod.port is not None:
            yield _gone("application", f"app-{pod.name}", "the last proxy is refused, and says so")


def _gone(name: str, process: str, shows: str) -> Fault:
    return Fault(name, ProcessGone(process), f"the process {process}", shows, f"process {process}")


def _of_the_mesh(topology: Topology) -> Iterator[Fault]:
    """Who is asked by HBONE has a certificate that counts; a policy is judged by whoever is asked last."""
    for pod in _pods_on_the_way(topology)[1:]:
        if pod.kind is Kind.AMBIENT or pod.takes_hbone:
            shows = "the handshake ends: whoever asks does not trust the authority"
            yield Fault("certificate", ForeignCertificate(pod.name), f"{pod.name}'s certificate", shows,
                        f"certificate {pod.name}")  # fmt: skip
        if pod.kind is not Kind.WAYPOINT:
            shows = "refused, and the policy is named in the log"
            yield Fault("policy", Denied(pod.name), f"everybody's leave to call {pod.name}", shows,
                        f"policy default/{POLICY}")  # fmt: skip


def _pods_on_the_way(topology: Topology) -> list[Pod]:
    """The caller first."""
    if topology.request is None:
        return []
    service = topology.service(topology.request.service)
    destination = topology.pod(service.pods[0])
    between = [] if destination.waypoint is None else [topology.pod(destination.waypoint)]
    return [topology.pod(topology.request.source), *between, destination]
