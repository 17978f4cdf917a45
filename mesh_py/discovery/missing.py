"""What the mesh would have to know to decide about a connection, and does not: names to ask a control plane for
(hbone-controlplane 2.7) [pure].

Only where addresses are followed on demand. What is found may refer to more: the caller asks again after each answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.discovery.record import ServiceRecord
from mesh_py.model.address import HostPort, NamespacedHostname

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesh_py.discovery.inbound import Authority
    from mesh_py.discovery.state import MeshState
    from mesh_py.model.address import GatewayAddress, IpAddress
    from mesh_py.model.workload import Workload


def missing_for_outbound(state: MeshState, source: Workload, destination: IpAddress) -> tuple[str, ...]:
    """Names without which `resolve` would take a connection of `source` for one to a stranger, or refuse it."""
    found = state.find_address(state.network, destination, source.namespace)
    return tuple(dict.fromkeys((*_missing_address(state, destination, found), *_missing_behind(state, found))))


def missing_destination(state: MeshState, source: Workload, destination: IpAddress) -> str | None:
    """The destination's own name, where `resolve` would take it for a stranger; None where it is known."""
    found = state.find_address(state.network, destination, source.namespace)
    return next(iter(_missing_address(state, destination, found)), None)


def missing_caller(state: MeshState, source: IpAddress) -> tuple[str, ...]:
    """Names that tell who calls. Telemetry asks, nothing waits: identity comes from TLS."""
    return tuple(_missing_address(state, source, state.find_address(state.network, source)))


def missing_for_inbound(
    state: MeshState, local: IpAddress, workload: Workload, authority: Authority
) -> tuple[str, ...]:
    """Names that tell whether what a tunnel asks for is `workload`'s to serve."""
    names: list[str] = []
    if isinstance(authority, HostPort):
        if state.services.named(authority.hostname, workload.namespace) is None:
            names.append(str(NamespacedHostname(_namespace_in(authority.hostname, workload), authority.hostname)))
    elif authority[0] != local:
        found = state.find_address(state.network, authority[0])
        names += _missing_address(state, authority[0], found)
        names += _missing_behind(state, found)
    return tuple(dict.fromkeys(names))


def _missing_address(state: MeshState, ip: IpAddress, found: object) -> Iterator[str]:
    if found is None:
        yield f"{state.network}/{ip}"


def _missing_behind(state: MeshState, found: Workload | ServiceRecord | None) -> Iterator[str]:
    """Waypoints, gateways and endpoints that `found` refers to."""
    for gateway in _gateways_of(state, found):
        if state.find_destination(gateway.destination) is None:
            yield str(gateway.destination)
    if isinstance(found, ServiceRecord):
        yield from (uid for uid in found.service.endpoints if uid not in state.workloads.by_uid)


def _gateways_of(state: MeshState, found: Workload | ServiceRecord | None) -> Iterator[GatewayAddress]:
    if isinstance(found, ServiceRecord):
        service = found.service
        yield from (waypoint.destination for waypoint in service.weighted_waypoints)
        if service.waypoint is not None:
            yield service.waypoint
        for uid in found.endpoints:
            yield from _network_gateway(state.workloads.by_uid.get(uid))
    elif found is not None:
        if found.waypoint is not None:
            yield found.waypoint
        yield from _network_gateway(found)


def _network_gateway(workload: Workload | None) -> Iterator[GatewayAddress]:
    if workload is not None and workload.network_gateway is not None:
        yield workload.network_gateway


def _namespace_in(hostname: str, workload: Workload) -> str:
    """Where a service of that name is: Kubernetes says so in the name; else where the workload is."""
    parts = hostname.split(".")
    return parts[1] if parts[2:3] == ["svc"] else workload.namespace
