"""From the model to the control plane's messages, as the other end of `decode` (hbone-controlplane 1.2, 1.3) [no I/O].

What equals the protocol's default is left out. `wire` gives equal bytes for equal messages, so that a hash of them is
a version.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, TypeVar

from mesh_py.model.address import NamespacedHostname
from mesh_py.model.authorization import MatchKind
from mesh_py.model.workload import NOWHERE
from mesh_py.xds import wire_values
from mesh_py.xds.proto import authorization_pb2, workload_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from google.protobuf.message import Message

    from mesh_py.model.address import Cidr, GatewayAddress, IpAddress, NetworkAddress, NetworkCidr
    from mesh_py.model.authorization import Clause, Match, Policy, Rule, ServiceAccountMatch, StringMatch
    from mesh_py.model.workload import (
        ApplicationTunnel,
        AppProtocol,
        LoadBalancer,
        Locality,
        Ports,
        Service,
        WeightedWaypoint,
        Workload,
    )

NumberT = TypeVar("NumberT")
WordT = TypeVar("WordT")

NO_PROTOCOLS: Mapping[int, AppProtocol] = {}


def wire(message: Message) -> bytes:
    """The bytes of a message; equal messages have equal bytes."""
    return message.SerializeToString(deterministic=True)


def encode_workload(workload: Workload) -> workload_pb2.Address:
    """A workload as an Address resource, whose name is the uid."""
    return workload_pb2.Address(workload=workload_message(workload))


def encode_service(service: Service) -> workload_pb2.Address:
    """A service as an Address resource, whose name is `namespace/hostname`.

    Endpoints that it names by itself have no place in the protocol: workloads name their services.
    """
    return workload_pb2.Address(service=service_message(service))


def encode_authorization(policy: Policy) -> authorization_pb2.Authorization:
    """A policy, whose name is `namespace/name`."""
    return authorization_pb2.Authorization(
        name=policy.name,
        namespace=policy.namespace,
        scope=_number(wire_values.SCOPES, policy.scope),
        action=_number(wire_values.ACTIONS, policy.action),
        rules=[_rule(rule) for rule in policy.rules],
        dry_run=policy.dry_run,
    )


def workload_message(workload: Workload) -> workload_pb2.Workload:
    """A bare workload. A type of workload that the protocol does not know is sent as the first of its types."""
    message = workload_pb2.Workload(
        uid=workload.uid,
        name=workload.name,
        namespace=workload.namespace,
        addresses=[_packed(ip) for ip in workload.workload_ips],
        hostname=workload.hostname,
        network=workload.network,
        tunnel_protocol=_number(wire_values.PROTOCOLS, workload.protocol),
        network_mode=_number(wire_values.NETWORK_MODES, workload.network_mode),
        trust_domain=_unless(wire_values.DEFAULT_TRUST_DOMAIN, workload.trust_domain),
        service_account=_unless(wire_values.DEFAULT_SERVICE_ACCOUNT, workload.service_account),
        waypoint=_gateway(workload.waypoint),
        network_gateway=_gateway(workload.network_gateway),
        node=workload.node,
        workload_name=workload.workload_name,
        workload_type=_workload_type(workload.workload_type),
        canonical_name=workload.canonical_name,
        canonical_revision=workload.canonical_revision,
        cluster_id=_unless(wire_values.DEFAULT_CLUSTER, workload.cluster_id),
        locality=_locality(workload.locality),
        native_tunnel=workload.native_tunnel,
        application_tunnel=_tunnel(workload.application_tunnel),
        services={str(key): _port_list(ports) for key, ports in workload.services.items()},
        authorization_policies=workload.authorization_policies,
        status=_number(wire_values.STATUSES, workload.status),
        extensions=[workload_pb2.Extension(name=wire_values.MUTUAL_TLS)] if workload.mutual_tls else (),
    )
    if workload.capacity != 1:
        message.capacity.value = workload.capacity
    return message


def service_message(service: Service) -> workload_pb2.Service:
    """A bare service."""
    return workload_pb2.Service(
        name=service.name,
        namespace=service.namespace,
        hostname=service.hostname,
        addresses=[*map(_vip, service.vips), *map(_block, service.cidr_vips)],
        ports=_ports(service.ports, service.app_protocols),
        subject_alt_names=service.subject_alt_names,
        waypoint=_gateway(service.waypoint),
        weighted_waypoints=[_weighted(waypoint) for waypoint in service.weighted_waypoints],
        load_balancing=_balancer(service.load_balancer),
        ip_families=_number(wire_values.IP_FAMILIES, service.ip_families),
        canonical=service.canonical,
        visibility=_number(wire_values.VISIBILITIES, service.visibility),
    )


def _workload_type(word: str) -> str:
    return (word if word in wire_values.WORKLOAD_TYPES.values() else wire_values.WORKLOAD_TYPES[0]).upper()


def _number(values: Mapping[NumberT, WordT], word: WordT) -> NumberT:
    return next(number for number, known in values.items() if known is word)


def _unless(default: str, text: str) -> str:
    return "" if text == default else text


def _packed(ip: IpAddress) -> bytes:
    return ipaddress.ip_address(ip).packed


def _gateway(gateway: GatewayAddress | None) -> workload_pb2.GatewayAddress | None:
    if gateway is None:
        return None
    destination, port = gateway
    if isinstance(destination, NamespacedHostname):
        named = workload_pb2.NamespacedHostname(namespace=destination.namespace, hostname=destination.hostname)
        return workload_pb2.GatewayAddress(hostname=named, hbone_mtls_port=port)
    return workload_pb2.GatewayAddress(address=_vip(destination), hbone_mtls_port=port)


def _vip(address: NetworkAddress) -> workload_pb2.NetworkAddress:
    return workload_pb2.NetworkAddress(network=address.network, address=_packed(address.ip))


def _block(block: NetworkCidr) -> workload_pb2.NetworkAddress:
    network, cidr = block
    return workload_pb2.NetworkAddress(network=network, address=_packed(cidr.ip), length=cidr.length)


def _ports(ports: Ports, protocols: Mapping[int, AppProtocol] = NO_PROTOCOLS) -> list[workload_pb2.Port]:
    spoken = {port: _number(wire_values.APP_PROTOCOLS, protocol) for port, protocol in protocols.items()}
    return [
        workload_pb2.Port(service_port=port, target_port=target, app_protocol=spoken.get(port))
        for port, target in sorted(ports.items())
    ]


def _port_list(ports: Ports) -> workload_pb2.PortList:
    return workload_pb2.PortList(ports=_ports(ports))


def _locality(locality: Locality) -> workload_pb2.Locality | None:
    return None if locality == NOWHERE else workload_pb2.Locality(**locality._asdict())


def _tunnel(tunnel: ApplicationTunnel | None) -> workload_pb2.ApplicationTunnel | None:
    if tunnel is None:
        return None
    return workload_pb2.ApplicationTunnel(protocol=_number(wire_values.TUNNELS, tunnel.protocol), port=tunnel.port)


def _weighted(waypoint: WeightedWaypoint) -> workload_pb2.WeightedWaypoint:
    return workload_pb2.WeightedWaypoint(destination=_gateway(waypoint.destination), weight=waypoint.weight)


def _balancer(balancer: LoadBalancer | None) -> workload_pb2.LoadBalancing | None:
    if balancer is None:
        return None
    return workload_pb2.LoadBalancing(
        routing_preference=[_number(wire_values.BALANCER_SCOPES, scope) for scope in balancer.routing_preferences],
        mode=_number(wire_values.BALANCER_MODES, balancer.mode),
        health_policy=_number(wire_values.HEALTH_POLICIES, balancer.health_policy),
    )


def _rule(rule: Rule) -> authorization_pb2.Rule:
    return authorization_pb2.Rule(clauses=[_clause(clause) for clause in rule])


def _clause(clause: Clause) -> authorization_pb2.Clause:
    return authorization_pb2.Clause(matches=[_match(match) for match in clause])


def _match(match: Match) -> authorization_pb2.Match:
    return authorization_pb2.Match(
        namespaces=_strings(match.namespaces),
        not_namespaces=_strings(match.not_namespaces),
        service_accounts=_accounts(match.service_accounts),
        not_service_accounts=_accounts(match.not_service_accounts),
        principals=_strings(match.principals),
        not_principals=_strings(match.not_principals),
        source_ips=_cidrs(match.source_ips),
        not_source_ips=_cidrs(match.not_source_ips),
        destination_ips=_cidrs(match.destination_ips),
        not_destination_ips=_cidrs(match.not_destination_ips),
        destination_ports=match.destination_ports,
        not_destination_ports=match.not_destination_ports,
    )


def _strings(matchers: Iterable[StringMatch]) -> list[authorization_pb2.StringMatch]:
    return [_string(matcher) for matcher in matchers]


def _string(matcher: StringMatch) -> authorization_pb2.StringMatch:
    match matcher.kind:
        case MatchKind.EXACT:
            return authorization_pb2.StringMatch(exact=matcher.value)
        case MatchKind.PREFIX:
            return authorization_pb2.StringMatch(prefix=matcher.value)
        case MatchKind.SUFFIX:
            return authorization_pb2.StringMatch(suffix=matcher.value)
        case MatchKind.PRESENCE:
            return authorization_pb2.StringMatch(presence={})


def _accounts(accounts: Iterable[ServiceAccountMatch]) -> list[authorization_pb2.ServiceAccountMatch]:
    return [
        authorization_pb2.ServiceAccountMatch(namespace=namespace, serviceAccount=account)
        for namespace, account in accounts
    ]


def _cidrs(blocks: Iterable[Cidr]) -> list[authorization_pb2.Address]:
    return [authorization_pb2.Address(address=_packed(block.ip), length=block.length) for block in blocks]
