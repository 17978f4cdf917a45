"""HTTPRoutes obeyed twice: by us, and by the real Envoy with what our control plane makes of them."""

from __future__ import annotations

import http.client
import json
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from istiod_py.envoy.cors import CORS_FILTER
from istiod_py.envoy.extension import extension, socket_address
from istiod_py.envoy.route_actions import route_action
from istiod_py.envoy.route_matches import precedence, route_match
from istiod_py.envoy.rules import Lead
from mesh_py.http.errors import HttpError
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest, HttpResponse
from mesh_py.http.router import Respond, RouteTable
from mesh_py.manifests.routes import HTTPRoute
from tests.mesh_py.http.routes import request, routes
from tests.mesh_py.http.test_router import MATCHING
from tests.support.envoy import DEFAULTS, run_envoy
from tests.support.processes import loopback_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.interop

ECHO_PORT = 30_000
SEEN = ("x-set", "x-add", "x-gone", "x-kept")
ANSWERED = ("location", "x-out", "x-removed", "access-control-allow-origin", "access-control-allow-methods")

TO_A = "  backendRefs: [{name: a, port: 80}]\n"


def filtered(filter_: str, path: str = "/a") -> str:
    return f"rules:\n- matches: [{{path: {{value: {path}}}}}]\n  filters: [{filter_}]\n"


def rewritten(change: str, path: str = "/a") -> str:
    return filtered(f"{{type: URLRewrite, urlRewrite: {{{change}}}}}", path) + TO_A


def redirected(change: str) -> str:
    return filtered(f"{{type: RequestRedirect, requestRedirect: {{{change}}}}}")


def prefix(text: str) -> str:
    return f'path: {{type: ReplacePrefixMatch, replacePrefixMatch: "{text}"}}'


CHANGES = {
    "prefix": rewritten(prefix("/x")),
    "prefix with a slash": rewritten(prefix("/x/")),
    "no prefix": rewritten(prefix("/")),
    "prefix of everything": rewritten(prefix("/x"), "/"),
    "full path": rewritten("path: {type: ReplaceFullPath, replaceFullPath: /full}"),
    "host": rewritten("hostname: other.example"),
    "host and prefix": rewritten("hostname: other.example, " + prefix("/y")),
    "request headers": filtered(
        "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Set, value: new}],"
        " add: [{name: X-Add, value: more}], remove: [X-Gone]}}"
    )
    + TO_A,
    "response headers": filtered(
        "{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Out, value: new}],"
        " remove: [X-Removed]}}"
    )
    + TO_A,
    "redirect to a host": redirected("hostname: b.example, statusCode: 301"),
    "redirect to a scheme": redirected("scheme: https"),
    "redirect to a port": redirected("port: 8443"),
    "redirect to a scheme and port": redirected("scheme: https, port: 8443"),
    "redirect to the usual port": redirected("scheme: https, port: 443"),
    "redirect to a prefix": redirected("hostname: b.example, " + prefix("/x")),
    "redirect to a path": redirected("path: {type: ReplaceFullPath, replaceFullPath: /full}, statusCode: 308"),
    "redirect to where it is": redirected("path: {type: ReplaceFullPath, replaceFullPath: /full}, statusCode: 303"),
    "cors": filtered("{type: CORS, cors: {allowOrigins: ['https://*.a.b'], allowMethods: [GET, PUT]}}") + TO_A,
}
ASKED = [
    request("/a"),
    request("/a/"),
    request("/a/b/c?q=/a"),
    request("/a?q", x_set="old", x_add="one", x_gone="1", x_kept="2"),
    request("/ab"),
    request("/a", origin="https://x.a.b"),
    request("/a", origin="https://evil"),
    request("/a", "OPTIONS", origin="https://x.a.b", access_control_request_method="PUT"),
]

DOCUMENTS = {case.values[0]: f"matching {index}" for index, case in enumerate(MATCHING)} | {
    text: name for name, text in CHANGES.items()
}
ELSEWHERE = 8080
"""A port that redirects name."""
PORTS = dict(zip(DOCUMENTS, count(ECHO_PORT + 1), strict=False))


REDIRECTS = {name: text for name, text in CHANGES.items() if name.startswith("redirect")}
PORTS_ELSEWHERE = dict(zip(REDIRECTS, count(ECHO_PORT + len(PORTS) + 1), strict=False))


def routes_of(document: object, port: int = 80) -> list[dict[str, Any]]:
    """Envoy's routes, each of which also says whose backend it was."""
    [route] = routes(str(document))
    assert isinstance(route, HTTPRoute)
    every = [(match, rule) for rule in route.rules for match in rule.matches]
    every.sort(key=lambda pair: precedence(pair[0]))
    made = []
    for match, rule in every:
        action = route_action(rule, match, lambda _, subset: Lead("echo"), port)
        name = rule.backend_refs[0].backend_ref.name if rule.backend_refs else ""
        says = [*action.get("response_headers_to_add", []), {"header": {"key": "x-backend", "value": name}}]
        made.append({"match": route_match(match), **action, "response_headers_to_add": says})
    return made


def listener(address: str, port: int, routed: list[dict[str, Any]]) -> dict[str, Any]:
    host = {"name": "any", "domains": ["*"], "routes": routed}
    manager = extension(
        "http",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        {
            "stat_prefix": f"port-{port}",
            "http_filters": [CORS_FILTER, extension("router", "envoy.extensions.filters.http.router.v3.Router")],
            "route_config": {"virtual_hosts": [host]},
        },
    )
    chain = {"filters": [manager]}
    return {"name": f"port-{port}", "address": socket_address(address, port), "filter_chains": [chain]}


def echo() -> dict[str, Any]:
    """Answers with what it was asked."""
    told = {"x-path": ":PATH", "x-host": ":AUTHORITY"} | {f"seen-{name}": name.upper() for name in SEEN}
    says = [{"header": {"key": key, "value": f"%REQ({field})%"}} for key, field in told.items()]
    says += [{"header": {"key": "x-out", "value": "old"}}, {"header": {"key": "x-removed", "value": "1"}}]
    return {"match": {"prefix": "/"}, "direct_response": {"status": 200}, "response_headers_to_add": says}


@pytest.fixture(scope="module")
def envoy_address(peer_folder: Path) -> Iterator[str]:
    """An Envoy with a listener for each set of routes, and one that echoes."""
    address = loopback_address()
    endpoint = {"endpoint": {"address": socket_address(address, ECHO_PORT)}}
    cluster = {
        "name": "echo",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "echo", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listeners = [listener(address, port, routes_of(document)) for document, port in PORTS.items()]
    for name, port in PORTS_ELSEWHERE.items():
        listeners.append(listener(address, port, routes_of(REDIRECTS[name], ELSEWHERE)))
    config = {
        "admin": {"address": socket_address(address, int(DEFAULTS["ADMIN_PORT"]))},
        "static_resources": {"listeners": [*listeners, listener(address, ECHO_PORT, [echo()])], "clusters": [cluster]},
    }
    file = peer_folder / f"envoy-routes-{address}.json"
    file.write_text(json.dumps(config))
    with run_envoy("mesh", address, file, {**DEFAULTS, "ADDRESS": address}):
        yield address


def ask(address: str, port: int, asked: HttpRequest) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(address, port, timeout=5)
    connection.putrequest(asked.method, asked.path, skip_host=True, skip_accept_encoding=True)
    connection.putheader("host", asked.authority)
    for name, value in asked.headers:
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


@pytest.mark.parametrize(("document", "asked", "expected"), MATCHING)
def test_envoy_chooses_the_same_backend(document: str, asked: HttpRequest, expected: str, envoy_address: str) -> None:
    answer = ask(envoy_address, PORTS[document], asked)
    assert (answer.headers.get("x-backend") if answer.status == 200 else str(answer.status)) == expected


Told = tuple[int, list[str], list[list[str]]]


def told_by_envoy(answer: http.client.HTTPResponse) -> Told:
    fields = answer.headers
    arrived = [fields.get("x-path", ""), fields.get("x-host", "")]
    seen = [fields.get(f"seen-{name}", "") for name in SEEN]
    return answer.status, [*arrived, *seen], [fields.get_all(name, []) for name in ANSWERED]


def told_by_us(document: str, asked: HttpRequest, port: int = 80) -> Told:
    """What arrives at an echo behind our router, and what comes back."""
    request_ = asked.copy()
    arrived = [""] * (2 + len(SEEN))
    try:
        decision = RouteTable(routes(document)).route(request_, lambda: 0.5, port)
    except HttpError as error:
        return error.answer, arrived, [[] for _ in ANSWERED]
    if isinstance(decision, Respond):
        response = decision.response
    else:
        decision.prepare(request_)
        seen = [request_.headers.get(name) or "" for name in SEEN]
        arrived = [request_.path, request_.authority, *seen]
        response = HttpResponse(200, Headers([("x-out", "old"), ("x-removed", "1")]))
        decision.finish(request_, response)
    return response.status, arrived, [response.headers.get_all(name) for name in ANSWERED]


@pytest.mark.parametrize("name", CHANGES)
def test_envoy_changes_the_same(name: str, envoy_address: str) -> None:
    document = CHANGES[name]
    port = PORTS[document]
    ours = [told_by_us(document, asked) for asked in ASKED]
    theirs = [told_by_envoy(ask(envoy_address, port, asked)) for asked in ASKED]
    assert theirs == ours


@pytest.mark.parametrize("name", REDIRECTS)
@pytest.mark.parametrize("host", ["web:8080", "web"])
def test_envoy_redirects_to_the_same_port(name: str, host: str, envoy_address: str) -> None:
    asked = request("/a/b", host=host)
    _, _, [[ours], *_] = told_by_us(REDIRECTS[name], asked, ELSEWHERE)
    _, _, [[theirs], *_] = told_by_envoy(ask(envoy_address, PORTS_ELSEWHERE[name], asked))
    # Envoy cannot leave out the usual port where Host named another one.
    assert theirs.replace("https://web:443/", "https://web/") == ours
