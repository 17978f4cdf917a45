"""From the control plane's bytes to the model (hbone-controlplane 1.2, 1.3, 4.5) [no I/O].

Rules of the real proxy are kept: what an empty field means, what rejects a resource, what is let pass. Numbers that
stand for ports are cut to 16 bits. Texts that many resources share are kept once.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import DecodeError, Message

from mesh_py.model.address import (
    Cidr,
    GatewayAddress,
    IpAddress,
    NamespacedHostname,
    NetworkAddress,
    NetworkCidr,
    ip_from_packed,
    is_ipv6,
)
from mesh_py.model.authorization import Match, Policy, ServiceAccountMatch, StringMatch
from mesh_py.model.workload import (
    NOWHERE,
    ApplicationTunnel,
    AppProtocol,
    LoadBalancer,
    Locality,
    Service,
    Visibility,
    WeightedWaypoint,
    Workload,
)
from mesh_py.xds import wire_values
from mesh_py.xds.proto import authorization_pb2, workload_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MessageT = TypeVar("MessageT", bound=Message)
NumberT = TypeVar("NumberT", bound=int)
ValueT = TypeVar("ValueT")


class RejectedResource(ValueError):
    """A resource that cannot be used. The text says why, and goes back to the control plane."""


def decode_address(data: bytes) -> Workload | Service:
    """Read an `istio.workload.Address`. Raises RejectedResource."""
    address = _parsed(workload_pb2.Address, data)
    match address.WhichOneof("type"):
        case "workload":
            return workload_of(address.workload)
        case "service":
            return service_of(address.service)
        case _:
            raise RejectedResource("the address is neither a workload nor a service")


def decode_authorization(data: bytes) -> Policy:
    """Read an `istio.security.Authorization`. Raises RejectedResource."""
    policy = _parsed(authorization_pb2.Authorization, data)
    return Policy(
        name=policy.name,
        namespace=policy.namespace,
        scope=_known(wire_values.SCOPES, policy.scope, "scope"),
        action=_known(wire_values.ACTIONS, policy.action, "action"),
        rules=tuple(
            tuple(tuple(_match(match) for match in clause.matches) for clause in rule.clauses) for rule in policy.rules
        ),
        dry_run=policy.dry_run,
    )


def workload_of(message: workload_pb2.Workload) -> Workload:
    """A workload, with the protocol's defaults filled in. Raises RejectedResource."""
    shared = sys.intern
    return Workload(
        uid=message.uid,
        name=message.name,
        namespace=shared(message.namespace),
        workload_ips=tuple(_ip(packed) for packed in message.addresses),
        hostname=message.hostname,
        network=shared(message.network),
        protocol=_known(wire_values.PROTOCOLS, message.tunnel_protocol, "tunnel protocol"),
        network_mode=_known(wire_values.NETWORK_MODES, message.network_mode, "network mode"),
        trust_domain=shared(message.trust_domain or wire_values.DEFAULT_TRUST_DOMAIN),
        service_account=shared(message.service_account or wire_values.DEFAULT_SERVICE_ACCOUNT),
        waypoint=_gateway(message.waypoint) if message.HasField("waypoint") else None,
        network_gateway=_gateway(message.network_gateway) if message.HasField("network_gateway") else None,
        node=shared(message.node),
        workload_name=shared(message.workload_name),
        # Telemetry alone reads it: a kind of workload yet to be invented rejects nothing.
        workload_type=wire_values.WORKLOAD_TYPES.get(message.workload_type, wire_values.WORKLOAD_TYPES[0]),
        canonical_name=shared(message.canonical_name),
        canonical_revision=shared(message.canonical_revision),
        cluster_id=shared(message.cluster_id or wire_values.DEFAULT_CLUSTER),
        locality=_locality(message.locality) if message.HasField("locality") else NOWHERE,
        native_tunnel=message.native_tunnel,
        application_tunnel=_tunnel(message.application_tunnel) if message.HasField("application_tunnel") else None,
        services={_host_name(key): _ports(listed.ports) for key, listed in message.services.items()},
        authorization_policies=tuple(map(shared, message.authorization_policies)),
        status=_known(wire_values.STATUSES, message.status, "status"),
        capacity=message.capacity.value if message.HasField("capacity") else 1,
        mutual_tls=any(extension.name == wire_values.MUTUAL_TLS for extension in message.extensions),
    )


def service_of(message: workload_pb2.Service) -> Service:
    """A service, with the protocol's defaults filled in. Raises RejectedResource."""
    vips, blocks = _service_addresses(message.addresses)
    return Service(
        name=message.name,
        namespace=sys.intern(message.namespace),
        hostname=message.hostname,
        vips=vips,
        ports=_ports(message.ports),
        cidr_vips=blocks,
        subject_alt_names=tuple(message.subject_alt_names),
        waypoint=_gateway(message.waypoint) if message.HasField("waypoint") else None,
        weighted_waypoints=tuple(_weighted(waypoint) for waypoint in message.weighted_waypoints),
        load_balancer=_balancer(message.load_balancing) if message.HasField("load_balancing") else None,
        ip_families=_known(wire_values.IP_FAMILIES, message.ip_families, "IP families"),
        canonical=message.canonical,
        # An unknown kind of visibility is no reason to lose the service (1.2).
        visibility=wire_values.VISIBILITIES.get(message.visibility, Visibility.PUBLIC),
        app_protocols=_app_protocols(message.ports),
    )


def _parsed(kind: type[MessageT], data: bytes) -> MessageT:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise RejectedResource(f"not a message of type {kind.DESCRIPTOR.full_name}: {error}") from error


def _known(values: Mapping[NumberT, ValueT], number: NumberT, what: str) -> ValueT:
    try:
        return values[number]
    except KeyError:
        raise RejectedResource(f"{what} {number} is not supported") from None


def _ip(packed: bytes) -> IpAddress:
    try:
        return ip_from_packed(packed)
    except ValueError as error:
        raise RejectedResource(str(error)) from None


@lru_cache(maxsize=65536)
def _host_name(text: str) -> NamespacedHostname:
    try:
        return NamespacedHostname.parse(text)
    except ValueError as error:
        raise RejectedResource(str(error)) from None


def _port(number: int) -> int:
    return number & 0xFFFF


def _ports(ports: Iterable[workload_pb2.Port]) -> dict[int, int]:
    return {_port(port.service_port): _port(port.target_port) for port in ports}


def _app_protocols(ports: Iterable[workload_pb2.Port]) -> dict[int, AppProtocol]:
    """What is declared; a port without a declaration is not named."""
    named = ((port, wire_values.APP_PROTOCOLS.get(port.app_protocol, AppProtocol.UNKNOWN)) for port in ports)
    return {_port(port.service_port): protocol for port, protocol in named if protocol is not AppProtocol.UNKNOWN}


def _gateway(message: workload_pb2.GatewayAddress) -> GatewayAddress:
    destination: NamespacedHostname | NetworkAddress
    match message.WhichOneof("destination"):
        case "hostname":
            destination = NamespacedHostname(message.hostname.namespace, message.hostname.hostname)
        case "address":
            destination = NetworkAddress(message.address.network, _ip(message.address.address))
        case _:
            raise RejectedResource("a gateway or waypoint has neither address nor host name")
    return GatewayAddress(destination, _port(message.hbone_mtls_port))


def _weighted(message: workload_pb2.WeightedWaypoint) -> WeightedWaypoint:
    return WeightedWaypoint(_gateway(message.destination), message.weight)


@lru_cache(maxsize=1024)
def _place(region: str, zone: str, subzone: str) -> Locality:
    return Locality(region, zone, subzone)


def _locality(message: workload_pb2.Locality) -> Locality:
    return _place(message.region, message.zone, message.subzone)


def _tunnel(message: workload_pb2.ApplicationTunnel) -> ApplicationTunnel:
    return ApplicationTunnel(
        _known(wire_values.TUNNELS, message.protocol, "application tunnel"), _port(message.port) or None
    )


def _balancer(message: workload_pb2.LoadBalancing) -> LoadBalancer:
    return LoadBalancer(
        tuple(
            _known(wire_values.BALANCER_SCOPES, scope, "load balancing scope") for scope in message.routing_preference
        ),
        _known(wire_values.BALANCER_MODES, message.mode, "load balancing mode"),
        _known(wire_values.HEALTH_POLICIES, message.health_policy, "health policy"),
    )


def _service_addresses(
    messages: Iterable[workload_pb2.NetworkAddress],
) -> tuple[tuple[NetworkAddress, ...], tuple[NetworkCidr, ...]]:
    """Single addresses, and blocks: those whose length is given and less than the whole width."""
    vips, blocks = [], []
    for message in messages:
        if message.HasField("length") and message.length != 8 * len(message.address):
            blocks.append(NetworkCidr(message.network, _accepted_block(message.address, message.length)))
        else:
            vips.append(NetworkAddress(message.network, _ip(message.address)))
    return tuple(vips), tuple(blocks)


def _accepted_block(packed: bytes, length: int) -> Cidr:
    try:
        return _block(packed, length)
    except ValueError as error:
        raise RejectedResource(str(error)) from None


def _block(packed: bytes, length: int) -> Cidr:
    """A block of addresses; one of IPv4-mapped ones is an IPv4 block. Raises ValueError."""
    ip = ip_from_packed(packed)
    mapped = len(packed) == 16 and not is_ipv6(ip)
    return Cidr(ip, length - 96 if mapped else length)


def _match(message: authorization_pb2.Match) -> Match:
    return Match(
        namespaces=_strings(message.namespaces),
        not_namespaces=_strings(message.not_namespaces),
        service_accounts=_accounts(message.service_accounts),
        not_service_accounts=_accounts(message.not_service_accounts),
        principals=_strings(message.principals),
        not_principals=_strings(message.not_principals),
        source_ips=_blocks(message.source_ips),
        not_source_ips=_blocks(message.not_source_ips),
        destination_ips=_blocks(message.destination_ips),
        not_destination_ips=_blocks(message.not_destination_ips),
        destination_ports=tuple(map(_port, message.destination_ports)),
        not_destination_ports=tuple(map(_port, message.not_destination_ports)),
    )


def _strings(messages: Iterable[authorization_pb2.StringMatch]) -> tuple[StringMatch, ...]:
    """An unset matcher is left out (4.5)."""
    kinds = ((message, message.WhichOneof("match_type")) for message in messages)
    return tuple(
        StringMatch(wire_values.MATCH_KINDS[kind], "" if kind == "presence" else getattr(message, kind))
        for message, kind in kinds
        if kind is not None
    )


def _accounts(messages: Iterable[authorization_pb2.ServiceAccountMatch]) -> tuple[ServiceAccountMatch, ...]:
    return tuple(ServiceAccountMatch(message.namespace, message.serviceAccount) for message in messages)


def _blocks(messages: Iterable[authorization_pb2.Address]) -> tuple[Cidr, ...]:
    """A block that is none is left out, as the real proxy does; a list that this empties does not restrict (4.5)."""
    found = []
    for message in messages:
        try:
            found.append(_block(message.address, message.length))
        except ValueError:
            continue
    return tuple(found)
