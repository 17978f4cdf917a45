"""Kubernetes' own kinds: what is read of them, and what is wrong."""

from __future__ import annotations

import pytest

from mesh_py.manifests.core import (
    EndpointSlice,
    Node,
    Service,
    ServiceAccount,
    ServicePort,
    SliceEndpoint,
    SlicePort,
)
from mesh_py.manifests.metadata import Metadata
from mesh_py.model.workload import Locality
from tests.support.manifests import faults, read

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n"
SHOP = Metadata("web", "shop")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param("{}", Service(SHOP), id="the least"),
        pytest.param(
            "{selector: {app: web}, ports: [{port: 80}]}",
            Service(SHOP, (ServicePort(80, target_port=80),), {"app": "web"}),
            id="the target is the port where none is written",
        ),
        pytest.param(
            "{ports: [{port: '80', name: a, targetPort: '8080'}, {port: 81, name: b, targetPort: http, "
            "appProtocol: http, protocol: TCP, nodePort: 30000}]}",
            Service(SHOP, (ServicePort(80, "a", 8080), ServicePort(81, "b", "http", app_protocol="http"))),
            id="ports",
        ),
        pytest.param("{clusterIP: None, clusterIPs: [None]}", Service(SHOP, is_headless=True), id="headless"),
        pytest.param("{clusterIP: ''}", Service(SHOP), id="an address to come"),
        pytest.param(
            "{clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1, 'FD00::1'], ipFamilies: [IPv4, IPv6], "
            "ipFamilyPolicy: RequireDualStack}",
            Service(
                SHOP,
                cluster_ips=("10.0.0.1", "fd00::1"),  # type: ignore[arg-type]
                ip_families=("IPv4", "IPv6"),
                ip_family_policy="RequireDualStack",
            ),
            id="both families",
        ),
        pytest.param(
            "{type: ExternalName, externalName: example.com}",
            Service(SHOP, type="ExternalName", external_name="example.com"),
            id="an alias",
        ),
        pytest.param(
            "{internalTrafficPolicy: Local, trafficDistribution: PreferClose, publishNotReadyAddresses: true}",
            Service(
                SHOP,
                internal_traffic_policy="Local",
                traffic_distribution="PreferClose",
                publish_not_ready_addresses=True,
            ),
            id="how traffic is spread",
        ),
    ],
)
def test_services(spec: str, expected: Service) -> None:
    assert read(Service, f"{SERVICE}spec: {spec}") == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(
            "{selectorr: {app: web}}",
            ["4:8: unknown key 'selectorr' in the spec of a Service; did you mean 'selector'?"],
            id="a key",
        ),
        pytest.param(
            "{ports: [{port: 80}, {port: 81}]}",
            ["4:7: a Service with several ports must name them all; give every port a name"],
            id="ports without names",
        ),
        pytest.param(
            "{ports: [{port: 80, targetPort: 0}, {targetport: 1}]}",
            [
                "4:39: expected a whole number from 1 to 65535, found '0'",
                "4:43: service port has no 'port'; add it",
                "4:44: unknown key 'targetport' in service port; did you mean 'targetPort'?",
            ],
            id="ports",
        ),
        pytest.param("{clusterIP: 10.0.0}", ["4:19: '10.0.0' is not an IP address"], id="an address"),
        pytest.param("{type: clusterip}", ["4:14: unknown value 'clusterip'; did you mean 'ClusterIP'?"], id="a type"),
        pytest.param(
            "{selector: [a]}", ["4:18: expected a mapping, found a list; write 'key: value' lines"], id="list"
        ),
    ],
)
def test_what_is_wrong_with_a_service(spec: str, expected: list[str]) -> None:
    assert faults(f"{SERVICE}spec: {spec}") == expected


def test_an_account_is_its_name() -> None:
    text = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web}\nsecrets: [{name: x}]"
    assert read(ServiceAccount, text) == ServiceAccount(Metadata("web", "default"))


def test_a_node_has_addresses_and_a_locality() -> None:
    text = """
    apiVersion: v1
    kind: Node
    metadata: {name: n1, namespace: ignored, labels: {topology.kubernetes.io/region: eu}}
    spec: {podCIDR: 10.0.0.0/24}
    status: {addresses: [{type: InternalIP, address: 172.18.0.2}, {type: Hostname, address: n1}], capacity: {cpu: "1"}}
    """
    node = read(Node, text)
    assert node.metadata.namespace == ""
    assert node.addresses == ("172.18.0.2",)
    assert node.locality == Locality("eu")


def test_an_endpoint_slice_has_endpoints_and_ports() -> None:
    text = """
    apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
    addressType: IPv4
    endpoints:
    - addresses: [10.0.0.1]
      conditions: {ready: false, serving: false, terminating: true}
      targetRef: {kind: Pod, name: web-x, namespace: shop, uid: u}
      nodeName: n1
      zone: z
    - addresses: [10.0.0.2]
      targetRef: {kind: Node, name: n1}
    ports: [{port: 80, name: http, protocol: TCP}]
    """
    found = read(EndpointSlice, text)
    assert found.service_name == "web"
    assert found.endpoints == (SliceEndpoint(("10.0.0.1",), False, "web-x", "n1", "z"), SliceEndpoint(("10.0.0.2",)))
    assert found.ports == (SlicePort(80, "http"),)
