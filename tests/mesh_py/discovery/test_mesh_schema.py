"""Every key of workloads, services and policies, and what is wrong with each (hbone-controlplane 5)."""

from __future__ import annotations

from dataclasses import fields

import pytest

from mesh_py.discovery.mesh_schema import MeshSchema, string_match
from mesh_py.discovery.yaml_reader import Fault, Reader, compose
from mesh_py.model.address import Cidr, NamespacedHostname, NetworkAddress
from mesh_py.model.authorization import (
    Action,
    Match,
    MatchKind,
    Policy,
    Scope,
    ServiceAccountMatch,
    StringMatch,
)
from mesh_py.model.workload import (
    ApplicationTunnel,
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
from tests.support.world import block, gateway, ip

WORKLOAD = """
uid: c//Pod/shop/cart-1
name: cart-1
namespace: shop
workloadIps: [10.1.0.7, "fd00:0::7"]
hostname: cart.example
network: net
protocol: HBONE
networkMode: HostNetwork
trustDomain: td
serviceAccount: cart
waypoint: {destination: net/10.1.0.9, hboneMtlsPort: 15008}
networkGateway: {destination: istio/gw.example, hboneMtlsPort: 15009}
node: n1
workloadName: cart
workloadType: deployment
canonicalName: cart
canonicalRevision: v1
clusterId: c
locality: {region: r, zone: z, subzone: s}
nativeTunnel: true
applicationTunnel: {protocol: PROXY, port: 15088}
services: {shop/cart.shop.svc: {80: 8080, 443: 0}}
authorizationPolicies: [shop/only-web]
status: Unhealthy
capacity: 5
mutualTls: true
"""

SERVICE = """
name: cart
namespace: shop
hostname: cart.shop.svc
vips: [/10.96.3.3, "net/fd00::3"]
ports: {80: 8080}
cidrVips: [{network: net, cidr: 10.97.0.0/16}]
endpoints: {w: {workloadUid: w, port: {80: 81}, status: Unhealthy}}
subjectAltNames: [spiffe://td/ns/shop/sa/cart]
waypoint: {destination: shop/wp.shop.svc, hboneMtlsPort: 15008}
weightedWaypoints: [{destination: {destination: shop/wp2.shop.svc, hboneMtlsPort: 15008}, weight: 3}]
loadBalancer: {routingPreferences: [Region, Network], mode: Failover, healthPolicy: AllowAll}
ipFamilies: Dual
canonical: true
visibility: Namespace
"""

POLICY = """
name: only-web
namespace: shop
scope: WorkloadSelector
action: Deny
dryRun: true
rules:
- - - namespaces: [!Exact a]
      notNamespaces: [!Prefix b]
      principals: [!Suffix c, !Presence []]
      notPrincipals: [{Exact: d}]
      serviceAccounts: [{namespace: n, serviceAccount: s}]
      notServiceAccounts: [{namespace: m, serviceAccount: t}]
      sourceIps: [10.0.0.0/8]
      notSourceIps: [fd00::/16]
      destinationIps: [10.0.0.1]
      notDestinationIps: [10.0.0.2/31]
      destinationPorts: [80]
      notDestinationPorts: [81, 82]
  - []
- []
"""


def read(kind: str, text: str) -> object:
    reader = Reader("f")
    found = getattr(MeshSchema(reader), kind)(compose(text, "f"))
    reader.finish()
    return found


def test_every_key_of_a_workload() -> None:
    found = read("workload", WORKLOAD)
    assert found == Workload(
        uid="c//Pod/shop/cart-1",
        name="cart-1",
        namespace="shop",
        workload_ips=(ip("10.1.0.7"), ip("fd00::7")),
        hostname="cart.example",
        network="net",
        protocol=Protocol.HBONE,
        network_mode=NetworkMode.HOST_NETWORK,
        trust_domain="td",
        service_account="cart",
        waypoint=gateway("net/10.1.0.9"),
        network_gateway=gateway("istio/gw.example", 15009),
        node="n1",
        workload_name="cart",
        workload_type="deployment",
        canonical_name="cart",
        canonical_revision="v1",
        cluster_id="c",
        locality=Locality("r", "z", "s"),
        native_tunnel=True,
        application_tunnel=ApplicationTunnel(TunnelProtocol.PROXY, 15088),
        services={NamespacedHostname("shop", "cart.shop.svc"): {80: 8080, 443: 0}},
        authorization_policies=("shop/only-web",),
        status=HealthStatus.UNHEALTHY,
        capacity=5,
        mutual_tls=True,
    )
    assert not defaults_in(found)


def test_every_key_of_a_service() -> None:
    found = read("service", SERVICE)
    assert found == Service(
        name="cart",
        namespace="shop",
        hostname="cart.shop.svc",
        vips=(NetworkAddress("", ip("10.96.3.3")), NetworkAddress("net", ip("fd00::3"))),
        ports={80: 8080},
        cidr_vips=(block("10.97.0.0/16", "net"),),
        endpoints={"w": Endpoint("w", {80: 81}, HealthStatus.UNHEALTHY)},
        subject_alt_names=("spiffe://td/ns/shop/sa/cart",),
        waypoint=gateway("shop/wp.shop.svc"),
        weighted_waypoints=(WeightedWaypoint(gateway("shop/wp2.shop.svc"), 3),),
        load_balancer=LoadBalancer(
            (LoadBalancerScope.REGION, LoadBalancerScope.NETWORK),
            LoadBalancerMode.FAILOVER,
            HealthPolicy.ALLOW_ALL,
        ),
        ip_families=IpFamilies.DUAL,
        canonical=True,
        visibility=Visibility.NAMESPACE,
    )
    assert not defaults_in(found)


def test_every_key_of_a_policy() -> None:
    found = read("policy", POLICY)
    match = Match(
        namespaces=(StringMatch(MatchKind.EXACT, "a"),),
        not_namespaces=(StringMatch(MatchKind.PREFIX, "b"),),
        principals=(StringMatch(MatchKind.SUFFIX, "c"), StringMatch(MatchKind.PRESENCE)),
        not_principals=(StringMatch(MatchKind.EXACT, "d"),),
        service_accounts=(ServiceAccountMatch("n", "s"),),
        not_service_accounts=(ServiceAccountMatch("m", "t"),),
        source_ips=(Cidr.parse("10.0.0.0/8"),),
        not_source_ips=(Cidr.parse("fd00::/16"),),
        destination_ips=(Cidr.parse("10.0.0.1/32"),),
        not_destination_ips=(Cidr.parse("10.0.0.2/31"),),
        destination_ports=(80,),
        not_destination_ports=(81, 82),
    )
    assert found == Policy("only-web", "shop", Scope.WORKLOAD_SELECTOR, Action.DENY, (((match,), ()), ()), dry_run=True)
    assert not defaults_in(match)


def defaults_in(found: object) -> set[str]:
    """Fields of a value that still have their default: the tests above are to leave none."""
    assert isinstance(found, Workload | Service | Match)
    return {f.name for f in fields(found) if f.init and getattr(found, f.name) == f.default}


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        pytest.param(
            "workload", "uid: x", ["'namespace'", "'workloadIps'", "'services'"], id="workload: required keys"
        ),
        pytest.param("service", "name: x", ["'namespace'", "'hostname'", "'vips'", "'ports'"], id="service: required"),
        pytest.param(
            "policy", "name: x", ["'namespace'", "'scope'", "'action'", "'rules'", "'dryRun'"], id="policy: required"
        ),
        pytest.param("gateway", "{}", ["'destination'", "'hboneMtlsPort'"], id="gateway: required"),
        pytest.param("workload", WORKLOAD + "port: 1", ["f:28:1: unknown key 'port' in workload"], id="unknown key"),
        pytest.param(
            "workload",
            WORKLOAD.replace("region: r", "regoin: r"),
            ["locality has no 'region'", "unknown key 'regoin' in locality; did you mean 'region'?"],
            id="unknown key further in",
        ),
        pytest.param("workload", WORKLOAD.replace("10.1.0.7", "10.1.0.777"), ["'10.1.0.777' is not an IP"], id="ip"),
        pytest.param("workload", WORKLOAD.replace("HBONE", "hbone"), ["did you mean 'HBONE'?"], id="protocol"),
        pytest.param(
            "workload", WORKLOAD.replace("net/10.1.0.9", "10.1.0.9"), ["'10.1.0.9' is not network/IP"], id="gateway"
        ),
        pytest.param("workload", WORKLOAD.replace("80: 8080", "0: 8080"), ["from 1 to 65535"], id="service port 0"),
        pytest.param("workload", WORKLOAD.replace("80: 8080", "80: http"), ["found 'http'"], id="target port by name"),
        pytest.param(
            "workload", WORKLOAD.replace("shop/cart.shop", "cart.shop"), ["not namespace/hostname"], id="service name"
        ),
        pytest.param(
            "service", SERVICE.replace("/10.96.3.3", "10.96.3.3"), ["the default network gives '/10.0.0.1'"], id="vip"
        ),
        pytest.param(
            "service", SERVICE.replace("/16", "/33"), ["'10.97.0.0/33' is not a block of addresses"], id="block"
        ),
        pytest.param("service", SERVICE.replace("Failover", "Random"), ["known are Standard, Strict"], id="mode"),
        pytest.param(
            "service", SERVICE.replace("weight: 3", "weight: 4294967296"), ["from 0 to 4294967295"], id="weight"
        ),
        pytest.param("policy", POLICY.replace("sourceIps", "sourceIp"), ["did you mean 'sourceIps'?"], id="match key"),
        pytest.param(
            "policy", POLICY.replace("- []\n- []", "- {}\n- []"), ["expected a list, found a mapping"], id="nesting"
        ),
        pytest.param(
            "policy", POLICY.replace("Deny", "Audit"), ["unknown value 'Audit'; known are Allow, Deny"], id="action"
        ),
        pytest.param("policy", POLICY.replace("[80]", "[70000]"), ["from 1 to 65535"], id="port of a match"),
    ],
)
def test_faults(kind: str, text: str, expected: list[str]) -> None:
    with pytest.raises(ValueError, match="f:") as refused:
        read(kind, text)
    problems = str(refused.value).splitlines()
    assert len(problems) == len(expected)
    for problem, part in zip(problems, expected, strict=True):
        assert part in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("!Exact x", StringMatch(MatchKind.EXACT, "x"), id="exact"),
        pytest.param("!Prefix 'a b'", StringMatch(MatchKind.PREFIX, "a b"), id="prefix, quoted"),
        pytest.param("!Suffix x", StringMatch(MatchKind.SUFFIX, "x"), id="suffix"),
        pytest.param("!Presence []", StringMatch(MatchKind.PRESENCE), id="presence"),
        pytest.param("!Presence", StringMatch(MatchKind.PRESENCE), id="presence without a value"),
        pytest.param("{Exact: x}", StringMatch(MatchKind.EXACT, "x"), id="spelled out"),
        pytest.param("{Presence: []}", StringMatch(MatchKind.PRESENCE), id="presence spelled out"),
        pytest.param("!exact x", None, id="wrong case"),
        pytest.param("plain", None, id="no kind"),
        pytest.param("!Exact [x]", None, id="a list"),
        pytest.param("{Exact: x, Prefix: y}", None, id="two kinds"),
    ],
)
def test_string_matchers(text: str, expected: StringMatch | None) -> None:
    node = compose(text, "f")
    if expected is None:
        with pytest.raises(Fault):
            string_match(node)
    else:
        assert string_match(node) == expected
