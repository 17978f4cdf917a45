"""HTTPRoute, GRPCRoute, TCPRoute: what is read of them, and what is wrong."""

from __future__ import annotations

import pytest

from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.references import BackendReference, ParentReference
from mesh_py.manifests.route_filters import HeaderChanges, RequestHeaderModifier
from mesh_py.manifests.routes import (
    GRPCMethodMatch,
    GRPCRoute,
    GRPCRouteMatch,
    GRPCRouteRule,
    HTTPRoute,
    HTTPRouteMatch,
    HTTPRouteRule,
    PathMatch,
    PathMatchType,
    Retry,
    SessionPersistence,
    TCPRoute,
    TCPRouteRule,
    Timeouts,
    ValueMatch,
    ValueMatchType,
    WeightedBackend,
)
from tests.support.manifests import faults, read

SHOP = Metadata("r", "shop")
WEB, CART = BackendReference("web", "shop", port=80), BackendReference("cart", "other", port=81)


def http(spec: str) -> str:
    head = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: shop}\n"
    return f"{head}spec: {spec}"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param("{}", HTTPRoute(SHOP, rules=(HTTPRouteRule(),)), id="nothing: one rule for everything"),
        pytest.param(
            "{rules: [{matches: []}]}", HTTPRoute(SHOP, rules=(HTTPRouteRule(),)), id="no matches: every request"
        ),
        pytest.param(
            "{parentRefs: [{group: '', kind: Service, name: web, port: 80}, "
            "{name: front, namespace: g, sectionName: a}], "
            "hostnames: ['*.example.com']}",
            HTTPRoute(
                SHOP,
                (
                    ParentReference("web", "shop", "Service", "", port=80),
                    ParentReference("front", "g", section_name="a"),
                ),
                ("*.example.com",),
                (HTTPRouteRule(),),
            ),
            id="parents",
        ),
        pytest.param(
            "{rules: [{name: a, backendRefs: [{name: web, port: 80, weight: 0}, "
            "{name: cart, namespace: other, port: 81, "
            "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x]}}]}]}]}",
            HTTPRoute(
                SHOP,
                rules=(
                    HTTPRouteRule(
                        "a",
                        backend_refs=(
                            WeightedBackend(WEB, 0),
                            WeightedBackend(CART, 1, (RequestHeaderModifier(HeaderChanges(remove=("x",))),)),
                        ),
                    ),
                ),
            ),
            id="backends",
        ),
    ],
)
def test_http_routes(spec: str, expected: HTTPRoute) -> None:
    assert read(HTTPRoute, http(spec)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("{}", HTTPRouteMatch(), id="every request"),
        pytest.param("{path: {value: /a}}", HTTPRouteMatch(PathMatch(value="/a")), id="a prefix"),
        pytest.param(
            "{path: {type: Exact, value: /a}, method: GET, headers: [{name: X-A, value: b}], "
            "queryParams: [{name: q, value: '[0-9]+', type: RegularExpression}]}",
            HTTPRouteMatch(
                PathMatch(PathMatchType.EXACT, "/a"),
                (ValueMatch("X-A", "b"),),
                (ValueMatch("q", "[0-9]+", ValueMatchType.REGULAR_EXPRESSION),),
                "GET",
            ),
            id="everything",
        ),
        pytest.param(
            r"{path: {type: RegularExpression, value: '/[[:alpha:]]+\pL\z'}}",
            HTTPRouteMatch(PathMatch(PathMatchType.REGULAR_EXPRESSION, r"/[[:alpha:]]+\pL\z")),
            id="an expression that only RE2 has",
        ),
        pytest.param(
            "{path: {type: RegularExpression, value: '/a/.*'}}",
            HTTPRouteMatch(PathMatch(PathMatchType.REGULAR_EXPRESSION, "/a/.*")),
            id="an expression",
        ),
    ],
)
def test_matches(text: str, expected: HTTPRouteMatch) -> None:
    assert read(HTTPRoute, http(f"{{rules: [{{matches: [{text}]}}]}}")).rules[0].matches == (expected,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "timeouts: {request: 10s, backendRequest: 500ms}", HTTPRouteRule(timeouts=Timeouts(10, 0.5)), id="limits"
        ),
        pytest.param("timeouts: {request: 0s}", HTTPRouteRule(timeouts=Timeouts(0)), id="no limit"),
        pytest.param(
            "retry: {codes: [503, 504], attempts: 3, backoff: 100ms}",
            HTTPRouteRule(retry=Retry((503, 504), 3, 0.1)),
            id="retries",
        ),
        pytest.param("retry: {}", HTTPRouteRule(retry=Retry()), id="retries as the proxy likes"),
        pytest.param(
            "sessionPersistence: {sessionName: s, type: Cookie, absoluteTimeout: 1h, idleTimeout: 5m, "
            "cookieConfig: {lifetimeType: Permanent}}",
            HTTPRouteRule(session_persistence=SessionPersistence("s", "Cookie", 3600, 300, "Permanent")),
            id="sessions",
        ),
    ],
)
def test_rules(text: str, expected: HTTPRouteRule) -> None:
    assert read(HTTPRoute, http(f"{{rules: [{{{text}}}]}}")).rules == (expected,)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(
            "{ruls: []}", ["4:8: unknown key 'ruls' in the spec of a route; did you mean 'rules'?"], id="a key"
        ),
        pytest.param(
            "{rules: [{matches: [{path: {value: a}}, {path: {type: Prefix}}, {method: get}]}]}",
            [
                "4:34: path 'a' matches no request; paths begin with '/': write '/a'",
                "4:61: unknown value 'Prefix'; did you mean 'PathPrefix'?",
                "4:80: unknown value 'get'; did you mean 'GET'?",
            ],
            id="matches",
        ),
        pytest.param(
            "{rules: [{matches: [{path: {type: RegularExpression, value: '('}}]}]}",
            ["4:34: '(' is no regular expression: missing ), unterminated subpattern at position 0"],
            id="an expression",
        ),
        pytest.param(
            "{rules: [{backendRefs: [{name: web}, {name: Web, port: 80, weight: -1}]}]}",
            [
                "4:31: a Service as a backend needs a 'port'; add the port of the Service",
                "4:51: 'Web' is not a name (lower-case letters, digits, '-' and '.', at most 253)",
                "4:74: expected a whole number from 0 to 1000000, found '-1'",
            ],
            id="backends",
        ),
        pytest.param(
            "{rules: [{timeouts: {request: 1s, backendRequest: 2s}, retry: {codes: [200]}}]}",
            [
                "4:27: backendRequest is longer than request; one try cannot take longer than all of them",
                "4:78: expected a whole number from 400 to 599, found '200'",
            ],
            id="limits",
        ),
        pytest.param(
            "{rules: [{sessionPersistence: {cookieConfig: {lifetimeType: Permanent}}}]}",
            ["4:37: a permanent cookie needs an end; add absoluteTimeout"],
            id="a session without end",
        ),
        pytest.param("{hostnames: [a_b]}", ["4:20: 'a_b' is not a host name (or *. and one)"], id="a host name"),
    ],
)
def test_what_is_wrong_with_an_http_route(spec: str, expected: list[str]) -> None:
    assert faults(http(spec)) == expected


def test_a_grpc_route() -> None:
    text = """
    apiVersion: gateway.networking.k8s.io/v1
    kind: GRPCRoute
    metadata: {name: r, namespace: shop}
    spec:
      hostnames: [a.b]
      rules:
      - matches: [{method: {service: s.V1, method: Get}, headers: [{name: x, value: y}]}, {}]
        backendRefs: [{name: web, port: 80}]
    """
    match = GRPCRouteMatch(GRPCMethodMatch("s.V1", "Get"), (ValueMatch("x", "y"),))
    rule = GRPCRouteRule(matches=(match, GRPCRouteMatch()), backend_refs=(WeightedBackend(WEB),))
    assert read(GRPCRoute, text) == GRPCRoute(SHOP, (), ("a.b",), (rule,))


def test_a_method_match_of_nothing_is_a_fault() -> None:
    head = "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {name: r}\n"
    assert faults(f"{head}spec: {{rules: [{{matches: [{{method: {{}}}}]}}]}}") == [
        "4:36: a method match names neither service nor method; add one of them"
    ]


def test_a_tcp_route() -> None:
    text = """
    apiVersion: gateway.networking.k8s.io/v1alpha2
    kind: TCPRoute
    metadata: {name: r, namespace: shop}
    spec:
      parentRefs: [{group: "", kind: Service, name: web, port: 80}]
      rules: [{backendRefs: [{name: web, port: 80, weight: 3}, {name: cart, namespace: other, port: 81}]}]
    """
    rule = TCPRouteRule(backend_refs=(WeightedBackend(WEB, 3), WeightedBackend(CART)))
    assert read(TCPRoute, text) == TCPRoute(SHOP, (ParentReference("web", "shop", "Service", "", port=80),), (rule,))


def test_a_tcp_route_needs_rules() -> None:
    head = "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TCPRoute\nmetadata: {name: r}\n"
    assert faults(f"{head}spec: {{}}") == ["4:7: the spec of a route has no 'rules'; add it"]
