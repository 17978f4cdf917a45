"""The keys of workloads, services and policies in files (hbone-controlplane 5, 7.3) [pure].

The same keys serve the local file, where an unknown one is a fault, and config dumps, where it is not. Unlike
ztunnel we take an unknown key of a policy's match for the fault it is: there a typing error leaves a match without
conditions, which never holds. String matchers may be tagged (`!Exact x`) or spelled (`{Exact: x}`) in both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from mesh_py.discovery.problems import suggest
from mesh_py.discovery.yaml_reader import (
    Fault,
    Field,
    Reader,
    Schema,
    boolean,
    choice,
    integer,
    list_of,
    map_of,
    parsed,
    port,
    port_or_zero,
    scalar,
    sequence,
)
from mesh_py.model.address import (
    Cidr,
    GatewayAddress,
    NamespacedHostname,
    NetworkAddress,
    NetworkCidr,
    parse_ip,
)
from mesh_py.model.authorization import Action, Match, MatchKind, Policy, Scope, ServiceAccountMatch, StringMatch
from mesh_py.model.workload import (
    ApplicationTunnel,
    AppProtocol,
    Endpoint,
    HealthPolicy,
    HealthStatus,
    IpFamilies,
    LoadBalancer,
    LoadBalancerMode,
    LoadBalancerScope,
    Locality,
    NetworkMode,
    Protocol,
    Service,
    TunnelProtocol,
    Visibility,
    WeightedWaypoint,
    Workload,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HBONE_PORT = 15008
UINT32_MAX = 2**32 - 1

ip = parsed(parse_ip, "an IP address")
cidr = parsed(Cidr.parse, "a block of addresses (such as 10.0.0.0/8)")
network_address = parsed(NetworkAddress.parse, "network/IP (the default network gives '/10.0.0.1')")
namespaced_hostname = parsed(NamespacedHostname.parse, "namespace/hostname")
gateway_destination = parsed(GatewayAddress.parse_destination, "network/IP or namespace/hostname")
weight = integer(0, UINT32_MAX)
ports = map_of(port, port_or_zero)
texts = list_of(scalar)


def service_ports(node: yaml.Node) -> dict[NamespacedHostname, dict[int, int]]:
    """`namespace/hostname` to ports; a dump lists the names alone."""
    if isinstance(node, yaml.SequenceNode):
        return {namespaced_hostname(item): {} for item in sequence(node)}
    return map_of(namespaced_hostname, ports)(node)


def string_match(node: yaml.Node) -> StringMatch:
    """`!Exact x`, `!Prefix x`, `!Suffix x`, `!Presence []`, or the same spelled as a mapping of one key."""
    if isinstance(node, yaml.MappingNode) and len(node.value) == 1:
        key, value = node.value[0]
        return StringMatch(_kind(key, str(key.value)), _matched_text(value))
    if not node.tag.startswith("!"):
        raise Fault(node, "a string matcher needs its kind", "write !Exact x, !Prefix x, !Suffix x, !Presence []")
    return StringMatch(_kind(node, node.tag[1:]), _matched_text(node))


def _kind(node: yaml.Node, word: str) -> MatchKind:
    kinds = {kind.value: kind for kind in MatchKind}
    if word not in kinds:
        raise Fault(node, f"unknown string matcher {word!r}", suggest(word, kinds))
    return kinds[word]


def _matched_text(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if isinstance(node, yaml.SequenceNode) and not node.value:
        return ""
    raise Fault(node, "a string matcher takes one text", "write !Exact x, or !Presence []")


class MeshSchema:
    """Decoders for the objects of one file; their faults go to its reader."""

    def __init__(self, reader: Reader, *, strict: bool = True) -> None:
        self._reader = reader
        self._strict = strict
        self.gateway = self._record(_gateway, "gateway address", _GATEWAY if strict else _DUMPED_GATEWAY)
        self.endpoint = self._record(Endpoint, "endpoint", _ENDPOINT)
        self._match = self._record(Match, "match", self._match_fields())
        self.workload = self._record(Workload, "workload", self._workload_fields())
        self.service = self._record(Service, "service", self._service_fields())
        self.policy = self._record(Policy, "policy", self._policy_fields())

    def _record(self, make: Callable[..., Any], thing: str, fields: Mapping[str, Field]) -> Callable[[yaml.Node], Any]:
        if not self._strict:
            fields = {
                key: field._replace(required=field.required and key not in _OPTIONAL_IN_DUMPS)
                for key, field in fields.items()
            }
        return self._reader.record(make, Schema(thing, fields, self._strict))

    def _workload_fields(self) -> dict[str, Field]:
        return {
            "uid": Field(scalar, "uid"),
            "name": Field(scalar, "name"),
            "namespace": Field(scalar, "namespace", required=True),
            "workloadIps": Field(list_of(ip), "workload_ips", required=True),
            "hostname": Field(scalar, "hostname"),
            "network": Field(scalar, "network"),
            "protocol": Field(choice(Protocol), "protocol"),
            "networkMode": Field(choice(NetworkMode), "network_mode"),
            "trustDomain": Field(scalar, "trust_domain"),
            "serviceAccount": Field(scalar, "service_account"),
            "waypoint": Field(self.gateway, "waypoint"),
            "networkGateway": Field(self.gateway, "network_gateway"),
            "node": Field(scalar, "node"),
            "workloadName": Field(scalar, "workload_name"),
            "workloadType": Field(scalar, "workload_type"),
            "canonicalName": Field(scalar, "canonical_name"),
            "canonicalRevision": Field(scalar, "canonical_revision"),
            "clusterId": Field(scalar, "cluster_id"),
            "locality": Field(self._record(Locality, "locality", _LOCALITY), "locality"),
            "nativeTunnel": Field(boolean, "native_tunnel"),
            "applicationTunnel": Field(
                self._record(ApplicationTunnel, "application tunnel", _TUNNEL), "application_tunnel"
            ),
            "services": Field(service_ports, "services", required=True),
            "authorizationPolicies": Field(texts, "authorization_policies"),
            "status": Field(choice(HealthStatus), "status"),
            "capacity": Field(weight, "capacity"),
            "mutualTls": Field(boolean, "mutual_tls"),
        }

    def _service_fields(self) -> dict[str, Field]:
        block = self._record(NetworkCidr, "block of virtual IPs", _BLOCK)
        weighted = self._record(
            WeightedWaypoint,
            "weighted waypoint",
            {
                "destination": Field(self.gateway, "destination", required=True),
                "weight": Field(weight, "weight", required=True),
            },
        )
        balancer = self._record(LoadBalancer, "load balancer", _BALANCER)
        return {
            "name": Field(scalar, "name", required=True),
            "namespace": Field(scalar, "namespace", required=True),
            "hostname": Field(scalar, "hostname", required=True),
            "vips": Field(list_of(network_address), "vips", required=True),
            "ports": Field(ports, "ports", required=True),
            # Ours: ztunnel's protocol has it, its file has not.
            "appProtocols": Field(map_of(port, choice(AppProtocol)), "app_protocols"),
            "cidrVips": Field(self._items(block), "cidr_vips"),
            "endpoints": Field(map_of(scalar, self.endpoint), "endpoints"),
            "subjectAltNames": Field(texts, "subject_alt_names"),
            "waypoint": Field(self.gateway, "waypoint"),
            "weightedWaypoints": Field(self._items(weighted), "weighted_waypoints"),
            "loadBalancer": Field(balancer, "load_balancer"),
            "ipFamilies": Field(choice(IpFamilies), "ip_families"),
            "canonical": Field(boolean, "canonical"),
            "visibility": Field(choice(Visibility), "visibility"),
        }

    def _policy_fields(self) -> dict[str, Field]:
        return {
            "name": Field(scalar, "name", required=True),
            "namespace": Field(scalar, "namespace", required=True),
            "scope": Field(choice(Scope), "scope", required=True),
            "action": Field(choice(Action), "action", required=True),
            "rules": Field(self._rules, "rules", required=True),
            "dryRun": Field(boolean, "dry_run", required=True),
        }

    def _match_fields(self) -> dict[str, Field]:
        account = self._record(ServiceAccountMatch, "service account", _ACCOUNT)
        strings = list_of(string_match)
        decoders: dict[str, tuple[str, Any]] = {
            "namespaces": ("namespaces", strings),
            "serviceAccounts": ("service_accounts", self._items(account)),
            "principals": ("principals", strings),
            "sourceIps": ("source_ips", list_of(cidr)),
            "destinationIps": ("destination_ips", list_of(cidr)),
            "destinationPorts": ("destination_ports", list_of(port)),
        }
        fields = {}
        for key, (argument, decode) in decoders.items():
            fields[key] = Field(decode, argument)
            fields[f"not{key[0].upper()}{key[1:]}"] = Field(decode, f"not_{argument}")
        return fields

    def _rules(self, node: yaml.Node) -> tuple[tuple[tuple[Match, ...], ...], ...]:
        return tuple(tuple(self._clause(clause) for clause in sequence(rule)) for rule in sequence(node))

    def _clause(self, node: yaml.Node) -> tuple[Match, ...]:
        return self._reader.items(node, self._match)

    def _items(self, decode: Callable[[yaml.Node], Any]) -> Callable[[yaml.Node], tuple[Any, ...]]:
        return lambda node: self._reader.items(node, decode)


def _gateway(destination: NetworkAddress | NamespacedHostname, hbone_mtls_port: int = HBONE_PORT) -> GatewayAddress:
    return GatewayAddress(destination, hbone_mtls_port)


# What a dump leaves out where it has the default, or did not have in its older shape.
_OPTIONAL_IN_DUMPS = frozenset({"services", "workloadIps", "vips", "ports", "dryRun", "status", "hboneMtlsPort"})

_GATEWAY = {
    "destination": Field(gateway_destination, "destination", required=True),
    "hboneMtlsPort": Field(port, "hbone_mtls_port", required=True),
}
_DUMPED_GATEWAY = {**_GATEWAY, "port": Field(port, "hbone_mtls_port")}
_ENDPOINT = {
    "workloadUid": Field(scalar, "workload_uid", required=True),
    "port": Field(ports, "ports", required=True),
    "status": Field(choice(HealthStatus), "status", required=True),
}
_LOCALITY = {
    "region": Field(scalar, "region", required=True),
    "zone": Field(scalar, "zone", required=True),
    "subzone": Field(scalar, "subzone", required=True),
}
_TUNNEL = {
    "protocol": Field(choice(TunnelProtocol), "protocol", required=True),
    "port": Field(port, "port"),
}
_BLOCK = {
    "network": Field(scalar, "network", required=True),
    "cidr": Field(cidr, "cidr", required=True),
}
_BALANCER = {
    "routingPreferences": Field(list_of(choice(LoadBalancerScope)), "routing_preferences", required=True),
    "mode": Field(choice(LoadBalancerMode), "mode", required=True),
    "healthPolicy": Field(choice(HealthPolicy), "health_policy", required=True),
}
_ACCOUNT = {
    "namespace": Field(scalar, "namespace", required=True),
    "serviceAccount": Field(scalar, "service_account", required=True),
}
