"""What rules do with requests, in Envoy's words."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.envoy.extension import seconds
from istiod_py.envoy.route_actions import NO_BACKEND, retry_policy, route_action
from istiod_py.envoy.rules import Lead
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
    UrlRewrite,
)
from mesh_py.manifests.routes import Retry, Timeouts
from tests.istiod_py.envoy.meshes import backend, rule


def action(path: str = "/", *backends: Any, port: int = 80, **fields: Any) -> dict[str, Any]:
    given = rule(path, *backends, **fields)
    return route_action(given, given.matches[0], lambda reference, subset: Lead(f"to-{reference.name}{subset}"), port)


def test_one_backend_and_no_limits() -> None:
    route = action()["route"]
    assert (route["cluster"], route["timeout"]) == ("to-echo", "0s")
    assert route["cluster_not_found_response_code"] == "INTERNAL_SERVER_ERROR"
    assert route["retry_policy"]["num_retries"] == 2
    assert "retriable_status_codes" not in route["retry_policy"]


def test_weights_and_what_each_backend_gets_beside_the_request() -> None:
    changes = RequestHeaderModifier(HeaderChanges(add=(Header("x-a", "1"),)))
    route = action("/", backend("a", weight=9), backend("b", filters=(changes,)), backend("never", weight=0))["route"]
    first, second = route["weighted_clusters"]["clusters"]
    assert first == {"name": "to-a", "weight": 9}
    assert (second["name"], second["weight"]) == ("to-b", 1)
    assert second["request_headers_to_add"][0]["append_action"] == "APPEND_IF_EXISTS_OR_ADD"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"backend_refs": ()}, id="no backend"),
        pytest.param({"backend_refs": (backend(weight=0),)}, id="nothing for anybody"),
        pytest.param({"filters": (ExtensionFilter("g", "K", "n"),)}, id="a filter nobody knows"),
        pytest.param({"filters": (ExternalAuth("GRPC", BackendReference("auth", port=80)),)}, id="an authorizer"),
        pytest.param({"backend_refs": (backend(filters=(UrlRewrite("h"),)),)}, id="that a backend cannot have"),
    ],
)
def test_what_cannot_be_done_is_500(fields: dict[str, Any]) -> None:
    assert action(**fields) == NO_BACKEND


def test_headers_both_ways_and_a_percent_sign_is_one() -> None:
    request = RequestHeaderModifier(HeaderChanges(set=(Header("x-a", "50%"),), remove=("x-b",)))
    response = ResponseHeaderModifier(HeaderChanges(remove=("server",)))
    found = action(filters=(request, response))
    [header] = found["request_headers_to_add"]
    assert header == {"header": {"key": "x-a", "value": "50%%"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    assert found["request_headers_to_remove"] == ["x-b"]
    assert found["response_headers_to_remove"] == ["server"]


REST = r"^/a/?"


@pytest.mark.parametrize(
    ("path", "modifier", "expected"),
    [
        ("/a", PathModifier("/b", True), {"prefix_rewrite": "/b"}),
        ("/a/", PathModifier("/b/", True), {"prefix_rewrite": "/b"}),
        ("/", PathModifier("/b", True), {"prefix_rewrite": "/b/"}),
        ("/a", PathModifier("/", True), {"regex_rewrite": {"pattern": {"regex": REST}, "substitution": "/"}}),
        ("/a", PathModifier("/x"), {"regex_rewrite": {"pattern": {"regex": "^.*$"}, "substitution": "/x"}}),
    ],
)
def test_new_paths(path: str, modifier: PathModifier, expected: dict[str, Any]) -> None:
    route = action(path, filters=(UrlRewrite("host.example", modifier),))["route"]
    assert route["host_rewrite_literal"] == "host.example"
    assert expected.items() <= route.items()


@pytest.mark.parametrize(
    ("redirect", "expected"),
    [
        (RequestRedirect(), {"response_code": "FOUND"}),
        (
            RequestRedirect("https", "h.example", PathModifier("/x"), 443, 308),
            {
                "response_code": "PERMANENT_REDIRECT",
                "scheme_redirect": "https",
                "host_redirect": "h.example",
                "path_redirect": "/x",
            },
        ),
        (RequestRedirect(port=8443, status_code=301), {"response_code": "MOVED_PERMANENTLY", "port_redirect": 8443}),
        (RequestRedirect(path=PathModifier("/b", True)), {"response_code": "FOUND", "prefix_rewrite": "/b"}),
    ],
)
def test_redirects(redirect: RequestRedirect, expected: dict[str, Any]) -> None:
    assert action("/a", filters=(redirect,)) == {"redirect": expected}


@pytest.mark.parametrize(
    ("redirect", "port", "expected"),
    [
        pytest.param(RequestRedirect(), 80, None, id="where the request came in, not said"),
        pytest.param(RequestRedirect(), 8080, 8080, id="where the request came in"),
        pytest.param(RequestRedirect(hostname="b"), 8080, 8080, id="there on another host"),
        pytest.param(RequestRedirect("https", "b"), 8080, None, id="the new scheme's, not said"),
        pytest.param(RequestRedirect("https"), 8080, 443, id="said, as Host names 8080"),
        pytest.param(RequestRedirect(hostname="b", port=80), 8080, None, id="as written, not said"),
        pytest.param(RequestRedirect("https", port=80), 80, 80, id="as written, not the scheme's"),
    ],
)
def test_the_port_of_a_redirect(redirect: RequestRedirect, port: int, expected: int | None) -> None:
    assert action("/a", filters=(redirect,), port=port)["redirect"].get("port_redirect") == expected


def test_mirrors_and_their_share() -> None:
    mirror = RequestMirror(BackendReference("copy", port=80), 0.255)
    [found] = action(filters=(mirror,))["route"]["request_mirror_policies"]
    share = {"numerator": 255_000, "denominator": "MILLION"}
    assert found == {"cluster": "to-copy", "runtime_fraction": {"default_value": share}}


def test_cross_origin_requests_are_told_to_the_filter() -> None:
    found = action(filters=(Cors(("https://a.example",)),))
    assert "envoy.filters.http.cors" in found["typed_per_filter_config"]
    assert "route" in found


def test_limits_and_retries() -> None:
    route = action(timeouts=Timeouts(1.5, 0.5), retry=Retry((500, 502), 0, 0.1))["route"]
    assert route["timeout"] == "1.5s"
    policy = route["retry_policy"]
    assert (policy["num_retries"], policy["per_try_timeout"]) == (0, "0.5s")
    assert policy["retriable_status_codes"] == [500, 502]
    assert policy["retry_back_off"] == {"base_interval": "0.1s"}
    assert policy["retry_on"].endswith(",reset")


def test_a_rule_may_ask_for_retries_and_leave_the_number_to_us() -> None:
    assert retry_policy(Retry(), None)["num_retries"] == 2


@pytest.mark.parametrize(("value", "text"), [(0, "0s"), (10, "10s"), (0.25, "0.25s"), (1e-9, "0.000000001s")])
def test_durations(value: float, text: str) -> None:
    assert seconds(value) == text
