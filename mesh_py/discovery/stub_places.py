"""Where stand-ins for a mesh's applications must listen, so that whatever the mesh routes is answered [pure].

A workload answers on the target ports of the services it serves. A waypoint answers on the ports of all it is the
waypoint of, in its own name: what comes through it shows that it came that way.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from mesh_py.discovery.record import ServiceRecord
from mesh_py.discovery.state import MeshState
from mesh_py.model.workload import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mesh_py.discovery.local_file import LocalConfig
    from mesh_py.model.address import GatewayAddress, IpAddress
    from mesh_py.model.workload import Service, Workload

HBONE_PORT = 15008
"""A proxy's, never an application's."""


class Place(NamedTuple):
    """One workload's stand-in."""

    uid: str
    namespace: str
    name: str
    ips: tuple[IpAddress, ...]
    ports: tuple[int, ...]
    """Sorted; none for a workload that serves nothing."""


class Trial(NamedTuple):
    """A connection worth trying first: through a tunnel if the mesh has any, from one workload to another."""

    client: str
    """`namespace/name` of the workload that connects."""
    hostname: str
    port: int


def trial(config: LocalConfig, network: str) -> Trial | None:
    """The first thing to try in a mesh; None where nobody could reach anybody."""
    state = MeshState(network)
    state.replace(config.workloads, config.services, config.policies)
    ours = sorted((w for w in config.workloads if w.network == network and w.workload_ips), key=_tunnels_first)
    for server in ours:
        for record in state.services_of(server):
            ports = [port for port in record.service.ports if port != HBONE_PORT]
            client = next((w for w in ours if w.uid not in record.endpoints), None)
            if client is not None and ports and _has_a_name(record.service, network):
                return Trial(f"{client.namespace}/{client.name}", record.service.hostname, min(ports))
    return None


def _tunnels_first(workload: Workload) -> tuple[bool, bool, str]:
    return workload.protocol is not Protocol.HBONE, bool(workload.authorization_policies), workload.uid


def _has_a_name(service: Service, network: str) -> bool:
    return not service.hostname.startswith("*") and any(vip.network == network for vip in service.vips)


def places(config: LocalConfig, network: str) -> list[Place]:
    """The places of all workloads, in the order of their uids."""
    state = MeshState(network)
    state.replace(config.workloads, config.services, config.policies)
    ports: dict[str, set[int]] = defaultdict(set)
    for workload in config.workloads:
        ports[workload.uid].update(_target_ports(state, workload))
    _add_waypoints(state, config, ports)
    return [
        Place(w.uid, w.namespace, w.name, w.workload_ips, tuple(sorted(ports[w.uid] - {HBONE_PORT, 0})))
        for w in sorted(config.workloads, key=lambda workload: workload.uid)
    ]


def _target_ports(state: MeshState, workload: Workload) -> Iterator[int]:
    tunnel = workload.application_tunnel
    if tunnel is not None and tunnel.port is not None:
        yield tunnel.port
        return
    for key, own in workload.services.items():
        yield from own.values()
        record = state.services.by_key.get(key)
        if record is not None:
            yield from (target for port, target in record.service.ports.items() if port not in own)
    for key in state.services.naming(workload.uid):
        service = state.services.by_key[key].service
        own = service.endpoints[workload.uid].ports
        yield from (own.get(port, target) for port, target in service.ports.items())


def _add_waypoints(state: MeshState, config: LocalConfig, ports: dict[str, set[int]]) -> None:
    """A service's waypoint is asked for the service's own ports, a workload's for its target ports."""
    for service in config.services:
        for gateway in _waypoints(service):
            for uid in _workloads_behind(state, gateway):
                ports[uid].update(service.ports)
    for workload in config.workloads:
        if workload.waypoint is not None:
            for uid in _workloads_behind(state, workload.waypoint):
                ports[uid].update(ports[workload.uid])


def _waypoints(service: Service) -> Iterable[GatewayAddress]:
    single = () if service.waypoint is None else (service.waypoint,)
    return *single, *(weighted.destination for weighted in service.weighted_waypoints)


def _workloads_behind(state: MeshState, gateway: GatewayAddress) -> list[str]:
    found = state.find_destination(gateway.destination)
    if isinstance(found, ServiceRecord):
        return list(found.endpoints)
    return [] if found is None else [found.uid]
