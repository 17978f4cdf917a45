"""Services and ServiceEntries as they are told (hbone-controlplane 1.6)."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.ambient.options import AmbientOptions
from mesh_py.manifests.core import ServicePort
from mesh_py.manifests.mesh_config import MeshConfig
from mesh_py.manifests.networking import EntryEndpoint, EntryPort, Resolution
from mesh_py.model.address import Cidr
from mesh_py.model.workload import AppProtocol, IpFamilies, Visibility
from tests.istiod_py.ambient.folder import codes, entry, mesh, namespace, pod, service, the_pod, the_service


def test_a_service_as_it_is_told() -> None:
    told = the_service(mesh(service()))
    assert (told.name, told.namespace, told.hostname) == ("web", "shop", "web.shop.svc.cluster.local")
    assert [str(vip) for vip in told.vips] == ["/10.96.0.1"]
    assert (told.ports, told.app_protocols) == ({80: 8080}, {80: AppProtocol.HTTP11})
    assert (told.load_balancer, told.ip_families, told.waypoint) == (None, None, None)


@pytest.mark.parametrize(
    ("options", "root_labels", "expected"),
    [
        pytest.param({"network": "net-1"}, {}, "net-1/10.96.0.1", id="by option"),
        pytest.param({}, {"topology.istio.io/network": "net-2"}, "net-2/10.96.0.1", id="by the root namespace"),
        pytest.param({"network": "a"}, {"topology.istio.io/network": "b"}, "a/10.96.0.1", id="the option wins"),
    ],
)
def test_addresses_are_of_the_network(options: dict[str, str], root_labels: dict[str, str], expected: str) -> None:
    root = namespace("istio-system", root_labels)
    told = mesh(root, service(), pod(), options=AmbientOptions(MeshConfig(**options)))
    assert [str(vip) for vip in the_service(told).vips] == [expected]
    assert the_pod(told).network == expected.partition("/")[0]


def test_the_domain_of_the_cluster_ends_every_name() -> None:
    told = mesh(service(), options=AmbientOptions(MeshConfig(cluster_domain="corp")))
    assert list(told.services) == ["shop/web.shop.svc.corp"]


def test_a_headless_service_has_no_address() -> None:
    assert the_service(mesh(service(ip="", is_headless=True))).vips == ()


def test_a_name_for_another_name_is_passed_over() -> None:
    assert mesh(service(type="ExternalName", external_name="example.com")).services == {}


def test_ports_that_are_not_tcp_are_left_out_and_named_ones_are_zero() -> None:
    ports = (ServicePort(53, "dns", 53, "UDP"), ServicePort(80, "http", "web"), ServicePort(81, "x", 0))
    assert the_service(mesh(service(ports=ports))).ports == {80: 0, 81: 0}


@pytest.mark.parametrize(
    ("families", "expected"),
    [((), None), (("IPv4",), IpFamilies.IPV4), (("IPv6",), IpFamilies.IPV6), (("IPv6", "IPv4"), IpFamilies.DUAL)],
)
def test_ip_families(families: tuple[str, ...], expected: IpFamilies | None) -> None:
    assert the_service(mesh(service(ip_families=families))).ip_families is expected


# ServiceEntries.


def test_an_entry_is_a_service_for_each_host() -> None:
    made = entry("api", "API.example.com", "b.example.com", addresses=("10.2.0.1", "10.3.0.0/16"))
    told = mesh(made)
    assert list(told.services) == ["shop/api.example.com", "shop/b.example.com"]
    first = the_service(told, "api.example.com")
    assert [str(vip) for vip in first.vips] == ["/10.2.0.1"]
    assert [str(block) for block in first.cidr_vips] == ["/10.3.0.0/16"]
    assert (first.name, first.ports, first.app_protocols) == ("api", {443: 443}, {443: AppProtocol.TLS})


def test_a_host_has_its_assigned_address_where_none_is_written() -> None:
    assigned = {"a.example.com": (Cidr.parse("240.240.0.1"),)}
    hosts = ("a.example.com", "b.example.com")
    told = mesh(entry("api", *hosts, assigned_addresses=assigned))
    assert [[str(vip) for vip in the_service(told, host).vips] for host in hosts] == [["/240.240.0.1"], []]
    written = mesh(entry("api", *hosts, assigned_addresses=assigned, addresses=("10.2.0.1",)))
    assert [[str(vip) for vip in the_service(written, host).vips] for host in hosts] == [["/10.2.0.1"]] * 2


def test_target_ports_and_names_of_servers_of_an_entry() -> None:
    ports = (EntryPort(80, "http", "HTTP", 8080), EntryPort(53, "dns", "UDP"))
    told = the_service(mesh(entry(ports=ports, subject_alt_names=("spiffe://a/ns/b/sa/c",))), "api.example.com")
    assert told.ports == {80: 8080}
    assert told.subject_alt_names == ("spiffe://a/ns/b/sa/c",)


@pytest.mark.parametrize(
    ("export_to", "expected", "remarks"),
    [
        ((), Visibility.PUBLIC, []),
        (("*",), Visibility.PUBLIC, []),
        ((".",), Visibility.NAMESPACE, []),
        (("~",), Visibility.NAMESPACE, []),
        (("shop",), Visibility.NAMESPACE, []),
        (("shop", "other"), Visibility.NAMESPACE, ["service-visibility"]),
    ],
)
def test_who_sees_an_entry(export_to: tuple[str, ...], expected: Visibility, remarks: list[str]) -> None:
    told = mesh(entry(export_to=export_to))
    assert the_service(told, "api.example.com").visibility is expected
    assert codes(told) == remarks


# Several of one name.


@pytest.mark.parametrize(
    ("objects", "canonical_in"),
    [
        pytest.param([service()], {"shop"}, id="a Kubernetes Service always"),
        pytest.param([entry(age=2), entry(namespace="b", age=1)], {"b"}, id="the oldest entry"),
        pytest.param([entry(age=2), entry(namespace="b", age=1, export_to=(".",))], {"shop"}, id="that all may see"),
        pytest.param([entry(export_to=(".",))], set(), id="or none"),
        pytest.param(
            [entry("x", "web.shop.svc.cluster.local", namespace="b", age=1), service(age=2)],
            {"shop"},
            id="a Service before any entry",
        ),
    ],
)
def test_one_service_of_a_name_is_canonical(objects: list[Any], canonical_in: set[str]) -> None:
    services = mesh(*objects).services.values()
    assert {one.namespace for one in services if one.canonical} == canonical_in


def test_in_one_namespace_a_service_wins_over_an_entry_and_an_old_entry_over_a_young_one() -> None:
    name = "web.shop.svc.cluster.local"
    told = mesh(entry("se", name, age=1), service(age=2), entry("a", age=2), entry("b", age=1))
    assert the_service(told).name == "web"
    assert the_service(told, "api.example.com").name == "b"
    assert codes(told) == ["service-duplicate"] * 2


def test_the_endpoints_of_an_entry_that_lost_its_name_are_not_told() -> None:
    loser = entry("a", age=2, endpoints=(EntryEndpoint("10.0.0.1"),))
    assert mesh(loser, entry("b", age=1, resolution=Resolution.NONE)).workloads == {}
