"""WorkloadEntries and the endpoints of ServiceEntries as workloads (hbone-controlplane 1.5, 1.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh_py.manifests.networking import EntryEndpoint, Resolution
from mesh_py.model.address import NamespacedHostname
from mesh_py.model.workload import Locality, Protocol, Workload
from tests.istiod_py.ambient.folder import (
    AMBIENT,
    authorization,
    codes,
    entry,
    machine,
    mesh,
    peers,
    pod,
    service,
    the_pod,
    waypoint,
)

if TYPE_CHECKING:
    from istiod_py.ambient.mesh import Mesh
    from mesh_py.manifests.objects import KubernetesObject

TLS = {"security.istio.io/tlsMode": "istio"}
API = NamespacedHostname("shop", "api.example.com")
WEB = NamespacedHostname("shop", "web.shop.svc.cluster.local")


def the_machine(told: Mesh) -> Workload:
    return told.workloads["Kubernetes/networking.istio.io/WorkloadEntry/shop/vm"]


def endpoint_uid(address: str) -> str:
    return f"Kubernetes/networking.istio.io/ServiceEntry/shop/api/{address}"


# WorkloadEntries.


def test_a_machine_as_it_is_told() -> None:
    made = machine(
        labels={"app": "web"}, service_account="vm", network="far", weight=3, locality=Locality("r", "z", "s")
    )
    one = the_machine(mesh(AMBIENT, made))
    assert (one.name, one.workload_ips, one.hostname, one.node) == ("vm", ("10.9.0.1",), "", "")
    assert str(one.identity) == "spiffe://cluster.local/ns/shop/sa/vm"
    assert (one.network, one.capacity, one.locality) == ("far", 3, Locality("r", "z", "s"))
    assert (one.canonical_name, one.workload_name) == ("web", "vm")
    assert one.protocol is Protocol.TCP, "nobody redirects it for its namespace's sake"


def test_a_machine_may_be_known_by_name() -> None:
    one = the_machine(mesh(machine(address="vm.example.com")))
    assert (one.workload_ips, one.hostname) == ((), "vm.example.com")


@pytest.mark.parametrize(
    ("made", "native"),
    [
        (machine(annotations={"ambient.istio.io/redirection": "enabled"}), False),
        (machine(labels={"networking.istio.io/tunnel": "http"}), True),
    ],
)
def test_a_machine_that_takes_hbone_says_so(made: object, native: bool) -> None:
    one = the_machine(mesh(made))  # type: ignore[arg-type]
    assert (one.protocol, one.native_tunnel) == (Protocol.HBONE, native)


@pytest.mark.parametrize(("more", "expected"), [((), True), ((peers(mode="DISABLE"),), False)], ids=["", "DISABLE"])
def test_a_machine_with_a_sidecar_says_so(more: tuple[KubernetesObject, ...], expected: bool) -> None:
    assert the_machine(mesh(machine(labels=TLS), *more)).mutual_tls is expected
    assert not the_machine(mesh(machine(), *more)).mutual_tls


def test_an_endpoint_with_a_sidecar_says_so() -> None:
    told = mesh(entry(endpoints=(EntryEndpoint("10.2.0.1", labels=TLS), EntryEndpoint("10.2.0.2"))))
    assert [one.mutual_tls for one in told.workloads.values()] == [True, False]


def test_services_and_entries_select_machines_and_pods() -> None:
    told = mesh(
        service(), entry(workload_selector={"app": "web"}), machine(labels={"app": "web"}), pod(labels={"app": "web"})
    )
    assert the_machine(told).services == {WEB: {80: 8080}, API: {443: 443}}
    assert the_pod(told).services == {WEB: {80: 8080}, API: {443: 443}}


def test_a_machine_has_policies_and_a_waypoint_by_its_labels() -> None:
    labels = {"app": "web", "istio.io/use-waypoint": "wp"}
    wp = waypoint(labels={"istio.io/waypoint-for": "workload"})
    one = the_machine(mesh(machine(labels=labels), wp, authorization("p", selector={"app": "web"})))
    assert one.authorization_policies == ("shop/p",)
    assert one.waypoint is not None


# Endpoints inside a ServiceEntry.


def test_endpoints_are_workloads_behind_every_host() -> None:
    made = entry(
        "api", "api.example.com", "b.example.com",
        endpoints=(EntryEndpoint("10.2.0.1", {"tls": 8443}, weight=2), EntryEndpoint("x.example.com", network="far")),
    )  # fmt: skip
    told = mesh(made)
    first, second = told.workloads[endpoint_uid("10.2.0.1")], told.workloads[endpoint_uid("x.example.com")]
    assert first.services == {API: {443: 8443}, NamespacedHostname("shop", "b.example.com"): {443: 8443}}
    assert (first.workload_ips, first.capacity, first.name) == (("10.2.0.1",), 2, "api")
    assert (second.hostname, second.network, second.services[API]) == ("x.example.com", "far", {443: 443})


@pytest.mark.parametrize("resolution", [Resolution.DNS, Resolution.DNS_ROUND_ROBIN])
def test_an_entry_to_be_found_by_name_is_its_own_endpoint(resolution: Resolution) -> None:
    told = mesh(entry("api", "api.example.com", "*.example.com", resolution=resolution))
    [one] = told.workloads.values()
    assert (one.uid, one.hostname) == (endpoint_uid("api.example.com"), "api.example.com")
    assert list(one.services) == [API]


@pytest.mark.parametrize("resolution", [Resolution.STATIC, Resolution.NONE])
def test_other_entries_have_the_endpoints_they_name(resolution: Resolution) -> None:
    assert mesh(entry(resolution=resolution)).workloads == {}


def test_policies_come_with_the_entrys_labels_and_the_waypoint_with_the_endpoints() -> None:
    made = entry(labels={"app": "api"}, endpoints=(EntryEndpoint("10.2.0.1", labels={"istio.io/use-waypoint": "wp"}),))
    wp = waypoint(labels={"istio.io/waypoint-for": "all"})
    [one] = list(mesh(made, wp, authorization("p", selector={"app": "api"})).workloads.values())
    assert one.authorization_policies == ("shop/p",)
    assert one.waypoint is not None


def test_an_endpoint_that_cannot_be_told_is_left_out() -> None:
    twice = EntryEndpoint("10.2.0.1")
    told = mesh(entry(endpoints=(twice, twice, EntryEndpoint("unix:///run/x.sock"))))
    assert list(told.workloads) == [endpoint_uid("10.2.0.1")]
    assert codes(told) == ["endpoint-unusable"] * 2
