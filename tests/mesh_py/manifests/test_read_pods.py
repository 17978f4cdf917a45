"""Pods and Deployments as typed objects: what is read of them, and what is wrong with them."""

from __future__ import annotations

import pytest

from mesh_py.manifests.core import (
    ContainerPort,
    Deployment,
    Pod,
    PodSpec,
    PodTemplate,
)
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.selector import LabelSelector, Operator, Requirement
from tests.support.manifests import faults, read, warnings

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\n"
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
            Pod(SHOP, ips=("10.0.0.1",), phase="Pending", ready=False),  # type: ignore[arg-type]
            id="one address",
        ),
        pytest.param(
            "spec: {containers: []}\nstatus: {conditions: [{type: Ready, status: 'True'}, {type: X, status: 'False'}]}",
            Pod(SHOP),
            id="ready",
        ),
        pytest.param(
            "spec: {containers: []}\nstatus: {phase: Running, conditions: [{type: X, status: 'True'}]}",
            Pod(SHOP, ready=False),
            id="not known to be ready",
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
