"""Routes: parents, backends, rules that are never reached."""

from __future__ import annotations

import pytest

from tests.support.checks import findings

HEAD = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r, namespace: {}}}\nspec:\n"
CART = "{group: '', kind: Service, name: cart}"
TO_CART = "{name: cart, port: 80}"


def route(parent: str = CART, rules: str = f"[{{backendRefs: [{TO_CART}]}}]", namespace: str = "shop") -> str:
    return f"{HEAD.format(namespace)}  parentRefs: [{parent}]\n  rules: {rules}\n"


def gateway(namespace: str = "shop") -> str:
    return (
        f"---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: front, namespace: "
        f"{namespace}}}\n"
        "spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}\n"
    )


OTHER = """\
---
apiVersion: v1
kind: Namespace
metadata: {name: other}
---
apiVersion: v1
kind: Service
metadata: {name: far, namespace: other}
spec: {ports: [{port: 80}], selector: {app: far}}
---
apiVersion: v1
kind: Pod
metadata: {name: far, namespace: other, labels: {app: far}}
spec: {containers: []}
"""
GRANT = """\
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: other}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}]
  to: [{group: '', kind: Service}]
"""
FRONT = "{name: front}"
FAR = "[{backendRefs: [{name: far, namespace: other, port: 80}]}]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(route(), [], id="a service with a waypoint"),
        pytest.param(route(CART[:-1] + ", port: 80, sectionName: http}"), [], id="its port"),
        pytest.param(route(FRONT) + gateway(), [], id="a gateway"),
        pytest.param(
            route("{group: '', kind: Service, name: crat}"),
            [
                "5:16: error HM401: HTTPRoute shop/r is attached to Service shop/crat, which is not there; "
                "did you mean 'cart'?"
            ],
            id="nothing",
        ),
        pytest.param(
            route("{name: frnt}") + gateway(),
            [
                "5:16: error HM401: HTTPRoute shop/r is attached to Gateway shop/frnt, which is not there; "
                "did you mean 'front'?"
            ],
            id="no gateway",
        ),
        pytest.param(
            route("{name: waypoint}"),
            [
                "5:16: warning HM416: HTTPRoute shop/r is attached to waypoint shop/waypoint; "
                "ours follows it, Istio's does not: attach it to a Service behind the waypoint (group '')"
            ],
            id="a waypoint",
        ),
        pytest.param(
            route("{group: networking.istio.io, kind: ServiceEntry, name: x}"),
            [
                "5:16: error HM401: HTTPRoute shop/r is attached to ServiceEntry shop/x, which is not there; "
                "namespace shop has none"
            ],
            id="no entry",
        ),
        pytest.param(
            route("{group: '', kind: Pod, name: x}"),
            [
                "5:16: warning HM413: HTTPRoute shop/r is attached to a Pod of group ''; "
                "attach it to a Service (group '') or a Gateway"
            ],
            id="another kind",
        ),
        pytest.param(
            route(CART[:-1] + ", port: 81, sectionName: htp}"),
            [
                "5:16: error HM402: HTTPRoute shop/r is attached to port 'htp' of Service shop/cart; did you mean "
                "'http'?",
                "5:16: error HM402: HTTPRoute shop/r is attached to port 81 of Service shop/cart; it has 80",
            ],
            id="a port that is not there",
        ),
        pytest.param(
            route("{name: front, port: 81, sectionName: htp}") + gateway(),
            [
                "5:16: error HM402: HTTPRoute shop/r is attached to listener 'htp' of Gateway shop/front; "
                "did you mean 'http'?",
                "5:16: error HM402: HTTPRoute shop/r is attached to port 81 of Gateway shop/front; it has 80",
            ],
            id="a listener that is not there",
        ),
        pytest.param(
            route("{group: '', kind: Service, name: web}"),
            [
                "5:16: warning HM406: HTTPRoute shop/r routes Service shop/web, which has no waypoint; nobody has a "
                "sidecar; "
                "label the Service with istio.io/use-waypoint"
            ],
            id="nobody routes",
        ),
        pytest.param(
            route(
                CART[:-1] + ", namespace: shop}",
                "[{backendRefs: [{name: cart, namespace: shop, port: 80}]}]",
                "default",
            ),
            [
                "5:16: warning HM407: HTTPRoute default/r routes Service shop/cart from another namespace; "
                "move it to namespace shop"
            ],
            id="a route from afar",
        ),
    ],
)
def test_parents(text: str, expected: list[str]) -> None:
    assert findings(text, waypoint=True) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            route(rules="[{backendRefs: [{name: wbe, port: 80}, {name: web, port: 8080}]}]"),
            [
                "6:26: error HM403: HTTPRoute shop/r leads to Service shop/wbe, which is not there; did you mean "
                "'web'?",
                "6:49: error HM404: HTTPRoute shop/r leads to port 8080 of Service shop/web; it has 80",
            ],
            id="backends",
        ),
        pytest.param(
            route(
                rules=f"[{{backendRefs: [{TO_CART}], filters: [{{type: RequestMirror, requestMirror: "
                "{backendRef: {name: copy, port: 80}}}]}]"
            ),
            [
                "6:111: error HM403: HTTPRoute shop/r leads to Service shop/copy, which is not there; there are "
                "cart, web"
            ],
            id="a mirror",
        ),
        pytest.param(route(rules=FAR) + OTHER, [], id="another namespace's, inside the mesh"),
        pytest.param(
            route(FRONT, FAR) + gateway() + OTHER,
            [
                "6:26: error HM405: HTTPRoute shop/r leads to Service other/far of another namespace; "
                "add a ReferenceGrant in namespace other"
            ],
            id="another namespace's, at a gateway",
        ),
        pytest.param(route(FRONT, FAR) + gateway() + OTHER + GRANT, [], id="another namespace's, which grants it"),
        pytest.param(
            route(
                rules="[{backendRefs: [{group: x.io, kind: Bucket, name: b}, "
                "{group: networking.istio.io, kind: Hostname, name: a.b, port: 80}]}]"
            ),
            ["6:26: warning HM413: HTTPRoute shop/r leads to a Bucket of group 'x.io'; lead to a Service (group '')"],
            id="another kind",
        ),
    ],
)
def test_backends(text: str, expected: list[str]) -> None:
    assert findings(text, waypoint=True) == expected


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param(
            "[{matches: [{path: {value: /a}}]}]",
            [
                "6:11: warning HM408: HTTPRoute shop/r has a rule that leads nowhere; add backendRefs, or a "
                "RequestRedirect"
            ],
            id="nowhere",
        ),
        pytest.param("[{filters: [{type: RequestRedirect, requestRedirect: {hostname: a.b}}]}]", [], id="a redirect"),
        pytest.param(
            "[{backendRefs: [{name: cart, port: 80, weight: 0}]}]",
            [
                "6:11: warning HM409: HTTPRoute shop/r has a rule whose backends all have weight 0; "
                "give one of them a weight"
            ],
            id="no weight",
        ),
        pytest.param(
            f"[{{backendRefs: [{TO_CART}], filters: [{{type: ExtensionRef, extensionRef: "
            "{group: x.io, kind: Limit, name: l}}]}]",
            [
                "6:96: error HM410: HTTPRoute shop/r has a filter of kind x.io/Limit; "
                "remove it, or say it with filters of the Gateway API"
            ],
            id="a filter of somebody else",
        ),
        pytest.param(
            f"[{{matches: [{{path: {{type: Exact, value: /a}}}}], backendRefs: [{TO_CART}], filters: [{{type: "
            f"URLRewrite, "
            "urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]}]",
            [
                "6:137: error HM412: HTTPRoute shop/r replaces a prefix (ReplacePrefixMatch) where a path is matched "
                "in "
                "another way; match by PathPrefix, or write ReplaceFullPath"
            ],
            id="a prefix that is not matched",
        ),
    ],
)
def test_rules(rules: str, expected: list[str]) -> None:
    assert findings(route(rules=rules), waypoint=True) == expected
