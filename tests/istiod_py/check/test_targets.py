"""What policies are attached to."""

from __future__ import annotations

import pytest

from tests.support.checks import findings

HEAD = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: p, namespace: {}}}\n"


def attached(target: str, namespace: str = "shop") -> str:
    return f"{HEAD.format(namespace)}spec: {{rules: [{{}}], targetRefs: [{target}]}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(attached("{kind: Service, name: cart, group: ''}"), [], id="a service with a waypoint"),
        pytest.param(
            attached("{kind: Gateway, name: waypoint, group: gateway.networking.k8s.io}"), [], id="a waypoint"
        ),
        pytest.param(
            attached("{kind: Service, name: crat, group: ''}"),
            [
                "4:34: error HM304: AuthorizationPolicy shop/p is attached to Service crat, which is not in its "
                "namespace; "
                "did you mean 'cart'?"
            ],
            id="nothing",
        ),
        pytest.param(
            attached("{kind: Service, name: cart, group: ''}", "default"),
            [
                "4:34: error HM304: AuthorizationPolicy default/p is attached to Service cart, which is not in its "
                "namespace; there is one in namespace shop: move the policy there"
            ],
            id="another namespace's",
        ),
        pytest.param(
            attached("{kind: Service, name: cart, group: '', namespace: shop}", "default"),
            [
                "4:34: error HM305: AuthorizationPolicy default/p is attached to Service shop/cart; "
                "move the policy to namespace shop"
            ],
            id="another namespace's, by name",
        ),
        pytest.param(
            attached("{kind: Service, name: web, group: ''}"),
            [
                "4:34: warning HM306: AuthorizationPolicy shop/p is attached to Service web, which has no waypoint to "
                "enforce it; label it with istio.io/use-waypoint"
            ],
            id="a service without a waypoint",
        ),
        pytest.param(
            attached("{kind: GatewayClass, name: istio-waypoint, group: gateway.networking.k8s.io}"),
            [
                "4:34: error HM305: AuthorizationPolicy shop/p is attached to GatewayClass istio-waypoint from "
                "outside the "
                "root namespace; move the policy to namespace istio-system"
            ],
            id="a class, from outside the root namespace",
        ),
        pytest.param(
            attached("{kind: GatewayClass, name: istio-waypiont, group: gateway.networking.k8s.io}", "istio-system")
            + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system}\n",
            [
                "4:34: error HM304: AuthorizationPolicy istio-system/p is attached to GatewayClass istio-waypiont, "
                "which has no waypoints; write istio-waypoint"
            ],
            id="another class",
        ),
    ],
)
def test_targets(text: str, expected: list[str]) -> None:
    assert findings(text, waypoint=True) == expected
