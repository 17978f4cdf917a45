"""Every field of workloads, services and policies: what it becomes, what its absence means, what rejects it.

Rows are those of hbone-controlplane 1.2, 1.3 and 4.5. Messages are written with the generated classes, whose wire
format `proto/test_fields.py` pins.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from google.protobuf import text_format

from hbone_py.identity import SpiffeId
from mesh_py.model.address import Cidr, NamespacedHostname, NetworkCidr
from mesh_py.model.authorization import Action, Match, MatchKind, Policy, Scope, ServiceAccountMatch, StringMatch
from mesh_py.model.workload import (
    ApplicationTunnel,
    AppProtocol,
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
from mesh_py.xds.decode import RejectedResource, decode_address, decode_authorization
from mesh_py.xds.proto import authorization_pb2, workload_pb2
from tests.support.world import gateway, ip

V4 = r'"\x0a\x00\x00\x01"'
V6 = r'"\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"'
MAPPED = r'"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x01"'


def decoded(text: str) -> Workload | Service:
    return decode_address(text_format.Parse(text, workload_pb2.Address()).SerializeToString())


def workload(text: str) -> Workload:
    found = decoded(f"workload {{ {text} }}")
    assert isinstance(found, Workload)
    return found


def service(text: str) -> Service:
    found = decoded(f"service {{ {text} }}")
    assert isinstance(found, Service)
    return found


def policy(text: str) -> Policy:
    return decode_authorization(text_format.Parse(text, authorization_pb2.Authorization()).SerializeToString())


def match(text: str) -> Match:
    [[[found]]] = policy(f"rules {{ clauses {{ matches {{ {text} }} }} }}").rules
    return found


def restricted(field: str, values: tuple[Any, ...]) -> Match:
    return Match(**{field: values})


WORKLOAD_FIELDS = [
    ('uid: "u"', "uid", "u"),
    ("", "uid", ""),
    ('name: "n"', "name", "n"),
    ('namespace: "shop"', "namespace", "shop"),
    (f"addresses: {V4} addresses: {V6}", "workload_ips", (ip("10.0.0.1"), ip("fd00::1"))),
    (f"addresses: {MAPPED}", "workload_ips", (ip("10.0.0.1"),)),
    ('hostname: "db.example.com"', "hostname", "db.example.com"),
    ('network: "east"', "network", "east"),
    ("", "network", ""),
    ("", "protocol", Protocol.TCP),
    ("tunnel_protocol: HBONE", "protocol", Protocol.HBONE),
    ("", "trust_domain", "cluster.local"),
    ('trust_domain: "td"', "trust_domain", "td"),
    ("", "service_account", "default"),
    ('service_account: "sa"', "service_account", "sa"),
    ("", "waypoint", None),
    (f"waypoint {{ address {{ address: {V4} }} hbone_mtls_port: 15008 }}", "waypoint", gateway("/10.0.0.1")),
    ('waypoint { hostname { namespace: "n" hostname: "h" } }', "waypoint", gateway("n/h", 0)),
    ("", "network_gateway", None),
    (
        f'network_gateway {{ address {{ network: "west" address: {V6} }} hbone_mtls_port: 80544 }}',
        "network_gateway",
        gateway("west/fd00::1", 15008),
    ),
    ('node: "node-a"', "node", "node-a"),
    ('canonical_name: "c"', "canonical_name", "c"),
    ('canonical_revision: "v2"', "canonical_revision", "v2"),
    ("", "workload_type", "deployment"),
    ("workload_type: CRONJOB", "workload_type", "cronjob"),
    ("workload_type: POD", "workload_type", "pod"),
    ("workload_type: JOB", "workload_type", "job"),
    ("workload_type: 99", "workload_type", "deployment"),
    ('workload_name: "w"', "workload_name", "w"),
    ("", "mutual_tls", False),
    ('extensions { name: "hbone.mesh.v1.MutualTls" }', "mutual_tls", True),
    ("", "native_tunnel", False),
    ("native_tunnel: true", "native_tunnel", True),
    ("", "application_tunnel", None),
    ("application_tunnel { }", "application_tunnel", ApplicationTunnel(TunnelProtocol.NONE, None)),
    (
        "application_tunnel { protocol: PROXY port: 15088 }",
        "application_tunnel",
        ApplicationTunnel(TunnelProtocol.PROXY, 15088),
    ),
    ("", "services", {}),
    ('services { key: "n/h" value { } }', "services", {NamespacedHostname("n", "h"): {}}),
    (
        'services { key: "n/h" value { ports { service_port: 80 target_port: 8080 } ports { service_port: 65617 } } }',
        "services",
        {NamespacedHostname("n", "h"): {80: 8080, 81: 0}},
    ),
    (
        'authorization_policies: "n/a" authorization_policies: "root/b"',
        "authorization_policies",
        ("n/a", "root/b"),
    ),
    ("", "status", HealthStatus.HEALTHY),
    ("status: UNHEALTHY", "status", HealthStatus.UNHEALTHY),
    ("", "cluster_id", "Kubernetes"),
    ('cluster_id: "c1"', "cluster_id", "c1"),
    ("", "locality", Locality("", "", "")),
    ('locality { region: "r" zone: "z" subzone: "s" }', "locality", Locality("r", "z", "s")),
    ("", "network_mode", NetworkMode.STANDARD),
    ("network_mode: HOST_NETWORK", "network_mode", NetworkMode.HOST_NETWORK),
    ("", "capacity", 1),
    ("capacity { value: 7 }", "capacity", 7),
    ("capacity { }", "capacity", 0),
]

SERVICE_FIELDS = [
    ('name: "reviews"', "name", "reviews"),
    ('namespace: "shop"', "namespace", "shop"),
    ('hostname: "*.example.com"', "hostname", "*.example.com"),
    ("", "vips", ()),
    (f'addresses {{ network: "east" address: {V4} }}', "vips", (("east", "10.0.0.1"),)),
    (f"addresses {{ address: {V4} length: 32 }}", "vips", (("", "10.0.0.1"),)),
    (f"addresses {{ address: {V6} length: 128 }}", "vips", (("", "fd00::1"),)),
    (f"addresses {{ address: {V4} length: 32 }}", "cidr_vips", ()),
    (f"addresses {{ address: {V4} length: 8 }}", "vips", ()),
    (f"addresses {{ address: {V4} length: 8 }}", "cidr_vips", (NetworkCidr("", Cidr.parse("10.0.0.1/8")),)),
    (f"addresses {{ address: {V4} length: 0 }}", "cidr_vips", (NetworkCidr("", Cidr.parse("10.0.0.1/0")),)),
    (f"addresses {{ address: {V6} length: 32 }}", "cidr_vips", (NetworkCidr("", Cidr.parse("fd00::1/32")),)),
    (f"addresses {{ address: {MAPPED} length: 104 }}", "cidr_vips", (NetworkCidr("", Cidr.parse("10.0.0.1/8")),)),
    (
        "ports { service_port: 80 target_port: 8080 } ports { service_port: 90 } ports { service_port: 65537 }",
        "ports",
        {80: 8080, 90: 0, 1: 0},
    ),
    (
        "ports { service_port: 80 app_protocol: HTTP2 } ports { service_port: 90 } "
        "ports { service_port: 91 app_protocol: 99 }",
        "app_protocols",
        {80: AppProtocol.HTTP2},
    ),
    ('subject_alt_names: "spiffe://td/ns/n/sa/a"', "identities", (SpiffeId("td", "n", "a"),)),
    ('subject_alt_names: "www.example.com"', "identities", ()),
    ("", "waypoint", None),
    (f"waypoint {{ address {{ address: {V4} }} hbone_mtls_port: 15008 }}", "waypoint", gateway("/10.0.0.1")),
    ("", "load_balancer", None),
    ("load_balancing { }", "load_balancer", LoadBalancer()),
    (
        "load_balancing { routing_preference: REGION routing_preference: ZONE routing_preference: SUBZONE "
        "routing_preference: NODE routing_preference: CLUSTER routing_preference: NETWORK mode: FAILOVER "
        "health_policy: ALLOW_ALL }",
        "load_balancer",
        LoadBalancer(tuple(LoadBalancerScope), LoadBalancerMode.FAILOVER, HealthPolicy.ALLOW_ALL),
    ),
    ("load_balancing { mode: STRICT }", "load_balancer", LoadBalancer(mode=LoadBalancerMode.STRICT)),
    ("load_balancing { mode: PASSTHROUGH }", "is_passthrough", True),
    ("", "ip_families", None),
    ("ip_families: IPV4_ONLY", "ip_families", IpFamilies.IPV4),
    ("ip_families: IPV6_ONLY", "ip_families", IpFamilies.IPV6),
    ("ip_families: DUAL", "ip_families", IpFamilies.DUAL),
    ("", "canonical", False),
    ("canonical: true", "canonical", True),
    ("", "weighted_waypoints", ()),
    (
        'weighted_waypoints { destination { hostname { namespace: "n" hostname: "h" } hbone_mtls_port: 1 } weight: 9 }',
        "weighted_waypoints",
        (WeightedWaypoint(gateway("n/h", 1), 9),),
    ),
    ("", "visibility", Visibility.PUBLIC),
    ("visibility: NAMESPACE", "visibility", Visibility.NAMESPACE),
    ("visibility: 99", "visibility", Visibility.PUBLIC),
]


@pytest.mark.parametrize(("text", "field", "value"), WORKLOAD_FIELDS)
def test_a_field_of_a_workload(text: str, field: str, value: object) -> None:
    assert getattr(workload(text), field) == value


@pytest.mark.parametrize(("text", "field", "value"), SERVICE_FIELDS)
def test_a_field_of_a_service(text: str, field: str, value: object) -> None:
    assert getattr(service(text), field) == value


def test_no_field_is_left_out_of_the_tables() -> None:
    assert {field.name for field in fields(Workload) if field.init} == {field for _, field, _ in WORKLOAD_FIELDS}
    # Endpoints named by the service itself are the local file's; alternative names show as identities.
    assert {field.name for field in fields(Service)} - {"endpoints", "subject_alt_names", "key"} == {
        field for _, field, _ in SERVICE_FIELDS
    } - {"is_passthrough"}


def test_extensions_are_ignored() -> None:
    assert workload('uid: "u" extensions { name: "x" }') == workload('uid: "u"')
    assert service('name: "s" extensions { name: "x" } ingress_use_waypoint: true') == service('name: "s"')
    assert policy('name: "p" extensions { name: "x" }') == policy('name: "p"')


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "neither a workload nor a service", id="nothing"),
        pytest.param(r'workload { addresses: "\x01\x02\x03" }', "4 or 16 bytes, not 3", id="a short address"),
        pytest.param('workload { addresses: "" }', "4 or 16 bytes, not 0", id="an empty address"),
        pytest.param("workload { tunnel_protocol: LEGACY_ISTIO_MTLS }", "tunnel protocol 2", id="legacy mTLS"),
        pytest.param("workload { tunnel_protocol: 9 }", "tunnel protocol 9", id="unknown tunnel protocol"),
        pytest.param("workload { network_mode: 9 }", "network mode 9", id="unknown network mode"),
        pytest.param("workload { status: 9 }", "status 9", id="unknown status"),
        pytest.param("workload { application_tunnel { protocol: 9 } }", "tunnel 9", id="unknown application tunnel"),
        pytest.param('workload { services { key: "host" value { } } }', "'host'", id="a service without namespace"),
        pytest.param("workload { waypoint { } }", "neither address nor host name", id="a waypoint nowhere"),
        pytest.param("workload { network_gateway { } }", "neither address nor host name", id="a gateway nowhere"),
        pytest.param(r'workload { waypoint { address { address: "\x01" } } }', "not 1", id="a waypoint's address"),
        pytest.param("service { weighted_waypoints { weight: 1 } }", "neither", id="weighted waypoint nowhere"),
        pytest.param(f"service {{ addresses {{ address: {V4} length: 33 }} }}", "10.0.0.1/33", id="a long prefix"),
        pytest.param(f"service {{ addresses {{ address: {MAPPED} length: 95 }} }}", "10.0.0.1", id="half mapped"),
        pytest.param('service { addresses { address: "x" } }', "not 1", id="a service's address"),
        pytest.param(
            "service { load_balancing { routing_preference: UNSPECIFIED_SCOPE } }", "scope 0", id="unspecified scope"
        ),
        pytest.param("service { load_balancing { routing_preference: 9 } }", "scope 9", id="unknown scope"),
        pytest.param("service { load_balancing { mode: 9 } }", "mode 9", id="unknown mode"),
        pytest.param("service { load_balancing { health_policy: 9 } }", "health policy 9", id="unknown health policy"),
        pytest.param("service { ip_families: 9 }", "IP families 9", id="unknown families"),
    ],
)
def test_an_address_is_rejected_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(RejectedResource, match=reason):
        decoded(text)


@pytest.mark.parametrize("decode", [decode_address, decode_authorization])
def test_bytes_that_are_no_message_are_rejected(decode) -> None:
    with pytest.raises(RejectedResource, match=r"not a message of type istio\."):
        decode(b"\xff\xff\xff")


# Policies.


def test_an_empty_policy_is_for_everybody_and_allows_nothing() -> None:
    assert policy("") == Policy("", "", Scope.GLOBAL, Action.ALLOW, (), False)


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ('name: "p"', "name", "p"),
        ('namespace: "n"', "namespace", "n"),
        ("scope: NAMESPACE", "scope", Scope.NAMESPACE),
        ("scope: WORKLOAD_SELECTOR", "scope", Scope.WORKLOAD_SELECTOR),
        ("action: DENY", "action", Action.DENY),
        ("dry_run: true", "dry_run", True),
        ("rules { }", "rules", ((),)),
        ("rules { clauses { } }", "rules", (((),),)),
        ("rules { clauses { matches { } } }", "rules", (((Match(),),),)),
        ("rules { clauses { } clauses { } } rules { }", "rules", (((), ()), ())),
    ],
)
def test_a_field_of_a_policy(text: str, field: str, value: object) -> None:
    assert getattr(policy(text), field) == value


STRINGS = 'exact: "a"', 'prefix: "b"', 'suffix: "c"', "presence { }", ""
MATCHERS = (
    StringMatch(MatchKind.EXACT, "a"),
    StringMatch(MatchKind.PREFIX, "b"),
    StringMatch(MatchKind.SUFFIX, "c"),
    StringMatch(MatchKind.PRESENCE),
)


@pytest.mark.parametrize("field", ["namespaces", "not_namespaces", "principals", "not_principals"])
def test_string_matchers_an_unset_one_dropped(field: str) -> None:
    assert match(" ".join(f"{field} {{ {text} }}" for text in STRINGS)) == restricted(field, MATCHERS)


@pytest.mark.parametrize("field", ["source_ips", "not_source_ips", "destination_ips", "not_destination_ips"])
def test_blocks_a_broken_one_dropped(field: str) -> None:
    texts = [f"address: {V4} length: 24", f"address: {V6}", f"address: {V4} length: 33", 'address: "x" length: 1']
    expected = (Cidr.parse("10.0.0.1/24"), Cidr.parse("fd00::1/0"))
    assert match(" ".join(f"{field} {{ {text} }}" for text in texts)) == restricted(field, expected)


@pytest.mark.parametrize("field", ["destination_ports", "not_destination_ports"])
def test_ports_cut_to_16_bits(field: str) -> None:
    assert match(f"{field}: 80 {field}: 65616") == restricted(field, (80, 80))


@pytest.mark.parametrize("field", ["service_accounts", "not_service_accounts"])
def test_service_accounts(field: str) -> None:
    text = f'{field} {{ namespace: "n" serviceAccount: "a" }} {field} {{ }}'
    assert match(text) == restricted(field, (ServiceAccountMatch("n", "a"), ServiceAccountMatch("", "")))


@pytest.mark.parametrize(("text", "reason"), [("scope: 9", "scope 9"), ("action: 9", "action 9")])
def test_a_policy_is_rejected_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(RejectedResource, match=reason):
        policy(text)
