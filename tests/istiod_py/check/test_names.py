"""Names and addresses: taken twice, leading nowhere, in a form that is never met."""

from __future__ import annotations

import pytest

from tests.support.checks import findings

POD = (
    "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{containers: "
    "[]{spec}}}\n{more}"
)


def pod(name: str = "a", namespace: str = "shop", spec: str = "", more: str = "") -> str:
    return POD.format(name=name, namespace=namespace, spec=spec and f", {spec}", more=more)


IP = "status: {podIP: 10.9.9.9}\n"
ENTRY = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {}, namespace: shop}}\nspec: {}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            f"{pod()}---\n{pod()}",
            [
                "6:1: error HM101: Pod shop/a is there already, at f.yaml:1:1; this one is left out; rename or "
                "remove one"
            ],
            id="a name",
        ),
        pytest.param(
            f"{pod(more=IP)}---\n{pod('b', more=IP)}",
            ["7:1: error HM102: Pod shop/b has the address 10.9.9.9 of Pod shop/a; give it one of its own"],
            id="an address",
        ),
        pytest.param(
            f"{pod(more=IP)}---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n"
            "metadata: {name: vm, namespace: shop}\nspec: {address: 10.9.9.9}\n",
            ["7:1: error HM102: WorkloadEntry shop/vm has the address 10.9.9.9 of Pod shop/a; give it one of its own"],
            id="an address of a machine",
        ),
        pytest.param(
            f"{pod(spec='hostNetwork: true', more=IP)}---\n{pod('b', spec='hostNetwork: true', more=IP)}",
            [],
            id="the host's address is shared on purpose",
        ),
        pytest.param(
            f"{pod(more=IP)}---\n{pod('b', more='status: {podIP: 10.9.9.9, phase: Failed}')}",
            [],
            id="what has ended has no address any more",
        ),
        pytest.param(
            ENTRY.format("x", "{hosts: [a.b], addresses: [10.9.9.9], ports: [{number: 80, name: http}]}")
            + "---\napiVersion: v1\nkind: Service\nmetadata: {name: b, namespace: shop}\n"
            "spec: {clusterIP: 10.9.9.9, selector: {app: web}, ports: [{port: 80}]}\n",
            [
                "1:1: error HM103: ServiceEntry shop/x has the address 10.9.9.9 of Service shop/b; give it one of "
                "its own"
            ],
            id="a virtual address",
        ),
        pytest.param(
            pod(namespace="shpo"),
            [
                "1:1: warning HM104: Pod a is in namespace shpo, which no manifest describes; did you mean 'shop'?",
            ],
            id="a namespace",
        ),
        pytest.param(f"{pod(namespace='default')}", [], id="a namespace that every cluster has"),
        pytest.param(
            pod(spec="serviceAccountName: wbe"),
            [
                "1:1: warning HM105: Pod shop/a runs as service account wbe, which no manifest describes; "
                "did you mean 'web'?"
            ],
            id="a service account",
        ),
        pytest.param(pod(spec="serviceAccountName: default"), [], id="the account that every namespace has"),
        pytest.param(pod(spec="nodeName: n1"), [], id="a node where none is described"),
        pytest.param(
            "apiVersion: v1\nkind: Node\nmetadata: {name: node-1}\n---\n" + pod(spec="nodeName: nod-1"),
            ["5:1: warning HM106: Pod shop/a runs on node nod-1, which no manifest describes; did you mean 'node-1'?"],
            id="a node",
        ),
        pytest.param(
            ENTRY.format("x", "{hosts: [Api.Example.com.], ports: [{number: 80, name: http}]}"),
            [
                "1:1: warning HM107: ServiceEntry shop/x: host 'Api.Example.com.' is not as clients write it; "
                "write 'api.example.com'"
            ],
            id="a host",
        ),
        pytest.param(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: shop}\nspec:\n"
            "  selector: {matchLabels: {app: a}}\n  template:\n    metadata: {labels: {app: b}}\n"
            "    spec: {containers: []}\n",
            [
                "7:5: error HM108: Deployment shop/a does not select the labels of its own template; "
                "give the template the labels of the selector"
            ],
            id="a template",
        ),
    ],
)
def test_names(text: str, expected: list[str]) -> None:
    assert findings(text) == expected


def test_a_namespace_is_told_once() -> None:
    text = f"{pod(namespace='other')}---\n{pod('b', namespace='other')}"
    assert findings(text, sound=False) == [
        "1:1: warning HM104: Pod a is in namespace other, which no manifest describes; "
        "add a Namespace, with istio.io/dataplane-mode: ambient if wanted"
    ]
