"""Kubernetes' own kinds: what is read of them, and what is wrong."""

from __future__ import annotations

import pytest

from mesh_py.manifests.core import (
    ContainerPort,
    Deployment,
    EndpointSlice,
    Node,
    Pod,
    PodSpec,
    PodTemplate,
    Service,
    ServiceAccount,
    ServicePort,
    SliceEndpoint,
    SlicePort,
)
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.selector import LabelSelector, Operator, Requirement
from mesh_py.model.workload import Locality
from tests.support.manifests import faults, read, warnings

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\n"
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n"
DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\n"
SHOP = Metadata("web", "shop")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("spec: {containers: []}", Pod(SHOP), id="the least"),
        pytest.param(
            "spec:\n  serviceAccountName: w\n  nodeName: n1\n  hostNetwork: true\n  terminationGracePeriodSeconds: 5\n"
            "  containers: [{name: a, ports: [{containerPort: '80', name: http}]}, {ports: [{containerPort: 53, "
            "protocol: UDP}]}]",
            Pod(
                SHOP, PodSpec("w", "n1", True, (ContainerPort(80, "http"), ContainerPort(53, "", "UDP")), 5, ("a", ""))
            ),
            id="what concerns a mesh",
        ),
        pytest.param("spec: {serviceAccount: old, containers: []}", Pod(SHOP, PodSpec("old")), id="the old key"),
        pytest.param(
            "spec: {containers: []}\nstatus: {podIP: 10.0.0.1, phase: Pending}",
            Pod(SHOP, ips=("10.0.0.1",), phase="Pending"),  # type: ignore[arg-type]
            id="one address",
        ),
        pytest.param(
            "spec: {containers: []}\nstatus: {conditions: [{type: Ready, status: 'True'}, {type: X, status: 'False'}]}",
            Pod(SHOP),
            id="ready",
        ),
    ],
)
def test_pods(text: str, expected: Pod) -> None:
    assert read(Pod, POD + text) == expected


ADDRESSED = "apiVersion: {}\nkind: {}\nmetadata: {{name: web, annotations: {{hbone.mesh/pod-ips: '{}'}}}}\nspec: {}\n"
TEMPLATE = "{selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: []}}}"


def test_addresses_may_be_written_as_an_annotation() -> None:
    pod = read(Pod, ADDRESSED.format("v1", "Pod", "10.0.0.1,fd00::1", "{containers: []}"))
    deployment = read(Deployment, ADDRESSED.format("apps/v1", "Deployment", "10.0.0.1, 10.0.0.2", TEMPLATE))
    assert pod.ips == ("10.0.0.1", "fd00::1")
    assert deployment.pod_ips == ("10.0.0.1", "10.0.0.2")


def test_the_status_counts_more_than_the_annotation() -> None:
    text = ADDRESSED.format("v1", "Pod", "10.0.0.1", "{containers: []}")
    assert read(Pod, f"{text}status: {{podIP: 10.0.0.9}}").ips == ("10.0.0.9",)


def test_an_annotation_that_is_no_address_is_a_fault() -> None:
    assert faults(ADDRESSED.format("apps/v1", "Deployment", "10.0.0", TEMPLATE)) == [
        "4:7: annotation hbone.mesh/pod-ips holds something else than IP addresses; write such as 10.0.0.1, 10.0.0.2"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("spec: {}", ["4:7: the spec of a Pod has no 'containers'; add it"], id="no containers"),
        pytest.param(
            "spec: {containers: [{ports: [{containerPort: 70000, nam: x}]}]}",
            [
                "4:46: expected a whole number from 1 to 65535, found '70000'",
                "4:53: unknown key 'nam' in container port; did you mean 'name'?",
            ],
            id="a port",
        ),
        pytest.param(
            "spec: {containers: []}\nstatus: {podIPs: [{ip: 10.0.0.256}]}",
            ["5:24: '10.0.0.256' is not an IP address"],
            id="an address",
        ),
        pytest.param(
            "spec: {containers: [], serviceAccountName: A}",
            ["4:44: 'A' is not a name (lower-case letters, digits, '-' and '.', at most 253)"],
            id="an account",
        ),
    ],
)
def test_what_is_wrong_with_a_pod(text: str, expected: list[str]) -> None:
    assert faults(POD + text) == expected


def test_an_unknown_key_of_a_pod_is_no_fault_and_warned_of_if_it_looks_like_ours() -> None:
    text = f"{POD}spec: {{containers: [], dnsPolicy: Default, futureThing: 1, serviceAcountName: web}}"
    assert faults(text) == []
    assert warnings(text) == [
        "4:60: unknown key 'serviceAcountName' in the spec of a Pod; did you mean 'serviceAccountName'?"
    ]


def test_a_deployment_has_a_template() -> None:
    text = f"""{DEPLOYMENT}
spec:
  replicas: 3
  strategy: {{}}
  selector:
    matchLabels: {{app: web}}
    matchExpressions: [{{key: v, operator: In, values: [a, b]}}, {{key: w, operator: Exists}}]
  template:
    metadata: {{labels: {{app: web, v: a}}, annotations: {{x: y}}, creationTimestamp: null}}
    spec: {{serviceAccountName: web, containers: []}}
status: {{}}
"""
    expressions = (Requirement("v", Operator.IN, ("a", "b")), Requirement("w", Operator.EXISTS))
    template = PodTemplate({"app": "web", "v": "a"}, {"x": "y"}, PodSpec("web"))
    assert read(Deployment, text) == Deployment(SHOP, LabelSelector({"app": "web"}, expressions), template, 3)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(
            "{replicas: -1, template: {spec: {containers: []}}}",
            [
                "4:7: the spec of a Deployment has no 'selector'; add it",
                "4:18: expected a whole number from 0 to 100000, found '-1'",
            ],
            id="replicas",
        ),
        pytest.param(
            "{selector: {matchLabel: {}}, template: {}}",
            [
                "4:19: unknown key 'matchLabel' in selector; did you mean 'matchLabels'?",
                "4:46: template has no 'spec'; add it",
            ],
            id="keys",
        ),
        pytest.param(
            "{selector: {matchExpressions: [{key: a, operator: In}, {key: b, operator: Exist}]}, "
            "template: {spec: {containers: []}}}",
            ["4:38: operator In takes values", "4:81: unknown value 'Exist'; did you mean 'Exists'?"],
            id="expressions",
        ),
    ],
)
def test_what_is_wrong_with_a_deployment(spec: str, expected: list[str]) -> None:
    assert faults(f"{DEPLOYMENT}spec: {spec}") == expected


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
