"""Gateway and ReferenceGrant: what is read of them, and what is wrong."""

from __future__ import annotations

import pytest

from mesh_py.manifests.gateway import AllowedRoutes, Gateway, GatewayAddressValue, Granted, Listener, ReferenceGrant
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.selector import LabelSelector
from tests.support.manifests import faults, read

WAYPOINT = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop, labels: {istio.io/waypoint-for: all}}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{name: mesh, port: 15008, protocol: HBONE}]
status:
  addresses: [{type: Hostname, value: waypoint.shop.svc.cluster.local}, {value: 10.96.0.9}]
  conditions: [{type: Accepted, status: "True"}]
"""


def test_a_waypoint() -> None:
    gateway = read(Gateway, WAYPOINT)
    assert gateway == Gateway(
        Metadata("waypoint", "shop", {"istio.io/waypoint-for": "all"}),
        "istio-waypoint",
        (Listener("mesh", 15008, "HBONE"),),
        status_addresses=(
            GatewayAddressValue("Hostname", "waypoint.shop.svc.cluster.local"),
            GatewayAddressValue("IPAddress", "10.96.0.9"),
        ),
    )
    assert gateway.is_waypoint
    assert gateway.waypoint_for == "all"


def test_an_ingress() -> None:
    text = """
    apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: {name: front, namespace: shop}
    spec:
      gatewayClassName: istio
      addresses: [{type: IPAddress, value: 10.0.0.1}]
      infrastructure: {labels: {a: b}, annotations: {c: d}, parametersRef: {group: "", kind: ConfigMap, name: x}}
      listeners:
      - name: https
        port: 443
        protocol: HTTPS
        hostname: "*.example.com"
        tls: {mode: Terminate, certificateRefs: [{name: cert}]}
        allowedRoutes:
          namespaces: {from: Selector, selector: {matchLabels: {x: y}}}
          kinds: [{kind: HTTPRoute}]
      - {name: tls, port: 8443, protocol: TLS, tls: {mode: Passthrough}, allowedRoutes: {namespaces: {from: All}}}
    """
    gateway = read(Gateway, text)
    assert gateway.listeners == (
        Listener(
            "https",
            443,
            "HTTPS",
            "*.example.com",
            "Terminate",
            AllowedRoutes("Selector", LabelSelector({"x": "y"}), ("HTTPRoute",)),
        ),
        Listener("tls", 8443, "TLS", tls_mode="Passthrough", allowed_routes=AllowedRoutes("All")),
    )
    assert (gateway.infrastructure_labels, gateway.infrastructure_annotations) == ({"a": "b"}, {"c": "d"})
    assert not gateway.is_waypoint
    assert gateway.waypoint_for == "service"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(
            "{listeners: []}", ["4:7: the spec of a Gateway has no 'gatewayClassName'; add it"], id="no class"
        ),
        pytest.param(
            "{gatewayClassName: x, listeners: [{name: a, port: 0, protocl: TCP}]}",
            [
                "4:41: listener has no 'protocol'; add it",
                "4:57: expected a whole number from 1 to 65535, found '0'",
                "4:60: unknown key 'protocl' in listener; did you mean 'protocol'?",
            ],
            id="a listener",
        ),
        pytest.param(
            "{gatewayClassName: x, listeners: [{name: a, port: 1, protocol: TCP, "
            "allowedRoutes: {namespaces: {from: Selector}}}]}",
            ["4:90: a selector of namespaces goes with 'from: Selector'; write both, or neither"],
            id="a selector that is missing",
        ),
    ],
)
def test_what_is_wrong_with_a_gateway(spec: str, expected: list[str]) -> None:
    head = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: a}\n"
    assert faults(f"{head}spec: {spec}") == expected


def test_a_reference_grant() -> None:
    text = """
    apiVersion: gateway.networking.k8s.io/v1beta1
    kind: ReferenceGrant
    metadata: {name: a, namespace: shop}
    spec:
      from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: web}]
      to: [{group: "", kind: Service}, {group: "", kind: Service, name: cart}]
    """
    assert read(ReferenceGrant, text) == ReferenceGrant(
        Metadata("a", "shop"),
        (Granted("gateway.networking.k8s.io", "HTTPRoute", "web"),),
        (Granted("", "Service"), Granted("", "Service", name="cart")),
    )


def test_a_grant_of_nothing_is_a_fault() -> None:
    head = "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {name: a}\n"
    assert faults(f"{head}spec: {{from: [], to: []}}") == [
        "4:14: an empty list grants nothing; add an entry",
        "4:22: an empty list grants nothing; add an entry",
    ]


def test_an_address_that_is_a_name_must_say_so() -> None:
    text = WAYPOINT.replace("type: Hostname, ", "")
    assert faults(text) == [
        "8:15: 'waypoint.shop.svc.cluster.local' is no IP address; write type: Hostname if it is a name"
    ]
