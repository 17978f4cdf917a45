"""A mesh moved onto loopback: every address of it replaced, everything else as it was [pure].

Everything becomes IPv4, for a machine has one IPv6 loopback address only; which families a service is offered on is
forgotten with that, and so are its blocks of IPv6 addresses.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mesh_py.discovery.loopback_map import image_of
from mesh_py.model.address import GatewayAddress, NetworkAddress, NetworkCidr, is_ipv6

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesh_py.discovery.local_file import LocalConfig
    from mesh_py.discovery.loopback_map import LoopbackMap
    from mesh_py.model.authorization import Match, Policy
    from mesh_py.model.workload import Service, Workload

_BLOCKS = ("source_ips", "not_source_ips", "destination_ips", "not_destination_ips")


def home_network(config: LocalConfig) -> str:
    """The network that most workloads are in."""
    networks = Counter(workload.network for workload in config.workloads)
    return networks.most_common(1)[0][0] if networks else ""


def with_addresses(config: LocalConfig) -> LocalConfig:
    """The same mesh, but that a workload known by a host name only has an address, from 198.18.0.0/16.

    Those addresses are for tests of network devices (RFC 2544): no cluster has them.
    """
    named = sorted(w.uid for w in config.workloads if w.hostname and not w.workload_ips)
    numbers = {uid: number for number, uid in enumerate(named, 1)}

    def addressed(workload: Workload) -> Workload:
        number = numbers.get(workload.uid)
        if number is None:
            return workload
        ip = NetworkAddress.parse(f"/198.18.{number >> 8}.{number & 255}").ip
        return replace(workload, workload_ips=(ip,))

    return replace(config, workloads=tuple(map(addressed, config.workloads)))


def addresses_of(config: LocalConfig) -> Iterator[NetworkAddress]:
    """Every address that the mesh names: of workloads, services, waypoints and gateways."""
    for workload in config.workloads:
        yield from (NetworkAddress(workload.network, ip) for ip in workload.workload_ips)
        yield from _addresses_in(workload.waypoint, workload.network_gateway)
    for service in config.services:
        yield from service.vips
        yield from (NetworkAddress(b.network, b.cidr.ip) for b in service.cidr_vips if b.cidr.is_host)
        yield from _addresses_in(service.waypoint, *(weighted.destination for weighted in service.weighted_waypoints))


def remapped(config: LocalConfig, loopback: LoopbackMap) -> LocalConfig:
    """The mesh on its places; new addresses get places first."""
    config = with_addresses(config)
    loopback.assign(addresses_of(config))
    return replace(
        config,
        workloads=tuple(_workload(workload, loopback) for workload in config.workloads),
        services=tuple(_service(service, loopback) for service in config.services),
        policies=tuple(_policy(policy, loopback) for policy in config.policies),
    )


def _addresses_in(*gateways: GatewayAddress | None) -> Iterator[NetworkAddress]:
    for gateway in gateways:
        if gateway is not None and isinstance(gateway.destination, NetworkAddress):
            yield gateway.destination


def _workload(workload: Workload, loopback: LoopbackMap) -> Workload:
    places = (loopback.place(NetworkAddress(workload.network, ip)) for ip in workload.workload_ips)
    return replace(
        workload,
        workload_ips=tuple(places),
        waypoint=_gateway(workload.waypoint, loopback),
        network_gateway=_gateway(workload.network_gateway, loopback),
    )


def _service(service: Service, loopback: LoopbackMap) -> Service:
    weighted = (found._replace(destination=_moved(found.destination, loopback)) for found in service.weighted_waypoints)
    return replace(
        service,
        vips=tuple(NetworkAddress(vip.network, loopback.place(vip)) for vip in service.vips),
        cidr_vips=tuple(_block(block, loopback) for block in service.cidr_vips if _has_image(block)),
        waypoint=_gateway(service.waypoint, loopback),
        weighted_waypoints=tuple(weighted),
        ip_families=None,
    )


def _has_image(block: NetworkCidr) -> bool:
    return block.cidr.is_host or not is_ipv6(block.cidr.ip)


def _block(block: NetworkCidr, loopback: LoopbackMap) -> NetworkCidr:
    if not block.cidr.is_host:
        return block._replace(cidr=image_of(block.cidr))
    place = loopback.place(NetworkAddress(block.network, block.cidr.ip))
    return block._replace(cidr=type(block.cidr)(place, 32))


def _gateway(gateway: GatewayAddress | None, loopback: LoopbackMap) -> GatewayAddress | None:
    return None if gateway is None else _moved(gateway, loopback)


def _moved(gateway: GatewayAddress, loopback: LoopbackMap) -> GatewayAddress:
    destination = gateway.destination
    if not isinstance(destination, NetworkAddress):
        return gateway
    return gateway._replace(destination=NetworkAddress(destination.network, loopback.place(destination)))


def _policy(policy: Policy, loopback: LoopbackMap) -> Policy:
    rules = tuple(tuple(tuple(_match(m, loopback) for m in clause) for clause in rule) for rule in policy.rules)
    return replace(policy, rules=rules)


def _match(match: Match, loopback: LoopbackMap) -> Match:
    moved: dict[str, Any] = {}
    for name in _BLOCKS:
        blocks = getattr(match, name)
        if blocks:  # an empty list would be no condition: a block always leaves at least one
            moved[name] = tuple(dict.fromkeys(found for block in blocks for found in loopback.blocks(block)))
    return replace(match, **moved) if moved else match
