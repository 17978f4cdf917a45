"""resolve(): where a captured connection goes, as one pure decision (hbone-dataplane 2.2 to 2.6).

Read top down, it is the tree of section 2.2: a service's waypoint, then the upstream, then another network's
gateway, then a workload's waypoint, then the workload itself. Nothing that the mesh knows ever falls back to
another way: a waypoint or an endpoint that cannot be found fails the connection.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hbone_py.address import format_address
from mesh_py.discovery.load_balance import Resolution, Upstream
from mesh_py.discovery.record import ServiceRecord
from mesh_py.discovery.waypoint import (
    find_network_gateway,
    find_upstream,
    find_waypoint,
    is_waypoint_of,
    pick_waypoint,
    upstream_of_service,
)
from mesh_py.model.address import IpAddress, NetworkAddress, SocketAddress, is_ipv6
from mesh_py.model.errors import NoHealthyUpstream, NoRoutingDestination, NoService
from mesh_py.model.route import ByName, Direct, NestedTunnel, Tunnel
from mesh_py.model.workload import Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh_py.discovery.state import MeshState
    from mesh_py.model.address import GatewayAddress
    from mesh_py.model.route import Random, Route
    from mesh_py.model.workload import Service, Workload

HBONE_PORT = 15008


def resolve(
    state: MeshState,
    source: Workload,
    downstream_ip: IpAddress,
    destination: SocketAddress,
    *,
    random: Random,
) -> Route:
    """Decide where a connection of `source` to `destination` goes.

    Args:
        downstream_ip: the address the connection came from; only a waypoint's is looked at.
        destination: where the application meant to go, before any redirection.
        random: chance, for weighted choices.

    Raises:
        RouteError: the destination is known, and there is no way to it.
    """
    ip, port = destination
    found = state.find_address(state.network, ip, source.namespace)
    asked = found if isinstance(found, ServiceRecord) else None
    if asked is not None:
        waypoint = pick_waypoint(asked.service, random)
        if waypoint is not None:
            return _to_service_waypoint(state, source, waypoint, asked.service, destination, random)
    upstream = _find_upstream(state, source, destination, asked, random)
    if upstream is None:
        return _without_upstream(asked, destination)
    workload = upstream.workload
    if workload.network != source.network:
        if asked is None:
            raise NoService(format_address(ip, port))
        return _through_gateway(state, source, upstream, asked.service, destination, random)
    if asked is None and workload.waypoint is not None and not is_waypoint_of(state, source, downstream_ip, workload):
        return _to_waypoint(state, source, workload.waypoint, None, destination, random)
    return _to_workload(upstream, destination)


def _find_upstream(
    state: MeshState,
    source: Workload,
    destination: SocketAddress,
    asked: ServiceRecord | None,
    random: Random,
) -> Upstream | None:
    ip, port = destination
    if asked is not None and source.network == state.network:
        return upstream_of_service(state, source, asked, port, Resolution.STANDARD, random)
    return find_upstream(state, source, source.network, ip, port, Resolution.STANDARD, random)


def _without_upstream(asked: ServiceRecord | None, destination: SocketAddress) -> Direct:
    if asked is not None and not asked.service.is_passthrough:
        raise NoHealthyUpstream(format_address(*destination))
    return Direct(destination)


def _to_service_waypoint(
    state: MeshState,
    source: Workload,
    gateway: GatewayAddress,
    service: Service,
    destination: SocketAddress,
    random: Random,
) -> Route:
    waypoint = find_waypoint(state, source, gateway, random)
    if waypoint.workload.network != source.network:
        return _through_gateway(state, source, waypoint, service, destination, random)
    return _tunnel_to(waypoint, gateway, service, destination)


def _to_waypoint(
    state: MeshState,
    source: Workload,
    gateway: GatewayAddress,
    service: Service | None,
    destination: SocketAddress,
    random: Random,
) -> Route:
    return _tunnel_to(find_waypoint(state, source, gateway, random), gateway, service, destination)


def _tunnel_to(
    waypoint: Upstream, gateway: GatewayAddress, service: Service | None, destination: SocketAddress
) -> Route:
    """A tunnel to a waypoint that asks for what the application asked for, untranslated."""
    authority = format_address(*destination)

    def at(ip: IpAddress) -> Tunnel:
        return Tunnel((ip, waypoint.port), authority, waypoint.expect, waypoint.workload, service)

    return _with_address(waypoint, _wanted_ip(gateway, destination), at)


def _through_gateway(
    state: MeshState,
    source: Workload,
    upstream: Upstream,
    service: Service,
    destination: SocketAddress,
    random: Random,
) -> Route:
    """A tunnel in a tunnel through the gateway of the upstream's network; both ask for the service by name."""
    reference = upstream.workload.network_gateway
    if reference is None:
        raise NoRoutingDestination(upstream.workload.uid)
    gateway = find_network_gateway(state, source, reference, random)
    authority = format_address(service.hostname, destination[1])
    inner = upstream.service.identities if upstream.service is not None else ()

    def at(ip: IpAddress) -> NestedTunnel:
        return NestedTunnel((ip, gateway.port), authority, gateway.expect, inner, gateway.workload, service)

    return _with_address(gateway, _wanted_ip(reference, destination), at)


def _to_workload(upstream: Upstream, destination: SocketAddress) -> Route:
    wanted = destination[0]
    if wanted in upstream.workload.workload_ips:
        return _make_route_to(upstream, wanted)
    v6 = is_ipv6(wanted)
    route = upstream.routes.get(v6)
    if route is None:
        route = upstream.routes[v6] = _make_route_to(upstream, wanted)
    return route


def _make_route_to(upstream: Upstream, wanted: IpAddress) -> Route:
    at = _hbone_at if upstream.workload.protocol is Protocol.HBONE else _tcp_at
    return _with_address(upstream, wanted, partial(at, upstream))


def _hbone_at(upstream: Upstream, ip: IpAddress) -> Tunnel:
    authority = format_address(ip, upstream.port)
    return Tunnel((ip, HBONE_PORT), authority, upstream.expect, upstream.workload, upstream.service)


def _tcp_at(upstream: Upstream, ip: IpAddress) -> Direct:
    return Direct((ip, upstream.port), upstream.workload, upstream.service)


def _wanted_ip(gateway: GatewayAddress, destination: SocketAddress) -> IpAddress:
    """The address whose family (or very self) is preferred: a gateway named by address keeps to that (2.3)."""
    if isinstance(gateway.destination, NetworkAddress):
        return gateway.destination.ip
    return destination[0]


def _with_address(
    upstream: Upstream, wanted: IpAddress, at: Callable[[IpAddress], Direct | Tunnel | NestedTunnel]
) -> Route:
    """Pick the workload's address (2.5); one that is known by name only makes the caller look it up."""
    workload = upstream.workload
    if wanted in workload.workload_ips:
        return at(wanted)
    ip = _best_address(workload, upstream.service, wanted)
    if ip is not None:
        return at(ip)
    if workload.hostname:
        return ByName(workload.hostname, is_ipv6(wanted), workload, at)
    raise NoRoutingDestination(workload.uid)


def _best_address(workload: Workload, service: Service | None, wanted: IpAddress) -> IpAddress | None:
    families = service.ip_families if service is not None else None
    allowed = [ip for ip in workload.workload_ips if families is None or families.accepts(ip)]
    v6 = is_ipv6(wanted)
    return next((ip for ip in allowed if is_ipv6(ip) is v6), allowed[0] if allowed else None)
