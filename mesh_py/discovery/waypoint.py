"""Waypoints and network gateways: what a reference to one leads to (hbone-dataplane 2.2, 2.3) [pure]."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from mesh_py.discovery.load_balance import Resolution, Upstream, choose_endpoint, weighted_index
from mesh_py.discovery.record import ServiceRecord
from mesh_py.model.address import NetworkAddress
from mesh_py.model.errors import UnknownNetworkGateway, UnknownWaypoint

if TYPE_CHECKING:
    from mesh_py.discovery.state import MeshState
    from mesh_py.model.address import GatewayAddress, IpAddress
    from mesh_py.model.route import Random
    from mesh_py.model.workload import Service, Workload


def find_upstream(
    state: MeshState,
    source: Workload,
    network: str,
    ip: IpAddress,
    port: int,
    resolution: Resolution,
    random: Random,
) -> Upstream | None:
    """Where an address leads: an endpoint of the service there, else the workload there (2.2).

    None for an unknown address, for a service nobody serves on that port, and for a passthrough service.
    """
    record = state.services.at(network, ip, source.namespace)
    if record is not None:
        return upstream_of_service(state, source, record, port, resolution, random)
    workload = state.workloads.at(network, ip)
    return None if workload is None else upstream_of(workload, port)


def upstream_of_service(
    state: MeshState,
    source: Workload,
    record: ServiceRecord,
    port: int,
    resolution: Resolution,
    random: Random,
) -> Upstream | None:
    """An endpoint of the service; None if nobody serves the port, and for a passthrough service."""
    if record.service.is_passthrough:
        return None
    return choose_endpoint(record, state.workloads.by_uid, source, port, resolution, random)


def upstream_of(workload: Workload, port: int) -> Upstream:
    """A workload addressed by itself."""
    return Upstream(workload, port, None, (workload.identity,))


def pick_waypoint(service: Service, random: Random) -> GatewayAddress | None:
    """The waypoint for one connection to a service: one of the weighted ones, else the single one."""
    if service.weighted_waypoints:
        sums = tuple(accumulate(waypoint.weight for waypoint in service.weighted_waypoints))
        index = weighted_index(sums, random)
        if index is not None:
            return service.weighted_waypoints[index].destination
    return service.waypoint


def find_waypoint(state: MeshState, source: Workload, gateway: GatewayAddress, random: Random) -> Upstream:
    """A workload that serves as the waypoint. Raises UnknownWaypoint: there is no going around one."""
    found = _find_gateway(state, source, gateway, Resolution.WAYPOINT, random)
    if found is None:
        raise UnknownWaypoint(_describe(gateway))
    return found


def find_network_gateway(state: MeshState, source: Workload, gateway: GatewayAddress, random: Random) -> Upstream:
    """A workload that serves as the gateway. Raises UnknownNetworkGateway."""
    found = _find_gateway(state, source, gateway, Resolution.STANDARD, random)
    if found is None:
        raise UnknownNetworkGateway(_describe(gateway))
    return found


def _find_gateway(
    state: MeshState, source: Workload, gateway: GatewayAddress, resolution: Resolution, random: Random
) -> Upstream | None:
    destination, port = gateway
    if isinstance(destination, NetworkAddress):
        return find_upstream(state, source, destination.network, destination.ip, port, resolution, random)
    found = state.find_hostname(destination)
    if isinstance(found, ServiceRecord):
        return choose_endpoint(found, state.workloads.by_uid, source, port, resolution, random)
    return None if found is None else upstream_of(found, port)


def is_waypoint_of(state: MeshState, source: Workload, downstream_ip: IpAddress, workload: Workload) -> bool:
    """Whether a connection comes from (one of) the workload's own waypoints: its identity from its address."""
    if workload.waypoint is None:
        return False
    found = state.find_destination(workload.waypoint.destination)
    if isinstance(found, ServiceRecord):
        by_uid = state.workloads.by_uid
        candidates = [by_uid[uid] for uid in found.endpoints if uid in by_uid]
    else:
        candidates = [found] if found is not None else []
    return any(w.identity == source.identity and downstream_ip in w.workload_ips for w in candidates)


def _describe(gateway: GatewayAddress) -> str:
    if isinstance(gateway.destination, NetworkAddress):
        return f"{gateway.destination}:{gateway.hbone_mtls_port}"
    return gateway.destination.hostname
