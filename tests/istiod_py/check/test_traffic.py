"""DestinationRules: hosts, subsets, and the subsets that routes name."""

from __future__ import annotations

import pytest

from tests.support.checks import findings


def rule(spec: str) -> str:
    return (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
        f"metadata: {{name: r, namespace: shop}}\nspec: {{{spec}}}\n"
    )


def route(subset: str) -> str:
    named = f"{{type: ExtensionRef, extensionRef: {{group: hbone.mesh, kind: Subset, name: {subset}}}}}"
    return (
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: h, namespace: shop}\n"
        "spec:\n  parentRefs: [{group: '', kind: Service, name: cart}]\n"
        f"  rules: [{{backendRefs: [{{name: cart, port: 80, filters: [{named}]}}]}}]\n"
    )


V1 = "host: cart, subsets: [{name: v1, labels: {app: web}}]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(rule(V1), [], id="a host and a subset"),
        pytest.param(rule("host: '*.shop.svc.cluster.local'"), [], id="every host of a namespace"),
        pytest.param(
            rule("host: carte"),
            ["1:1: warning HM418: DestinationRule shop/r: no service has the host carte; did you mean 'cart'?"],
            id="a host that is not there",
        ),
        pytest.param(
            rule("host: cart, subsets: [{name: v9, labels: {version: v9}}]"),
            ["1:1: warning HM419: DestinationRule shop/r: no workload of cart is of subset v9; requests to it get 503"],
            id="a subset of nobody",
        ),
        pytest.param(
            rule("host: cart, trafficPolicy: {portLevelSettings: [{port: {number: 81}}]}"),
            [
                "1:1: warning HM423: DestinationRule shop/r: cart has no port 81; "
                "portLevelSettings name the service's ports"
            ],
            id="a port that is not there",
        ),
        pytest.param(
            rule("host: cart, trafficPolicy: {tls: {mode: SIMPLE, credentialName: s}}"),
            [
                "1:1: warning HM422: DestinationRule shop/r: sidecars read the Secret s for a workloadSelector's rule "
                "only; add one; without it a waypoint of the rule's namespace reads it, and all others answer 503"
            ],
            id="a Secret",
        ),
        pytest.param(
            rule(
                "host: cart, workloadSelector: {matchLabels: {app: nobody}}, "
                "trafficPolicy: {tls: {mode: SIMPLE, credentialName: s}}"
            ),
            [
                "1:1: warning HM422: DestinationRule shop/r: nobody sends the Secret s to proxies; "
                "mount it beside each, and set CREDENTIALS_DIR",
                "1:1: warning HM424: DestinationRule shop/r: its workloadSelector selects no workload of shop; "
                "nobody follows it",
            ],
            id="a Secret of few",
        ),
        pytest.param(
            rule("host: cart, workloadSelector: {matchLabels: {app: nobody}}"),
            [
                "1:1: warning HM424: DestinationRule shop/r: its workloadSelector selects no workload of shop; "
                "nobody follows it"
            ],
            id="clients that are not there",
        ),
        pytest.param(rule(V1) + route("v1"), [], id="a route to a subset"),
        pytest.param(
            rule(V1) + route("v2"),
            [
                "11:94: error HM420: HTTPRoute shop/h: cart has no subset v2; "
                "add it to a DestinationRule: requests get 500"
            ],
            id="a route to none",
        ),
    ],
)
def test_findings(text: str, expected: list[str]) -> None:
    assert findings(text, waypoint=True) == expected


STRICT_SIDECAR = """---
apiVersion: v1
kind: Pod
metadata: {name: beside, namespace: shop, labels: {app: web, sidecar.istio.io/inject: "true"}}
spec: {serviceAccountName: web, containers: [{name: web, ports: [{containerPort: 8080, name: http}]}]}
status: {podIP: 10.0.0.9}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: p, namespace: shop}
spec: {mtls: {mode: STRICT}}
"""


@pytest.mark.parametrize(("mode", "is_told"), [("DISABLE", True), ("SIMPLE", True), ("ISTIO_MUTUAL", False)])
def test_a_sidecar_that_demands_mutual_tls(mode: str, is_told: bool) -> None:
    found = findings(rule(f"host: cart, trafficPolicy: {{tls: {{mode: {mode}}}}}") + STRICT_SIDECAR, waypoint=True)
    said = (
        f"1:1: warning HM425: DestinationRule shop/r: tls mode {mode}, and the sidecar of shop/beside is STRICT; "
        "write ISTIO_MUTUAL, or no tls at all"
    )
    assert (said in found) is is_told
    assert any("HM425" in one for one in found) is is_told


def limit(service: str, namespace: str = "shop") -> str:
    entry = f"{{service: {service}, maxTokens: 1, fillInterval: 1s}}"
    return (
        "apiVersion: hbone.mesh/v1\nkind: FilterConfig\n"
        f"metadata: {{name: f, namespace: {namespace}}}\nspec: {{rateLimits: [{entry}]}}\n"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(limit("shop/cart"), [], id="a service with a waypoint"),
        pytest.param(
            limit("shop/web"),
            [
                "1:1: warning HM421: FilterConfig shop/f: service shop/web has no waypoint; "
                "label the service with istio.io/use-waypoint"
            ],
            id="one without",
        ),
        pytest.param(
            limit("shop/carte"),
            ["1:1: warning HM421: FilterConfig shop/f: service shop/carte is not there; did you mean 'cart'?"],
            id="none",
        ),
        pytest.param(
            limit("far/web"),
            [
                "4:7: error HM005: service far/web is not of the FilterConfig's namespace shop; "
                "write one in the namespace of the service"
            ],
            id="another namespace's",
        ),
    ],
)
def test_filter_configs(text: str, expected: list[str]) -> None:
    assert findings(text, waypoint=True) == expected
