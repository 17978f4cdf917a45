"""Pods as workloads (hbone-controlplane 1.5, 1.6)."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.ambient.options import AmbientOptions
from istiod_py.ambient.participation import DataPlane
from mesh_py.manifests.core import ContainerPort, EndpointSlice, Node, Pod, ServicePort, SliceEndpoint
from mesh_py.manifests.mesh_config import MeshConfig
from mesh_py.manifests.metadata import Metadata, Owner
from mesh_py.model.address import NamespacedHostname
from mesh_py.model.workload import HealthStatus, Locality, NetworkMode, Protocol
from tests.istiod_py.ambient.folder import AMBIENT, mesh, meta, namespace, peers, pod, service, the_pod

WEB = {"app": "web"}
INJECTED = {"sidecar.istio.io/inject": "true"}
WEB_KEY = NamespacedHostname("shop", "web.shop.svc.cluster.local")


def test_a_pod_as_it_is_told() -> None:
    options = AmbientOptions(MeshConfig(trust_domain="corp", cluster_id="c1"))
    owner = Owner("ReplicaSet", "web-5d4f")
    made = pod(
        "web-5d4f-x", labels=WEB | {"pod-template-hash": "5d4f"}, owner=owner, service_account_name="web",
        node_name="n1",
    )  # fmt: skip
    told = mesh(AMBIENT, made, service(), options=options)
    one = told.workloads["c1//Pod/shop/web-5d4f-x"]
    assert (one.name, one.namespace, one.workload_ips, one.node) == ("web-5d4f-x", "shop", ("10.1.0.1",), "n1")
    assert str(one.identity) == "spiffe://corp/ns/shop/sa/web"
    assert (one.workload_name, one.workload_type, one.cluster_id) == ("web", "pod", "c1")
    assert (one.protocol, one.native_tunnel, one.network_mode) == (Protocol.HBONE, False, NetworkMode.STANDARD)
    assert one.services == {NamespacedHostname("shop", "web.shop.svc.cluster.local"): {80: 8080}}
    assert told.data_planes == {one.uid: DataPlane.NODE}


@pytest.mark.parametrize(
    ("made", "status"),
    [
        pytest.param(pod(), HealthStatus.HEALTHY, id="ready"),
        pytest.param(pod(ready=False), HealthStatus.UNHEALTHY, id="not ready"),
        pytest.param(pod(is_deleted=True), HealthStatus.UNHEALTHY, id="being deleted"),
        pytest.param(pod(phase="Pending", ready=False), HealthStatus.UNHEALTHY, id="pending, with an address"),
        pytest.param(pod(phase="Succeeded"), None, id="ended"),
        pytest.param(pod(phase="Failed"), None, id="failed"),
        pytest.param(pod(ip=""), None, id="without an address"),
    ],
)
def test_health(made: Pod, status: HealthStatus | None) -> None:
    statuses = [one.status for one in mesh(made).workloads.values()]
    assert statuses == ([] if status is None else [status])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, (Protocol.TCP, False, DataPlane.NONE)),
        ({"istio.io/dataplane-mode": "ambient"}, (Protocol.HBONE, False, DataPlane.NODE)),
        ({"sidecar.istio.io/inject": "true"}, (Protocol.TCP, False, DataPlane.SIDECAR)),
        (
            {"sidecar.istio.io/inject": "true", "networking.istio.io/tunnel": "http"},
            (Protocol.HBONE, True, DataPlane.SIDECAR),
        ),
    ],
    ids=str,
)
def test_how_a_pod_is_reached(labels: dict[str, str], expected: tuple[Protocol, bool, DataPlane]) -> None:
    told = mesh(pod(labels=labels))
    one = the_pod(told)
    assert (one.protocol, one.native_tunnel, told.data_planes[one.uid]) == expected


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([pod()], False, id="no sidecar"),
        pytest.param([AMBIENT, pod()], False, id="ambient"),
        pytest.param([pod(labels=INJECTED)], True, id="a sidecar"),
        pytest.param([pod(labels=INJECTED), peers(mode="STRICT")], True, id="a strict one"),
        pytest.param([pod(labels=INJECTED), peers(mode="DISABLE")], False, id="one that is told not to"),
    ],
)
def test_a_sidecar_takes_mutual_tls(objects: list[Any], expected: bool) -> None:
    assert the_pod(mesh(*objects)).mutual_tls is expected


def test_a_pod_on_the_hosts_network() -> None:
    assert the_pod(mesh(AMBIENT, pod(host_network=True))).network_mode is NetworkMode.HOST_NETWORK


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, ("web-1", "latest")),
        ({"app": "web"}, ("web", "latest")),
        ({"app": "web", "app.kubernetes.io/name": "shop-web"}, ("shop-web", "latest")),
        ({"app": "web", "service.istio.io/canonical-name": "w", "version": "v1"}, ("w", "v1")),
        ({"version": "v1", "app.kubernetes.io/version": "v2"}, ("web-1", "v2")),
        ({"app.kubernetes.io/version": "v2", "service.istio.io/canonical-revision": "v3"}, ("web-1", "v3")),
    ],
    ids=str,
)
def test_canonical_name_and_revision(labels: dict[str, str], expected: tuple[str, str]) -> None:
    one = the_pod(mesh(pod(labels=labels)))
    assert (one.canonical_name, one.canonical_revision) == expected


REGION, ZONE = {"topology.kubernetes.io/region": "r"}, {"topology.kubernetes.io/zone": "z"}


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([pod(node_name="n1")], Locality(), id="unknown"),
        pytest.param([Node(Metadata("n1", labels=REGION | ZONE)), pod(node_name="n1")], Locality("r", "z"), id="node"),
        pytest.param([pod(node_name="n1", labels=REGION | ZONE)], Locality("r", "z"), id="labels of the pod"),
    ],
)
def test_where_a_pod_runs(objects: list[Any], expected: Locality) -> None:
    assert the_pod(mesh(*objects)).locality == expected


def test_a_pod_may_be_of_another_network() -> None:
    assert the_pod(mesh(pod(labels={"topology.istio.io/network": "far"}))).network == "far"


# The services it stands behind.


@pytest.mark.parametrize(
    ("fields", "served"),
    [
        pytest.param({}, True, id="a selector that matches"),
        pytest.param({"selector": {"app": "web", "v": "1"}}, False, id="a label too many"),
        pytest.param({"selector": {}}, False, id="an empty selector selects nothing"),
        pytest.param({"namespace": "other"}, False, id="of another namespace"),
    ],
)
def test_services_by_selector(fields: dict[str, Any], served: bool) -> None:
    assert bool(the_pod(mesh(service(**fields), pod(labels=WEB))).services) is served


def test_services_by_slices_that_name_the_pod() -> None:
    listing = EndpointSlice(
        meta("web-x", labels={"kubernetes.io/service-name": "web"}),
        endpoints=(SliceEndpoint(("10.1.0.1",), pod="web-1"),),
    )
    told = mesh(service(selector={}), listing, pod(), pod("web-2", "10.1.0.2"))
    assert list(the_pod(told).services) == [WEB_KEY]
    assert the_pod(told, "web-2").services == {}
    assert len(told.workloads) == 2


def test_each_pod_resolves_named_ports_for_itself() -> None:
    web = service(ports=(ServicePort(80, "http", "web"),))
    pods = [
        pod(f"web-{number}", f"10.1.0.{number}", labels=WEB, ports=(ContainerPort(number, name),))
        for number, name in ((81, "web"), (82, "web"), (83, "other"))
    ]
    told = mesh(web, *pods)
    assert [the_pod(told, made.metadata.name).services[WEB_KEY] for made in pods] == [{80: 81}, {80: 82}, {}]


def test_a_namespace_that_nothing_describes_is_no_part_of_the_mesh() -> None:
    assert the_pod(mesh(namespace("other", {"istio.io/dataplane-mode": "ambient"}), pod())).protocol is Protocol.TCP
