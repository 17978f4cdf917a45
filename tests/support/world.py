"""Meshes in a few words, for tests: builders with defaults, and routes written as one line."""

from __future__ import annotations

from typing import Any

from hbone_py.address import format_address
from mesh_py.discovery.state import MeshState
from mesh_py.model.address import (
    Cidr,
    GatewayAddress,
    IpAddress,
    NamespacedHostname,
    NetworkAddress,
    NetworkCidr,
    SocketAddress,
    parse_ip,
)
from mesh_py.model.authorization import Policy
from mesh_py.model.route import ByName, Direct, NestedTunnel, Route, Tunnel
from mesh_py.model.workload import Endpoint, Protocol, Service, Workload

MeshObject = Workload | Service | Policy


def workload(name: str, *ips: str, services: dict[str, dict[int, int]] | None = None, **fields: Any) -> Workload:
    """A pod on HBONE in namespace `default`; `services` by `namespace/hostname`."""
    served = {NamespacedHostname.parse(key): ports for key, ports in (services or {}).items()}
    given: dict[str, Any] = {
        "uid": f"cluster//Pod/default/{name}",
        "name": name,
        "namespace": "default",
        "service_account": name,
        "trust_domain": "cluster.local",
        "protocol": Protocol.HBONE,
        "node": "node-a",
        "workload_ips": tuple(parse_ip(ip) for ip in ips),
        "services": served,
    }
    return Workload(**(given | fields))


def service(hostname: str, *vips: str, **fields: Any) -> Service:
    """A service in namespace `default` with port 80 to 8080; virtual IPs as `network/ip` or `ip`, blocks too."""
    addresses = [vip if "/" in vip else f"/{vip}" for vip in vips]
    given: dict[str, Any] = {
        "name": hostname.partition(".")[0],
        "namespace": "default",
        "hostname": hostname,
        "vips": tuple(NetworkAddress.parse(vip) for vip in addresses),
        "ports": {80: 8080},
    }
    return Service(**(given | fields))


def block(text: str, network: str = "") -> NetworkCidr:
    """A block of virtual addresses."""
    return NetworkCidr(network, Cidr.parse(text))


def gateway(destination: str, port: int = 15008) -> GatewayAddress:
    """A waypoint or network gateway: `network/ip` or `namespace/hostname`."""
    return GatewayAddress(GatewayAddress.parse_destination(destination), port)


def endpoint(uid: str, ports: dict[int, int] | None = None) -> Endpoint:
    """An endpoint that a service names by itself."""
    return Endpoint(uid, ports or {})


def mesh(*objects: MeshObject, network: str = "", node: str | None = None) -> MeshState:
    """A state that was told of these, in this order."""
    state = MeshState(network, node)
    for thing in objects:
        if isinstance(thing, Workload):
            state.upsert_workload(thing)
        elif isinstance(thing, Service):
            state.upsert_service(thing)
        else:
            state.upsert_policy(thing)
    return state


def address(text: str) -> SocketAddress:
    """`ip:port`, brackets around IPv6."""
    ip, _, port = text.rpartition(":")
    return parse_ip(ip.strip("[]")), int(port)


def ip(text: str) -> IpAddress:
    """An IP address."""
    return parse_ip(text)


def one_line(route: Route) -> str:
    """A route as a line: how, where to, who is expected, whose workload it is, for which service."""
    match route:
        case Direct():
            way = f"tcp to {format_address(*route.next_hop)}"
        case Tunnel():
            way = f"{route.authority} via {format_address(*route.next_hop)} to {_names(route.expect)}"
        case NestedTunnel():
            outer, inner = _names(route.outer_expect), _names(route.inner_expect)
            way = f"{route.authority} through {format_address(*route.next_hop)} of {outer} to {inner}"
        case ByName():
            family = "IPv6" if route.ipv6 else "IPv4"
            return f"look up {route.hostname}, {family} first; workload {route.workload.name}"
    who = route.workload.name if route.workload else "unknown"
    what = f"; service {route.service.hostname}" if route.service else ""
    return f"{way}; workload {who}{what}"


def _names(identities: tuple[object, ...]) -> str:
    return ", ".join(str(identity).rpartition("/")[2] for identity in identities) or "nobody"
