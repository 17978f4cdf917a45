"""Which hops a topology's request takes [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_py.errors import Unusable
from lab_py.hops import ambient_to_sidecar, in_pod, sidecar_to_ambient, sidecar_to_waypoint
from lab_py.topology import Design, Kind

if TYPE_CHECKING:
    from lab_py.hops.base import Hop
    from lab_py.topology import Pod, Service, Topology


def hops_of(topology: Topology) -> list[Hop]:
    """The path of the topology's request, hop by hop.

    Raises:
        Unusable: it has no request, or one of whose path nothing is predicted.
    """
    request = topology.request
    if request is None:
        raise Unusable(f"{topology.name}: nothing is requested: add `request: {{from: POD, to: SERVICE}}`")
    source, service = topology.pod(request.source), topology.service(request.service)
    destination = topology.pod(service.pods[0])
    if len(service.pods) == 1 and source.node != destination.node:
        found = (_today if topology.design is Design.IN_POD else _as_in_1_18)(topology, source, service, destination)
        if found:
            return found
    what = f"{source.kind.value} {source.name} to {destination.kind.value} {destination.name}"
    raise Unusable(f"{topology.name}: no hops are described for {what} ({topology.design.value})")


def _as_in_1_18(topology: Topology, source: Pod, service: Service, destination: Pod) -> list[Hop]:
    match source.kind, destination.kind, destination.waypoint:
        case Kind.AMBIENT, Kind.SIDECAR, None:
            return ambient_to_sidecar.hops(source, service, destination)
        case Kind.SIDECAR, Kind.AMBIENT, None:
            return sidecar_to_ambient.hops(source, service, destination)
        case Kind.SIDECAR, Kind.AMBIENT, str(waypoint):
            return sidecar_to_waypoint.hops(source, service, topology.pod(waypoint), destination)
    return []


def _today(topology: Topology, source: Pod, service: Service, destination: Pod) -> list[Hop]:
    match source.kind, destination.kind:
        case Kind.AMBIENT, Kind.SIDECAR:
            return in_pod.ambient_to_sidecar(source, service, destination)
        case Kind.SIDECAR, Kind.AMBIENT:
            skipped = None if destination.waypoint is None else topology.pod(destination.waypoint)
            return in_pod.sidecar_to_ambient(source, service, destination, skipped)
    return []
