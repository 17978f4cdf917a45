"""A mesh moved onto loopback: what is replaced, what stays, and that it decides as it did."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mesh_py.discovery.local_file import LocalConfig, read_local_config
from mesh_py.discovery.loopback_map import NOBODY, LoopbackMap
from mesh_py.discovery.remap import addresses_of, home_network, remapped, with_addresses
from mesh_py.discovery.resolve import resolve
from mesh_py.model.address import Cidr
from mesh_py.model.authorization import Action, Match, Policy, Scope
from mesh_py.model.workload import IpFamilies, Service, WeightedWaypoint, Workload
from tests.support.require import reference_data
from tests.support.world import block, gateway, ip, mesh, one_line, service, workload


def moved(*objects: Workload | Service | Policy) -> LocalConfig:
    return remapped(config(*objects), LoopbackMap())


def config(*objects: Workload | Service | Policy) -> LocalConfig:
    return LocalConfig(
        tuple(one for one in objects if isinstance(one, Workload)),
        tuple(one for one in objects if isinstance(one, Service)),
        tuple(one for one in objects if isinstance(one, Policy)),
    )


def test_a_workload_keeps_everything_but_its_addresses() -> None:
    original = workload(
        "cart",
        "10.244.1.7",
        "fd00::f5:109",
        waypoint=gateway("/10.96.0.9", 15009),
        network_gateway=gateway("infra/gw.example.com"),
        authorization_policies=("default/p",),
    )
    [found] = moved(original).workloads
    assert found == replace(
        original, workload_ips=(ip("127.244.1.7"), ip("127.245.1.9")), waypoint=gateway("/127.96.0.9", 15009)
    )
    assert found.identity == original.identity


def test_a_service_keeps_everything_but_its_addresses_and_families() -> None:
    original = service(
        "cart.example.com",
        "10.96.3.3",
        "net2/10.96.3.3",
        "/fd00::60:404",
        cidr_vips=(block("10.97.0.0/16"), block("10.98.0.1/32"), block("fd00::/64")),
        waypoint=gateway("/10.96.0.9"),
        weighted_waypoints=(WeightedWaypoint(gateway("/10.96.0.9"), 1), WeightedWaypoint(gateway("a/b.c"), 2)),
        ip_families=IpFamilies.IPV6,
        subject_alt_names=("spiffe://cluster.local/ns/a/sa/b",),
    )
    [found] = moved(original).services
    assert [str(vip) for vip in found.vips] == ["/127.96.3.3", "net2/127.97.3.3", "/127.96.4.4"]
    assert [str(b) for b in found.cidr_vips] == ["/127.97.0.0/16", "/127.98.0.1/32"]
    assert found.waypoint == gateway("/127.96.0.9")
    assert found.weighted_waypoints == (
        WeightedWaypoint(gateway("/127.96.0.9"), 1),
        WeightedWaypoint(gateway("a/b.c"), 2),
    )
    assert found.ip_families is None
    assert replace(
        found, **{name: getattr(original, name) for name in ("vips", "cidr_vips", "waypoint", "ip_families")}
    ) == replace(original, weighted_waypoints=found.weighted_waypoints)


def policy(**conditions: Any) -> Policy:
    rules = (((Match(**conditions),),),)
    return Policy("p", "default", Scope.NAMESPACE, Action.DENY, rules)


@pytest.mark.parametrize("field", ["source_ips", "not_source_ips", "destination_ips", "not_destination_ips"])
def test_blocks_of_policies_move_with_their_addresses(field: str) -> None:
    original = policy(
        **{field: (Cidr.parse("10.244.1.0/24"), Cidr.parse("203.244.0.0/16")), "destination_ports": (80,)}
    )
    [found] = moved(original, workload("a", "10.244.1.7")).policies
    assert found == policy(**{field: (Cidr.parse("127.244.1.0/24"), NOBODY), "destination_ports": (80,)})


def test_a_match_without_blocks_is_left_alone() -> None:
    original = policy(destination_ports=(80,))
    [found] = moved(original).policies
    assert found.rules == original.rules


def test_a_workload_known_by_name_gets_an_address() -> None:
    by_name = workload("vm", hostname="vm.example.com")
    assert [w.workload_ips for w in moved(by_name, workload("a", "10.1.0.1")).workloads] == [
        ("127.18.0.1",),
        ("127.1.0.1",),
    ]
    assert moved(by_name).workloads[0].hostname == "vm.example.com"
    assert with_addresses(config(workload("no"))).workloads[0].workload_ips == ()


def test_every_address_the_mesh_names() -> None:
    objects = config(
        workload("a", "10.1.0.1", waypoint=gateway("/10.1.0.2"), network_gateway=gateway("n/10.1.0.3")),
        service("s", "10.1.0.4", cidr_vips=(block("10.1.0.5/32"), block("10.2.0.0/16")), waypoint=gateway("a/b")),
    )
    assert [str(address) for address in addresses_of(objects)] == [
        "/10.1.0.1",
        "/10.1.0.2",
        "n/10.1.0.3",
        "/10.1.0.4",
        "/10.1.0.5",
    ]


@pytest.mark.parametrize(
    ("networks", "expected"), [([], ""), (["a", "b", "b"], "b"), (["", "", "b"], "")], ids=["none", "b", "default"]
)
def test_the_home_network(networks: list[str], expected: str) -> None:
    workloads = [workload(f"w{i}", network=network) for i, network in enumerate(networks)]
    assert home_network(config(*workloads)) == expected


def test_routes_are_as_before_on_other_addresses() -> None:
    client = workload("client", "10.244.0.9")
    cart = workload("cart", "10.244.1.7", services={"default/cart.shop": {80: 7070}}, waypoint=gateway("/10.96.0.9"))
    waypoint = workload("way", "10.244.1.8", services={"default/way.shop": {}})
    way = service("way.shop", "10.96.0.9", ports={15008: 15008})
    found = moved(client, cart, waypoint, way, service("cart.shop", "10.96.3.3"))
    state = mesh(*found.workloads, *found.services)
    source = state.workloads.by_uid[client.uid]

    def route(original: str, port: int) -> str:
        destination = next(a for a in _places(found) if a.endswith(original.partition(".")[2]))
        return one_line(resolve(state, source, source.workload_ips[0], (destination, port), random=lambda: 0.5))

    assert route("10.96.3.3", 80) == "127.244.1.7:7070 via 127.244.1.7:15008 to cart; workload cart; service cart.shop"
    assert route("10.244.1.7", 7070) == "127.244.1.7:7070 via 127.244.1.8:15008 to way; workload way"


def test_a_real_cluster_fits() -> None:
    text = (reference_data() / "ztunnel-config-dump.json").read_text()
    original = read_local_config(text, "dump.json")
    loopback = LoopbackMap()
    found = remapped(original, loopback)
    assert [w.identity for w in found.workloads] == [w.identity for w in original.workloads]
    assert all(ip.startswith("127.") for w in found.workloads for ip in w.workload_ips)
    assert len(set(loopback.places.values())) == len(set(addresses_of(original)))


def _places(found: LocalConfig) -> list[Any]:
    return [address.ip for address in addresses_of(found)]
