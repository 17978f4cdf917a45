"""Filters of routes: one class per type, and nothing that does something else than it looks like."""

from __future__ import annotations

import pytest

from mesh_py.manifests.references import BackendReference
from mesh_py.manifests.route_filters import (
    Cors,
    ExtensionFilter,
    ExternalAuth,
    Header,
    HeaderChanges,
    PathModifier,
    RequestHeaderModifier,
    RequestMirror,
    RequestRedirect,
    ResponseHeaderModifier,
    RouteFilter,
    UrlRewrite,
)
from mesh_py.manifests.routes import HTTPRoute
from tests.support.manifests import faults, read

HEAD = """\
apiVersion: gateway.networking.k8s.io/v1
kind: {}
metadata: {{name: r, namespace: shop}}
spec: {{rules: [{{filters: [
{}
]}}]}}"""
COPY = BackendReference("copy", "shop", port=80)
CHANGES = HeaderChanges((Header("a", "1"),), (Header("b", "2"),), ("c",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: '1'}], "
            "add: [{name: b, value: 2}], remove: [c]}}",
            RequestHeaderModifier(CHANGES),
            id="request headers",
        ),
        pytest.param(
            "{type: ResponseHeaderModifier, responseHeaderModifier: {remove: [c]}}",
            ResponseHeaderModifier(HeaderChanges(remove=("c",))),
            id="response headers",
        ),
        pytest.param(
            "{type: RequestMirror, requestMirror: {backendRef: {name: copy, port: 80}}}",
            RequestMirror(COPY),
            id="a mirror",
        ),
        pytest.param(
            "{type: RequestMirror, requestMirror: {backendRef: {name: copy, port: 80}, percent: 20}}",
            RequestMirror(COPY, 0.2),
            id="a mirror of some, in percent",
        ),
        pytest.param(
            "{type: RequestMirror, requestMirror: {backendRef: {name: copy, port: 80}, "
            "fraction: {numerator: 1, denominator: 1000}}}",
            RequestMirror(COPY, 0.001),
            id="a mirror of some, as a fraction",
        ),
        pytest.param(
            "{type: RequestRedirect, requestRedirect: {scheme: https, hostname: example.com, port: 8443, "
            "statusCode: 301, path: {type: ReplaceFullPath, replaceFullPath: /new}}}",
            RequestRedirect("https", "example.com", PathModifier("/new"), 8443, 301),
            id="a redirect",
        ),
        pytest.param("{type: RequestRedirect, requestRedirect: {}}", RequestRedirect(), id="a redirect to itself"),
        pytest.param(
            "{type: URLRewrite, urlRewrite: {hostname: h, path: {type: ReplacePrefixMatch, replacePrefixMatch: ''}}}",
            UrlRewrite("h", PathModifier("", True)),
            id="a rewrite",
        ),
        pytest.param(
            "{type: CORS, cors: {allowOrigins: ['https://*.example.com'], allowCredentials: true, allowMethods: [GET], "
            "allowHeaders: [x], exposeHeaders: [y], maxAge: 60}}",
            Cors(("https://*.example.com",), True, ("GET",), ("x",), ("y",), 60),
            id="CORS",
        ),
        pytest.param(
            "{type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: copy, port: 80}, "
            "http: {path: /check, allowedHeaders: [a], allowedResponseHeaders: [b]}, forwardBody: {maxSize: 10}}}",
            ExternalAuth("HTTP", COPY, "/check", ("a",), ("b",), 10),
            id="an authorizer",
        ),
        pytest.param(
            "{type: ExtensionRef, extensionRef: {group: x.io, kind: RateLimit, name: a}}",
            ExtensionFilter("x.io", "RateLimit", "a"),
            id="somebody else's",
        ),
    ],
)
def test_filters(text: str, expected: RouteFilter) -> None:
    assert read(HTTPRoute, HEAD.format("HTTPRoute", text)).rules[0].filters == (expected,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("{requestRedirect: {}}", "5:1: a filter has no 'type'", id="no type"),
        pytest.param("{type: RequestHeaderModifer}", "5:8: unknown type of filter 'RequestHeaderModifer'", id="a type"),
        pytest.param("{type: URLRewrite}", "5:1: filter URLRewrite says nothing; add 'urlRewrite'", id="nothing"),
        pytest.param(
            "{type: URLRewrite, urlRewrite: {}, cors: {}}",
            "5:36: key 'cors' does not belong to a filter of type URLRewrite",
            id="two types",
        ),
        pytest.param(
            "{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replacePrefixMatch: /}}}",
            "5:39: a path of type ReplaceFullPath takes 'replaceFullPath' and nothing else",
            id="a path of another type",
        ),
        pytest.param(
            "{type: RequestHeaderModifier, requestHeaderModifier: {}}",
            "5:54: no header is changed; add 'set', 'add' or 'remove'",
            id="no header",
        ),
        pytest.param(
            "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: 'a b', value: x}]}}",
            "5:68: 'a b' is no header name",
            id="a header",
        ),
        pytest.param(
            "{type: RequestMirror, requestMirror: {backendRef: {name: a}}}",
            "5:51: a Service as a backend needs a 'port'; add the port of the Service",
            id="no port",
        ),
        pytest.param(
            "{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 1}, percent: 1, "
            "fraction: {numerator: 1}}}",
            "5:38: percent and fraction exclude each other; remove one of them",
            id="two shares",
        ),
        pytest.param(
            "{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 1}, fraction: {numerator: 101}}}",
            "5:81: a fraction above 1",
            id="more than all",
        ),
        pytest.param(
            "{type: RequestRedirect, requestRedirect: {statusCode: 200}}",
            "5:55: '200' is no status of a redirect; known are 301, 302, 303, 307, 308",
            id="a status",
        ),
        pytest.param(
            "{type: RequestRedirect, requestRedirect: {hostname: '*.example.com'}}",
            "5:53: '*.example.com' is no host name (lower case, no wildcard)",
            id="a wildcard",
        ),
        pytest.param(
            "{type: ExternalAuth, externalAuth: {protocol: GRPC, backendRef: {name: a, port: 1}, http: {path: /}}}",
            "5:36: settings of another protocol than GRPC; remove them",
            id="settings of another protocol",
        ),
    ],
)
def test_what_is_wrong_with_a_filter(text: str, expected: str) -> None:
    [found] = faults(HEAD.format("HTTPRoute", text))
    assert found.startswith(expected)


@pytest.mark.parametrize("name", ["RequestRedirect", "URLRewrite", "CORS"])
def test_a_grpc_route_has_fewer_types(name: str) -> None:
    [found] = faults(HEAD.format("GRPCRoute", f"{{type: {name}}}"))
    assert found.startswith(f"5:8: unknown type of filter {name!r}")
