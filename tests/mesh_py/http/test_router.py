"""HTTPRoutes and GRPCRoutes as the Gateway API's conformance cases have them: the ids name the case."""

from __future__ import annotations

from collections import Counter

import pytest

from mesh_py.http.errors import HttpError, InvalidBackend, NoRoute
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest, HttpResponse
from mesh_py.http.router import Forward, Respond, RouteTable, tcp_backend
from mesh_py.manifests.reader import read_manifests
from mesh_py.manifests.routes import TCPRoute
from tests.mesh_py.http.routes import backend, request, routes, table


def half() -> float:
    return 0.5


def to(name: str, **match: str) -> str:
    """A rule that sends what matches to a backend."""
    fields = "".join(f"    {key}: {value}\n" for key, value in match.items())
    matches = f"  matches:\n  - {fields.strip()}\n" if match else ""
    return f"- backendRefs: [{{name: {name}, port: 80}}]\n{matches}"


def rules(*each: str) -> str:
    return "rules:\n" + "".join(each)


def chosen(routes_: RouteTable, asked: HttpRequest) -> str:
    """The backend, or the status of the answer."""
    try:
        decision = routes_.route(asked, half)
    except HttpError as error:
        return str(error.answer)
    return backend(decision) if isinstance(decision, Forward) else str(decision.response.status)


PATHS = rules(
    to("v1", path="{type: PathPrefix, value: /}"),
    to("v2", path="{type: PathPrefix, value: /v2}"),
    to("v2-deep", path="{type: PathPrefix, value: /v2/deep/}"),
    to("exact", path="{type: Exact, value: /v2/deep}"),
    to("regex", path='{type: RegularExpression, value: "/v[0-9]+/x"}'),
)
NARROW = rules(
    to("one", path="{type: Exact, value: /one}"),
    to("two", path="{type: Exact, value: /two/}"),
    to("number", path='{type: RegularExpression, value: "/n/[0-9]+"}'),
    to("longer", path='{type: RegularExpression, value: "/n/[0-9][0-9]*"}'),
)
HEADERS = rules(
    "- matches: [{headers: [{name: version, value: one}]}]\n  backendRefs: [{name: v1, port: 80}]\n",
    "- matches: [{headers: [{name: Version, value: two}]}]\n  backendRefs: [{name: v2, port: 80}]\n",
    "- matches: [{headers: [{name: version, value: two}, {name: color, value: orange}]}]\n"
    "  backendRefs: [{name: orange, port: 80}]\n",
    "- matches:\n  - {headers: [{name: color, value: blue}]}\n  - {headers: [{name: color, value: green}]}\n"
    "  backendRefs: [{name: blue-or-green, port: 80}]\n",
    '- matches: [{headers: [{name: id, type: RegularExpression, value: "[0-9]+"}]}]\n'
    "  backendRefs: [{name: number, port: 80}]\n",
    "- matches: [{headers: [{name: twice, value: a}, {name: TWICE, value: b}]}]\n"
    "  backendRefs: [{name: first-of-name, port: 80}]\n",
)
QUERY = rules(
    "- matches: [{queryParams: [{name: animal, value: whale}]}]\n  backendRefs: [{name: whale, port: 80}]\n",
    "- matches: [{queryParams: [{name: animal, value: dolphin}, {name: color, value: blue}]}]\n"
    "  backendRefs: [{name: blue-dolphin, port: 80}]\n",
    "- matches: [{queryParams: [{name: animal, value: dolphin}]}]\n  backendRefs: [{name: dolphin, port: 80}]\n",
    '- matches: [{queryParams: [{name: n, type: RegularExpression, value: "[0-9]+"}]}]\n'
    "  backendRefs: [{name: number, port: 80}]\n",
)
METHODS = rules(
    to("post", method="POST"),
    to("get-path", path="{type: PathPrefix, value: /path}", method="GET"),
    to("path", path="{type: PathPrefix, value: /path}"),
    "- matches: [{headers: [{name: version, value: four}]}]\n  backendRefs: [{name: header, port: 80}]\n",
    "- matches: [{method: PATCH, headers: [{name: version, value: four}]}]\n"
    "  backendRefs: [{name: method-and-header, port: 80}]\n",
)


MATCHING = [
    pytest.param(PATHS, request("/"), "v1", id="HTTPRouteMatching: root"),
    pytest.param(PATHS, request("/example"), "v1", id="HTTPRouteMatching: anything else"),
    pytest.param(PATHS, request("/v2"), "v2", id="HTTPRouteMatching: prefix alone"),
    pytest.param(PATHS, request("/v2/"), "v2", id="HTTPRouteMatching: prefix and slash"),
    pytest.param(PATHS, request("/v2/example"), "v2", id="HTTPRouteMatching: below the prefix"),
    pytest.param(PATHS, request("/v2example"), "v1", id="HTTPRouteMatching: no segment of the prefix"),
    pytest.param(PATHS, request("/foo/v2/example"), "v1", id="HTTPRouteMatching: prefix elsewhere"),
    pytest.param(PATHS, request("/v2?x=/"), "v2", id="HTTPRouteMatching: the query is no path"),
    pytest.param(PATHS, request("/v2/deep"), "exact", id="HTTPRoutePathMatchOrder: exact first"),
    pytest.param(PATHS, request("/v2/deep/"), "v2-deep", id="HTTPRoutePathMatchOrder: the longer prefix"),
    pytest.param(PATHS, request("/v2/deeper"), "v2", id="HTTPRoutePathMatchOrder: the longer one does not match"),
    pytest.param(PATHS, request("/v3/x"), "v1", id="a prefix before an expression, as Istio has it"),
    pytest.param(NARROW, request("/one"), "one", id="HTTPRouteExactPathMatching: equal"),
    pytest.param(NARROW, request("/one/"), "404", id="HTTPRouteExactPathMatching: slash behind"),
    pytest.param(NARROW, request("/One"), "404", id="HTTPRouteExactPathMatching: case counts"),
    pytest.param(NARROW, request("/two"), "404", id="HTTPRouteExactPathMatching: slash missing"),
    pytest.param(NARROW, request("/two/"), "two", id="HTTPRouteExactPathMatching: slash asked for"),
    pytest.param(NARROW, request("/n/12?a"), "longer", id="expressions: the longer pattern first"),
    pytest.param(NARROW, request("/n/12/x"), "404", id="expressions: of the whole path"),
    pytest.param(HEADERS, request(version="one"), "v1", id="HTTPRouteHeaderMatching: one"),
    pytest.param(HEADERS, request(version="two"), "v2", id="HTTPRouteHeaderMatching: name in any case"),
    pytest.param(HEADERS, request(version="two", color="orange"), "orange", id="HTTPRouteHeaderMatching: more win"),
    pytest.param(HEADERS, request(color="green"), "blue-or-green", id="HTTPRouteHeaderMatching: either match"),
    pytest.param(HEADERS, request(color="orange"), "404", id="HTTPRouteHeaderMatching: only one of two"),
    pytest.param(HEADERS, request(version="twoo"), "404", id="HTTPRouteHeaderMatching: longer value"),
    pytest.param(HEADERS, request(), "404", id="HTTPRouteHeaderMatching: none"),
    pytest.param(HEADERS, request(id="12"), "number", id="HTTPRouteHeaderMatching: expression"),
    pytest.param(HEADERS, request(twice="a"), "first-of-name", id="HTTPRouteHeaderMatching: first of a name"),
    pytest.param(QUERY, request("/?animal=whale"), "whale", id="HTTPRouteQueryParamMatching: one"),
    pytest.param(QUERY, request("/?color=x&animal=whale"), "whale", id="HTTPRouteQueryParamMatching: among others"),
    pytest.param(QUERY, request("/?animal=dolphin&color=blue"), "blue-dolphin", id="HTTPRouteQueryParamMatching: 2"),
    pytest.param(QUERY, request("/?animal=dolphin&color=red"), "dolphin", id="HTTPRouteQueryParamMatching: fewer"),
    pytest.param(QUERY, request("/?Animal=whale"), "404", id="HTTPRouteQueryParamMatching: case counts"),
    pytest.param(QUERY, request("/?animal=whales"), "404", id="HTTPRouteQueryParamMatching: longer value"),
    pytest.param(QUERY, request("/?animal=wh%61le"), "404", id="HTTPRouteQueryParamMatching: escaped"),
    pytest.param(QUERY, request("/?animal=cat&animal=whale"), "404", id="HTTPRouteQueryParamMatching: the first"),
    pytest.param(QUERY, request("/?n=42"), "number", id="HTTPRouteQueryParamMatching: expression"),
    pytest.param(QUERY, request("/"), "404", id="HTTPRouteQueryParamMatching: none"),
    pytest.param(METHODS, request(method="POST"), "post", id="HTTPRouteMethodMatching: method"),
    pytest.param(METHODS, request("/path", "GET"), "get-path", id="HTTPRouteMethodMatching: method and path"),
    pytest.param(METHODS, request("/path", "POST"), "path", id="HTTPRouteMethodMatching: path before method"),
    pytest.param(METHODS, request(method="PUT"), "404", id="HTTPRouteMethodMatching: another"),
    pytest.param(METHODS, request(method="POST", version="four"), "post", id="method before headers"),
    pytest.param(METHODS, request(method="PATCH", version="four"), "method-and-header", id="method and header"),
]
"""Rules, a request, and the backend or status; the real Envoy is asked about the same in tests/interop."""


@pytest.mark.parametrize(("document", "asked", "expected"), MATCHING)
def test_matching(document: str, asked: HttpRequest, expected: str) -> None:
    assert chosen(table(document), asked) == expected


MANIFEST = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}, namespace: {namespace}{extra}}}
spec:
  parentRefs: [{{kind: Service, group: "", name: web, namespace: default}}]
  hostnames: [{hosts}]
  rules:
  - {{matches: [{{path: {{value: {path}}}}}], backendRefs: [{{name: {backend}, port: 80}}]}}
"""


def manifest(
    backend: str, *, name: str = "r", namespace: str = "default", extra: str = "", hosts: str = "", path: str = "/"
) -> str:
    return MANIFEST.format(name=name, namespace=namespace, extra=extra, hosts=hosts, path=path, backend=backend)


OLD, NEW = ', creationTimestamp: "2024-01-01T00:00:00Z"', ', creationTimestamp: "2025-01-01T00:00:00Z"'


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        pytest.param([manifest("b", name="b", extra=OLD), manifest("a", name="a", extra=NEW)], "b", id="the oldest"),
        pytest.param([manifest("b", name="b"), manifest("a", name="a")], "a", id="by name"),
        pytest.param([manifest("b", namespace="b"), manifest("a", namespace="a")], "a", id="by namespace"),
        pytest.param([manifest("long", path="/x"), manifest("short", name="a", extra=OLD)], "long", id="path first"),
    ],
)
def test_matching_across_routes(documents: list[str], expected: str) -> None:
    assert chosen(table(*documents), request("/x")) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param("exact.example.com", "exact", id="HTTPRouteHostname: exact"),
        pytest.param("Exact.Example.com:8080", "exact", id="HTTPRouteHostname: case and port"),
        pytest.param("a.example.com", "wild", id="HTTPRouteHostname: wildcard"),
        pytest.param("a.b.example.com", "wild", id="HTTPRouteHostname: wildcard of several labels"),
        pytest.param("a.deep.example.com", "deep", id="HTTPRouteHostname: the longer wildcard"),
        pytest.param("example.com", "any", id="HTTPRouteHostname: no wildcard of itself"),
        pytest.param("[::1]:80", "any", id="HTTPRouteHostname: an address"),
    ],
)
def test_hostnames_of_a_gateway(host: str, expected: str) -> None:
    documents = [
        manifest("any", name="a", path="/x"),
        manifest("wild", name="b", hosts='"*.example.com"', path="/x"),
        manifest("deep", name="c", hosts='"*.deep.example.com"'),
        manifest("exact", name="d", hosts="exact.example.com"),
    ]
    assert chosen(table(*documents, by_hostname=True), request("/x", host=host)) == expected
    assert chosen(table(*documents), request("/x", host=host)) == "any"


GRPC = """
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: grpc}
spec:
  parentRefs: [{kind: Service, group: "", name: web}]
  rules:
  - {matches: [{method: {service: a.Echo, method: Say}}], backendRefs: [{name: say, port: 80}]}
  - {matches: [{method: {service: a.Echo}}], backendRefs: [{name: echo, port: 80}]}
  - {matches: [{method: {method: Ping}}], backendRefs: [{name: ping, port: 80}]}
  - {matches: [{headers: [{name: version, value: two}]}], backendRefs: [{name: header, port: 80}]}
  - matches: [{method: {type: RegularExpression, service: "b[.].*", method: "Get.*"}}]
    backendRefs: [{name: expression, port: 80}]
"""


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(request("/a.Echo/Say", "POST"), "say", id="GRPCExactMethodMatching"),
        pytest.param(request("/a.Echo/Other", "POST"), "echo", id="GRPCExactMethodMatching: service alone"),
        pytest.param(request("/c.Other/Ping", "POST"), "ping", id="GRPCExactMethodMatching: method alone"),
        pytest.param(request("/c.Other/Pong", "POST", version="two"), "header", id="GRPCRouteHeaderMatching"),
        pytest.param(request("/b.X/GetOne", "POST"), "expression", id="expression"),
        pytest.param(request("/a.Echo/Say", "GET"), "404", id="no call"),
    ],
)
def test_grpc(asked: HttpRequest, expected: str) -> None:
    assert chosen(table(GRPC), asked) == expected


def test_weights() -> None:
    """HTTPRouteWeight: shares as written, and nothing for a weight of zero."""
    split = table(
        """
        rules:
        - backendRefs:
          - {name: v1, port: 80, weight: 70}
          - {name: none, port: 80, weight: 0}
          - {name: v2, port: 80, weight: 30}
        """
    )
    seen = Counter(backend(split.route(request(), lambda n=n: n / 100)) for n in range(100))  # type: ignore[misc]
    assert seen == {"v1": 70, "v2": 30}


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param("- matches: [{path: {value: /}}]", id="HTTPRouteInvalidBackendRef: none"),
        pytest.param("- backendRefs: [{name: a, port: 80, weight: 0}]", id="HTTPRouteWeight: all zero"),
        pytest.param(
            "- filters: [{type: ExtensionRef, extensionRef: {group: a.b, kind: C, name: d}}]\n"
            "  backendRefs: [{name: a, port: 80}]",
            id="a filter of an unknown kind",
        ),
    ],
)
def test_what_is_500(rule: str) -> None:
    with pytest.raises(InvalidBackend):
        table(f"rules:\n{rule}").route(request(), half)


def test_no_match_is_404_and_no_route_at_all_is_no_table() -> None:
    assert not table()
    narrow = table(rules(to("a", path="{type: Exact, value: /a}")))
    assert narrow
    with pytest.raises(NoRoute):
        narrow.route(request("/b"), half)


def test_an_expression_that_cannot_be_used_is_named_and_never_matches() -> None:
    broken = table(rules(to("a", path='{type: RegularExpression, value: "(a)\\\\1"}'), to("b")))
    [problem] = broken.problems
    assert "default/route-0/0" in problem
    assert chosen(broken, request("/aa")) == "b"


def test_headers_change_both_ways() -> None:
    """HTTPRouteRequestHeaderModifier, HTTPRouteResponseHeaderModifier, and those of one backend."""
    forward = table(
        """
        rules:
        - filters:
          - type: RequestHeaderModifier
            requestHeaderModifier:
              set: [{name: X-Set, value: new}]
              add: [{name: X-Add, value: more}]
              remove: [X-Gone, Host]
          - type: ResponseHeaderModifier
            responseHeaderModifier: {set: [{name: X-Out, value: "1"}], remove: [server]}
          backendRefs:
          - name: a
            port: 80
            filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Backend, value: a}]}}]
        """
    ).route(asked := request(x_set="old", x_add="one", x_gone="1"), half)
    assert isinstance(forward, Forward)
    forward.prepare(asked)
    assert asked.headers.fields == [("x-set", "new"), ("x-add", "one"), ("x-add", "more"), ("x-backend", "a")]
    response = HttpResponse(200, Headers([("server", "x"), ("content-length", "1")]))
    forward.finish(asked, response)
    assert response.headers.fields == [("content-length", "1"), ("x-out", "1")]


def test_a_redirect_answers_by_itself() -> None:
    """HTTPRouteRedirectHostAndStatus."""
    decision = table(
        """
        rules:
        - filters: [{type: RequestRedirect, requestRedirect: {hostname: example.org, statusCode: 301}}]
        """
    ).route(request("/a?b", host="web:8080"), half, 8080)
    assert isinstance(decision, Respond)
    assert decision.response == HttpResponse(301, Headers([("location", "http://example.org:8080/a?b")]))


def test_mirrors_by_share() -> None:
    """HTTPRouteRequestMirror, HTTPRouteRequestMultipleMirrors, HTTPRouteRequestPercentageMirror."""
    mirrored = table(
        """
        rules:
        - filters:
          - {type: RequestMirror, requestMirror: {backendRef: {name: always, port: 80}}}
          - {type: RequestMirror, requestMirror: {backendRef: {name: often, port: 80}, percent: 60}}
          - {type: RequestMirror, requestMirror: {backendRef: {name: seldom, port: 80}, percent: 40}}
          backendRefs: [{name: a, port: 80}]
        """
    ).route(request(), half)
    assert isinstance(mirrored, Forward)
    assert [mirror.name for mirror in mirrored.mirrors] == ["always", "often"]


def test_times_retries_and_sessions_are_the_rules() -> None:
    """HTTPRouteTimeoutRequest, HTTPRouteTimeoutBackendRequest, and what GEP-1731 and GEP-1619 say."""
    forward = table(
        """
        rules:
        - timeouts: {request: 10s, backendRequest: 500ms}
          retry: {codes: [503], attempts: 4, backoff: 100ms}
          sessionPersistence: {sessionName: s}
          backendRefs: [{name: a, port: 80}]
        """
    ).route(request(), half)
    assert isinstance(forward, Forward)
    assert (forward.timeouts.request, forward.timeouts.backend_request) == (10, 0.5)
    assert (forward.retry.attempts, forward.retry.codes, forward.retry.backoff) == (4, frozenset({503}), 0.1)
    assert forward.session is not None
    assert forward.session.session_name == "s"
    assert forward.authorizer is None


def test_a_preflight_is_answered_and_other_requests_are_marked() -> None:
    """HTTPRouteCORS."""
    cors = table(
        """
        rules:
        - filters: [{type: CORS, cors: {allowOrigins: ["https://a.b"], allowMethods: [GET, PUT]}}]
          backendRefs: [{name: a, port: 80}]
        """
    )
    asks = request(method="OPTIONS", origin="https://a.b", access_control_request_method="PUT")
    answer = cors.route(asks, half)
    assert isinstance(answer, Respond)
    assert answer.response.headers.get("access-control-allow-methods") == "GET,PUT"
    get = request(origin="https://a.b")
    forward = cors.route(get, half)
    assert isinstance(forward, Forward)
    response = HttpResponse(200)
    forward.finish(get, response)
    assert response.headers.get("access-control-allow-origin") == "https://a.b"


TCP = """
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {{name: {name}{extra}}}
spec:
  parentRefs: [{{kind: Service, group: "", name: web, port: 80}}]
  rules: [{{backendRefs: [{backends}]}}]
"""
SPLIT = "{name: v1, port: 80, weight: 3}, {name: none, port: 80, weight: 0}, {name: v2, port: 80, weight: 1}"


def tcp_routes(*documents: str) -> list[TCPRoute]:
    found = read_manifests("\n---\n".join(documents), "tcp.yaml").objects
    return [one for one in found if isinstance(one, TCPRoute)]


def test_connections_are_split_by_weight() -> None:
    split = tcp_routes(TCP.format(name="a", extra="", backends=SPLIT))
    seen = Counter(tcp_backend(split, lambda n=n: n / 100)[1].name for n in range(100))  # type: ignore[misc]
    assert seen == {"v1": 75, "v2": 25}


def test_the_oldest_route_takes_the_connection() -> None:
    new = TCP.format(name="a", extra=NEW, backends="{name: new, port: 80}")
    old = TCP.format(name="b", extra=OLD, backends="{name: old, port: 80}")
    assert tcp_backend(tcp_routes(new, old), half)[1].name == "old"


@pytest.mark.parametrize("backends", ["{name: a, port: 80, weight: 0}", ""])
def test_a_connection_without_a_backend_is_refused(backends: str) -> None:
    with pytest.raises(InvalidBackend):
        tcp_backend(tcp_routes(TCP.format(name="a", extra="", backends=backends)) if backends else [], half)


# Routes of a Gateway ------------------------------------------------------------------------------------------------


def test_a_backend_that_may_not_be_named_is_none() -> None:
    own, far = to("near"), "- backendRefs: [{name: far, namespace: other, port: 80}]\n"
    mirrored = (
        "- backendRefs: [{name: near, port: 80}]\n  filters:\n"
        "  - {type: RequestMirror, requestMirror: {backendRef: {name: far, namespace: other, port: 80}}}\n"
    )

    def asked(rule: str) -> Forward:
        told = RouteTable(routes(rules(rule)), may_refer=lambda route, one: one.namespace == route.metadata.namespace)
        decision = told.route(request(), half)
        assert isinstance(decision, Forward)
        return decision

    assert backend(asked(own)) == "near"
    assert asked(mirrored).mirrors == ()
    with pytest.raises(InvalidBackend, match="ReferenceGrant"):
        asked(far)


def test_which_hosts_it_speaks_for() -> None:
    told = table("hostnames: [a.example, '*.b.example']\n" + rules(to("v1")), by_hostname=True)
    hosts = ("a.example", "a.example:80", "x.b.example", "b.example", "c.example")
    assert [told.claims(request(host=host)) for host in hosts] == [True, True, True, False, False]
    assert table(rules(to("v1"))).claims(request(host="any"))


def subset_filter(name: str, group: str = "hbone.mesh") -> str:
    return f"{{type: ExtensionRef, extensionRef: {{group: {group}, kind: Subset, name: {name}}}}}"


def test_a_filter_names_a_subset_the_backend_s_before_the_rule_s() -> None:
    def asked(of_rule: str, of_backend: str) -> str:
        text = f"- filters: [{of_rule}]\n  backendRefs: [{{name: v, port: 80, filters: [{of_backend}]}}]\n"
        decision = table(rules(text)).route(request(), half)
        assert isinstance(decision, Forward)
        return decision.subset

    assert asked("", "") == ""
    assert asked(subset_filter("v1"), "") == "v1"
    assert asked(subset_filter("v1"), subset_filter("v2")) == "v2"
    with pytest.raises(InvalidBackend, match="unknown kind"):
        asked("", subset_filter("v2", "example.com"))
