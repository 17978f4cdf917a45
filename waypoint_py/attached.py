"""What a tunnel asks for, among what is attached to this waypoint [pure].

A service is attached by its waypoint, a workload by its own (hbone-controlplane 9.5). The authority is a service's
`VIP:port` or `host:port`, or a pod's `ip:port`. A pod that is not attached by itself stands for its attached service:
that is how sidecars of the post ask, which choose the pod themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hbone_py.address import format_address
from mesh_py.discovery.inbound import parse_authority
from mesh_py.discovery.record import ServiceRecord
from mesh_py.model.address import HostPort, IpAddress
from mesh_py.model.errors import MeshError
from mesh_py.proxy.directory import Destination

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesh_py.discovery.state import MeshState
    from mesh_py.model.address import GatewayAddress, SocketAddress
    from mesh_py.model.workload import Ports, Service, Workload


class NotAttached(MeshError):
    """A tunnel to what this waypoint does not serve."""

    status = 404
    blame = "peer"

    def __init__(self, authority: str) -> None:
        super().__init__(f"{authority} is nothing this waypoint serves: attach it by the label istio.io/use-waypoint")


@dataclass(frozen=True, slots=True)
class Target:
    """What one tunnel is for."""

    meant: Destination
    """A port of a service, or a workload by its own address."""
    pod: Destination | None = None
    """The pod that the client has chosen among the service's: it serves where no route says otherwise."""
    name: str = field(init=False, compare=False)
    """`namespace/hostname` of the service; empty where it is none."""

    @property
    def address(self) -> SocketAddress:
        """Address and port as policies see them: the service's own port."""
        return self.meant.address

    def __post_init__(self) -> None:
        record = self.meant.record
        object.__setattr__(self, "name", "" if record is None else str(record.service.key))


def find_target(state: MeshState, own: Workload, text: str) -> Target:
    """What an authority means to the waypoint `own`.

    Raises:
        BadAuthority: it is none.
        NotAttached: nobody has it, it has another waypoint or none, or the service has no such port.
    """
    authority = parse_authority(text)
    if isinstance(authority, HostPort):
        found = _service_named(state, own, authority)
    else:
        found = _service_at(state, own, authority) or _workload_at(state, own, authority)
    if found is None:
        raise NotAttached(text)
    return found


def is_attached(state: MeshState, own: Workload, waypoint: GatewayAddress | None) -> bool:
    """Whether a waypoint's address is that of `own`, alone or behind a service."""
    if waypoint is None:
        return False
    found = state.find_destination(waypoint.destination)
    if isinstance(found, ServiceRecord):
        return own.uid in found.endpoints
    return found is not None and found.uid == own.uid


def serves(state: MeshState, own: Workload, service: Service) -> bool:
    """Whether a service is attached to the waypoint `own`."""
    every = (service.waypoint, *(one.destination for one in service.weighted_waypoints))
    return any(is_attached(state, own, waypoint) for waypoint in every)


def _service_named(state: MeshState, own: Workload, authority: HostPort) -> Target | None:
    for record in state.services.all_named(authority.hostname):
        if authority.port in record.service.ports and serves(state, own, record.service):
            vips = record.service.vips
            ip = vips[0].ip if vips else IpAddress("0.0.0.0")
            return Target(Destination((ip, authority.port), record))
    return None


def _service_at(state: MeshState, own: Workload, address: SocketAddress) -> Target | None:
    record = state.services.at(state.network, address[0], own.namespace)
    if record is None or address[1] not in record.service.ports or not serves(state, own, record.service):
        return None
    return Target(Destination(address, record))


def _workload_at(state: MeshState, own: Workload, address: SocketAddress) -> Target | None:
    workload = state.workloads.at(state.network, address[0])
    if workload is None:
        return None
    pod = Destination(address, None, workload)
    if is_attached(state, own, workload.waypoint):
        return Target(pod)
    for record, port in _services_of(state, own, workload, address[1]):
        vips = record.service.vips
        return Target(Destination((vips[0].ip if vips else address[0], port), record), pod)
    return None


def _services_of(state: MeshState, own: Workload, workload: Workload, port: int) -> Iterator[tuple[ServiceRecord, int]]:
    """The attached services that lead to a port of a pod, each with its own port."""
    for record in state.services_of(workload):
        if serves(state, own, record.service):
            for service_port, target in _targets(record.service, workload).items():
                if target == port:
                    yield record, service_port


def _targets(service: Service, workload: Workload) -> Ports:
    """Target ports by service port: the pod's own word, else the service's."""
    return {**service.ports, **workload.services.get(service.key, {})}


def describe(target: Target) -> str:
    """For logs: the address that was asked for."""
    return format_address(*target.address)
