"""Where a tunnel that reaches a workload may go, and which service it was meant for (hbone-dataplane 3) [pure].

Whatever the authority says, only the workload's own address is ever dialled; the authority decides the port.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from mesh_py.discovery.record import ServiceRecord
from mesh_py.model.address import HostPort, IpAddress, SocketAddress, is_ipv6
from mesh_py.model.errors import (
    BadAuthority,
    IpMismatch,
    NoHostname,
    NoIpForService,
    NoPortForService,
    SelfCall,
)
from mesh_py.model.workload import NO_PORTS, TunnelProtocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from mesh_py.discovery.state import MeshState
    from mesh_py.model.address import GatewayAddress
    from mesh_py.model.workload import Ports, Service, Workload

Authority = SocketAddress | HostPort


class InboundUpstream(NamedTuple):
    """What to connect to for an accepted tunnel."""

    address: SocketAddress
    """The workload's own address and the final port, which is also what policy looks at."""
    services: tuple[Service, ...]
    """The services it may have been meant for; `guess_service` picks one."""
    proxy_destination: SocketAddress | None = None
    """What a PROXY header in front of the payload names as destination; None if none is wanted."""


@lru_cache(maxsize=4096)
def parse_authority(text: str) -> Authority:
    """Read the authority of a CONNECT: `ip:port`, `[ip6]:port`, else `hostname:port`.

    An IPv4-mapped address stays as it is, and so equals no address of a workload (1.4).

    Raises:
        BadAuthority: it is neither.
    """
    host, colon, port_text = text.rpartition(":")
    if not colon or not host or not (port_text.isascii() and port_text.isdigit()) or int(port_text) > 65535:
        raise BadAuthority(text)
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        if bracketed or ":" in host or "@" in host or "/" in host:
            raise BadAuthority(text) from None
        return HostPort(host, int(port_text))
    if bracketed is not (address.version == 6):
        raise BadAuthority(text)
    return IpAddress(str(address)), int(port_text)


def validate_destination(state: MeshState, local_ip: IpAddress, workload: Workload, authority: Authority) -> None:
    """Refuse a tunnel for an address that the workload does not serve (3.3).

    It serves its own, everything if it has an application tunnel, and whatever it is the waypoint of. A service's
    waypoint is not that of the pods behind it, nor the other way round. Names are judged later. Unlike ztunnel,
    which looks at a service's single waypoint only, each of its weighted ones is accepted.

    Raises:
        IpMismatch: none of these.
    """
    if isinstance(authority, HostPort) or authority[0] == local_ip or workload.application_tunnel is not None:
        return
    for waypoint in _waypoints_of(state, authority[0]):
        found = state.find_destination(waypoint.destination)
        if isinstance(found, ServiceRecord):
            if workload.uid in found.endpoints:
                return
        elif found is not None and local_ip in found.workload_ips:
            return
    raise IpMismatch(local_ip, authority[0])


def _waypoints_of(state: MeshState, ip: IpAddress) -> Iterator[GatewayAddress]:
    found = state.find_address(state.network, ip)
    target = found.service if isinstance(found, ServiceRecord) else found
    if target is not None and target.waypoint is not None:
        yield target.waypoint
    if isinstance(found, ServiceRecord):
        yield from (waypoint.destination for waypoint in found.service.weighted_waypoints)


def find_inbound_upstream(
    state: MeshState,
    local_ip: IpAddress,
    workload: Workload,
    authority: Authority,
    illegal_ports: Collection[int],
) -> InboundUpstream:
    """The port to dial for an authority, after names, named ports and application tunnels (3.4).

    Args:
        local_ip: the address the connection came in on, the only one that is dialled.
        illegal_ports: the proxy's own ports.

    Raises:
        NoHostname, NoPortForService: the name or its port leads nowhere.
        NoIpForService: a PROXY header is wanted, and the service has no address to put into it.
        SelfCall: the port is one of the proxy's own.
    """
    if isinstance(authority, HostPort):
        record = _service_named(state, workload, authority)
        port = _port_behind(record, workload, authority)
        services: tuple[Service, ...] = (record.service,)
    else:
        record = None
        port = authority[1]
        services = tuple(found.service for found in state.services_of(workload))
    if port in illegal_ports:
        raise SelfCall
    tunnel = workload.application_tunnel
    if tunnel is None:
        return InboundUpstream((local_ip, port), services)
    proxied = None
    if tunnel.protocol is TunnelProtocol.PROXY:
        proxied = _proxy_destination(state, record, authority)
    final = port if tunnel.port is None else tunnel.port
    return InboundUpstream((local_ip, final), services, proxied)


def guess_service(
    services: Sequence[Service], workload: Workload, port: int, forwarded_host: str | None = None
) -> Service | None:
    """The service a connection was meant for: the one named by `forwarded`, else the first leading to the port.

    The header picks among the candidates and cannot invent one (7.4).
    """
    for service in services if forwarded_host else ():
        if service.hostname == forwarded_host:
            return service
    for service in services:
        if port in service.ports.values() or port in _own_ports(service, workload).values():
            return service
    return None


def _service_named(state: MeshState, workload: Workload, authority: HostPort) -> ServiceRecord:
    record = state.services.named(authority.hostname, workload.namespace)
    if record is None:
        raise NoHostname(authority.hostname)
    return record


def _port_behind(record: ServiceRecord, workload: Workload, authority: HostPort) -> int:
    port = _own_ports(record.service, workload).get(authority.port) or record.service.ports.get(authority.port)
    if not port:
        raise NoPortForService(authority.hostname, authority.port)
    return port


def _own_ports(service: Service, workload: Workload) -> Ports:
    """The ports on which the workload itself serves the service, whether it is healthy or not."""
    own = workload.services.get(service.key)
    if own is not None:
        return own
    endpoint = service.endpoints.get(workload.uid)
    return NO_PORTS if endpoint is None else endpoint.ports


def _proxy_destination(state: MeshState, record: ServiceRecord | None, authority: Authority) -> SocketAddress:
    """What the client asked for, as an address: a service's own, of our network and IPv4 if there is such (3.5)."""
    if not isinstance(authority, HostPort):
        return authority
    vips = record.service.vips if record is not None else ()
    if not vips:
        raise NoIpForService(authority.hostname)
    nearest = min(vips, key=lambda vip: (vip.network != state.network, is_ipv6(vip.ip)))
    return nearest.ip, authority.port
