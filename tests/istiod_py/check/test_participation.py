"""Who takes part in the mesh, and waypoints that cannot work."""

from __future__ import annotations

import pytest

from tests.support.checks import findings

GATEWAY = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: w, namespace: shop{}}}\n"
LISTENING = "spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}\n"
ASKING = (
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop, labels: {istio.io/use-waypoint: w}}\n"
    "spec: {selector: {app: web}, ports: [{port: 80}]}\n"
)
POD = (
    "---\napiVersion: v1\nkind: Pod\n"
    "metadata: {name: w, namespace: shop, labels: {gateway.networking.k8s.io/gateway-name: w}}\nspec: "
    "{containers: []}\n"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(GATEWAY.format("") + LISTENING + ASKING + POD, [], id="a waypoint that works"),
        pytest.param(
            GATEWAY.format("") + LISTENING + POD,
            [
                "1:1: warning HM507: waypoint shop/w is asked for by nothing; "
                "label a namespace or a service with istio.io/use-waypoint: w"
            ],
            id="nobody asks for it",
        ),
        pytest.param(
            GATEWAY.format("") + LISTENING + ASKING,
            [
                "1:1: warning HM504: waypoint shop/w has no pods, so what is behind it cannot be reached; "
                "label its pods with gateway.networking.k8s.io/gateway-name: w"
            ],
            id="no pods",
        ),
        pytest.param(
            GATEWAY.format("")
            + "spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HTTP}]}\n"
            + ASKING
            + POD,
            [
                "1:1: error HM505: waypoint shop/w has no listener with protocol HBONE on port 15008; "
                "add {name: mesh, port: 15008, protocol: HBONE}"
            ],
            id="no listener",
        ),
        pytest.param(
            GATEWAY.format(", labels: {istio.io/waypoint-for: services}") + LISTENING,
            [
                "1:1: warning HM506: Gateway shop/w has label istio.io/waypoint-for: 'services', which means nothing; "
                "did you mean 'service'?",
                "1:1: warning HM507: waypoint shop/w is asked for by nothing; "
                "label a namespace or a service with istio.io/use-waypoint: w",
            ],
            id="for nothing",
        ),
        pytest.param(
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {istio.io/dataplane-mode: ambiant}}\n",
            [
                "1:1: warning HM506: Namespace a has label istio.io/dataplane-mode: 'ambiant', which means nothing; "
                "did you mean 'ambient'?"
            ],
            id="a mode",
        ),
    ],
)
def test_waypoints_and_labels(text: str, expected: list[str]) -> None:
    assert findings(text) == expected


def test_a_namespace_may_ask_for_a_waypoint() -> None:
    asking = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: x, labels: {istio.io/use-waypoint: w}}\n"
    text = (GATEWAY.format("") + LISTENING + POD).replace("shop", "x") + asking
    assert findings(text) == []
