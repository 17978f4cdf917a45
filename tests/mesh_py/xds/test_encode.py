"""What is encoded comes back: any workload, service and policy, through bytes, unchanged."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_py.model.address import (
    Cidr,
    GatewayAddress,
    NamespacedHostname,
    NetworkAddress,
    NetworkCidr,
    is_ipv6,
    parse_ip,
)
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
from mesh_py.xds.encode import encode_authorization, encode_service, encode_workload, wire
from tests.support.world import service, workload

if TYPE_CHECKING:
    from collections.abc import Callable

words = st.text("abc-z.é1", max_size=8)
full_words = st.text("abc-z.é1", min_size=1, max_size=8)
ips = st.builds(lambda address: parse_ip(str(address)), st.ip_addresses())
ports = st.integers(0, 65535)
weights = st.integers(0, 2**32 - 1)
host_names = st.builds(NamespacedHostname, words, full_words)
addresses = st.builds(NetworkAddress, words, ips)
gateways = st.builds(GatewayAddress, addresses | host_names, ports)
port_maps = st.dictionaries(ports, ports, max_size=3)


def lists(values):
    return st.lists(values, max_size=3).map(tuple)


def blocks(*, hosts: bool = True):
    def build(ip, share: float) -> Cidr:
        width = 128 if is_ipv6(ip) else 32
        return Cidr(ip, int(share * (width if hosts else width - 1)))

    return st.builds(build, ips, st.floats(0, 1))


workloads = st.builds(
    Workload,
    uid=words,
    name=words,
    namespace=words,
    workload_ips=lists(ips),
    hostname=words,
    network=words,
    protocol=st.sampled_from(Protocol),
    network_mode=st.sampled_from(NetworkMode),
    trust_domain=full_words,
    service_account=full_words,
    waypoint=st.none() | gateways,
    network_gateway=st.none() | gateways,
    node=words,
    workload_name=words,
    workload_type=st.sampled_from(["deployment", "cronjob", "pod", "job"]),
    canonical_name=words,
    canonical_revision=words,
    cluster_id=full_words,
    locality=st.builds(Locality, words, words, words),
    native_tunnel=st.booleans(),
    application_tunnel=st.none()
    | st.builds(ApplicationTunnel, st.sampled_from(TunnelProtocol), st.none() | st.integers(1, 65535)),
    services=st.dictionaries(host_names, port_maps, max_size=3),
    authorization_policies=lists(words),
    status=st.sampled_from(HealthStatus),
    capacity=weights,
    mutual_tls=st.booleans(),
)
services = st.builds(
    Service,
    name=words,
    namespace=words,
    hostname=words,
    vips=lists(addresses),
    ports=st.just({80: 8080, 90: 0}) | port_maps,
    cidr_vips=lists(st.builds(NetworkCidr, words, blocks(hosts=False))),
    endpoints=st.just({}),
    subject_alt_names=lists(words | st.just("spiffe://td/ns/n/sa/a")),
    waypoint=st.none() | gateways,
    weighted_waypoints=lists(st.builds(WeightedWaypoint, gateways, weights)),
    load_balancer=st.none()
    | st.builds(
        LoadBalancer,
        lists(st.sampled_from(LoadBalancerScope)),
        st.sampled_from(LoadBalancerMode),
        st.sampled_from(HealthPolicy),
    ),
    ip_families=st.none() | st.sampled_from(IpFamilies),
    canonical=st.booleans(),
    visibility=st.sampled_from(Visibility),
    app_protocols=st.just({}),
)
strings = lists(
    st.builds(StringMatch, st.sampled_from([MatchKind.EXACT, MatchKind.PREFIX, MatchKind.SUFFIX]), words)
    | st.just(StringMatch(MatchKind.PRESENCE))
)
accounts = lists(st.builds(ServiceAccountMatch, words, words))
matches = st.builds(
    Match,
    strings,
    strings,
    accounts,
    accounts,
    strings,
    strings,
    lists(blocks()),
    lists(blocks()),
    lists(blocks()),
    lists(blocks()),
    lists(ports),
    lists(ports),
)
policies = st.builds(
    Policy,
    name=words,
    namespace=words,
    scope=st.sampled_from(Scope),
    action=st.sampled_from(Action),
    rules=lists(lists(lists(matches))),
    dry_run=st.booleans(),
)


@given(workloads)
def test_a_workload_comes_back(sent: Workload) -> None:
    assert decode_address(wire(encode_workload(sent))) == sent


@given(services)
def test_a_service_comes_back(sent: Service) -> None:
    assert decode_address(wire(encode_service(sent))) == sent


@settings(max_examples=30)  # each has dozens of lists
@given(policies)
def test_a_policy_comes_back(sent: Policy) -> None:
    assert decode_authorization(wire(encode_authorization(sent))) == sent


@given(st.data(), workloads.map(encode_workload) | services.map(encode_service) | policies.map(encode_authorization))
@settings(max_examples=60)
def test_damaged_bytes_are_rejected_or_understood(data: st.DataObject, message) -> None:
    damaged = bytearray(wire(message)) or bytearray(1)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    received = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    assert isinstance(outcome_of(decode_address, received), Workload | Service | str)
    assert isinstance(outcome_of(decode_authorization, received), Policy | str)


def outcome_of(decode: Callable[[bytes], object], received: bytes) -> object:
    """What was understood, or why it was rejected."""
    try:
        return decode(received)
    except RejectedResource as rejected:
        return str(rejected)


def test_what_is_spoken_on_a_port_comes_back() -> None:
    spoken = dict(enumerate(AppProtocol, start=80))
    sent = service("h", ports=dict.fromkeys([*spoken, 99], 0), app_protocols=dict(spoken))
    del spoken[80]  # UNKNOWN is what a port speaks that is not named
    assert decode_address(wire(encode_service(sent))) == replace(sent, app_protocols=spoken)


def test_endpoints_a_service_names_by_itself_stay_behind() -> None:
    sent = service("h", endpoints={"u": None})
    assert decode_address(wire(encode_service(sent))) == replace(sent, endpoints={})


@pytest.mark.parametrize(
    ("field", "default"),
    [("trust_domain", "cluster.local"), ("service_account", "default"), ("cluster_id", "Kubernetes")],
)
def test_a_default_is_left_out(field: str, default: str) -> None:
    given_default: dict[str, Any] = {field: default}
    assert getattr(encode_workload(workload("w", **given_default)).workload, field) == ""


def test_a_workload_type_the_protocol_lacks_is_sent_as_its_first() -> None:
    sent = workload("w", workload_type="statefulset")
    assert decode_address(wire(encode_workload(sent))) == replace(
        sent, workload_type="deployment", cluster_id="Kubernetes"
    )


def test_equal_objects_have_equal_bytes_whatever_their_order() -> None:
    one = workload("w", services={"n/a": {1: 2, 3: 4}, "n/b": {}})
    other = workload("w", services={"n/b": {}, "n/a": {3: 4, 1: 2}})
    assert wire(encode_workload(one)) == wire(encode_workload(other))
    assert wire(encode_service(service("h", ports={1: 2, 3: 4}))) == wire(
        encode_service(service("h", ports={3: 4, 1: 2}))
    )


def test_the_bytes_of_a_workload() -> None:
    # Spelled out once, so that not only our own decoder is asked.
    sent = workload("w", "10.0.0.1", uid="u", service_account="", node="", namespace="")
    address = ipaddress.ip_address("10.0.0.1").packed
    assert wire(encode_workload(sent)) == (
        b"\x0a\x0f"  # Address.workload, 15 bytes
        b"\x0a\x01w"  # 1: name
        b"\x1a\x04%b"  # 3: addresses
        b"\x28\x01"  # 5: HBONE
        b"\xa2\x01\x01u" % address  # 20: uid
    )
