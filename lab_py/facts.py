"""What a run knows beside its findings, as values for JSON: topology, the rules that hops name, packets [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab_py.mesh_file import identity_of
from lab_py.redirect.plan import redirections

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lab_py.evidence.recording import Sighting
    from lab_py.hops.base import HopFound
    from lab_py.topology import Kind, Node, Pod, Topology

MOST_PACKETS = 500
"""Of one device; a capture file has the rest."""


def topology_facts(topology: Topology, envoys: Collection[Kind] = ()) -> dict[str, Any]:
    """Nodes and pods with their addresses, and who asks whom.

    Args:
        envoys: the kinds of pods whose proxy is the real Envoy.
    """
    return {
        "title": topology.title,
        "design": topology.design.value,
        "nodes": [_node(node) for node in topology.nodes],
        "pods": [_pod(pod, envoys) for pod in topology.pods],
        "request": _request(topology),
    }


def rule_facts(topology: Topology, found: Sequence[HopFound], *, by_uid: bool) -> dict[str, str]:
    """The rules that findings are about, as iptables takes them, by `NAMESPACE NAME`."""
    named = {finding.where for one in found for finding in one.findings if finding.kind == "counter"}
    rules = {
        f"{one.namespace} {rule.name}": f"-t {rule.table} {'-I' if rule.at_head else '-A'} {rule.chain} {rule.text}"
        for one in redirections(topology, by_uid=by_uid)
        for rule in one.rules
    }
    return {where: rules[where] for where in sorted(named & rules.keys())}


def packet_facts(sightings: Sequence[Sighting]) -> dict[str, list[dict[str, Any]]]:
    """TCP segments by `NAMESPACE DEVICE`, each with its time since the first of all, and the hops that it bears out."""
    found: dict[str, list[dict[str, Any]]] = {}
    begin = sightings[0].frame.nanoseconds if sightings else 0
    for one in sightings:
        seen = found.setdefault(" ".join(one.place), [])
        if one.packet is not None and len(seen) < MOST_PACKETS:
            milliseconds = round((one.frame.nanoseconds - begin) / 1e6, 3)
            hops = [hop.number for hop in one.hops]
            seen.append({"ms": milliseconds, "text": str(one.packet), "bytes": one.packet.size, "hops": hops})
    return found


def _request(topology: Topology) -> dict[str, Any] | None:
    request = topology.request
    if request is None:
        return None
    pods = [request.source, *topology.service(request.service).pods]
    return {"from": request.source, "to": request.service, "pods": pods}


def _node(node: Node) -> dict[str, str]:
    named = {"name": node.name, "address": node.fabric_ip, "pod_range": node.pod_range}
    return {**named, "ztunnel": node.ztunnel, "ztunnel_ip": node.ztunnel_ip}


def _pod(pod: Pod, envoys: Collection[Kind]) -> dict[str, Any]:
    named = {"name": pod.name, "node": pod.node.name, "kind": pod.kind.value, "ip": pod.ip, "port": pod.port}
    return {**named, "identity": str(identity_of(pod)), "is_envoy": pod.kind in envoys}
