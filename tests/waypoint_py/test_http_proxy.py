"""What becomes of a request by routes, filters and the state of what is behind: judged by the applications' records."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.certificates import TestRoot
from tests.support.tcp_apps import TcpApp
from tests.waypoint_py.manifests import backend, destination_rule, manifests, of_subset, route
from tests.waypoint_py.waypoints import HOST, PORT, Addresses, client, door, pod, scene, waypoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.certificates import CertificateFiles
    from tests.support.tcp_apps import Connection
    from tests.waypoint_py.waypoints import Scene

    Certificates = Mapping[str, CertificateFiles]

TO_V2 = {"backendRefs": [backend("v2")]}


def served(one: Scene) -> str:
    """Which versions were called with the token."""
    return "".join(name for name, record in (("1", one.v1), ("2", one.v2)) for _ in record.calls("token"))


@pytest.mark.parametrize(
    ("rules", "request_", "by"),
    [
        pytest.param([TO_V2], {}, "2", id="another backend"),
        pytest.param(
            [{"matches": [{"path": {"type": "Exact", "value": "/anything"}}], **TO_V2}], {}, "2", id="exact path"
        ),
        pytest.param(
            [
                {"matches": [{"headers": [{"name": "x-version", "value": "v2"}]}], **TO_V2},
                {"backendRefs": [backend("httpbin")]},
            ],
            {"headers": {"x-version": "v2"}},
            "2",
            id="by header",
        ),
        pytest.param(
            [
                {"matches": [{"headers": [{"name": "x-version", "value": "v2"}]}], **TO_V2},
                {"backendRefs": [backend("httpbin")]},
            ],
            {},
            "1",
            id="not by header",
        ),
        pytest.param([{"matches": [{"method": "POST"}], **TO_V2}], {"method": "POST"}, "2", id="by method"),
        pytest.param(
            [{"matches": [{"queryParams": [{"name": "t", "value": "token"}]}], **TO_V2}], {}, "2", id="by query"
        ),
        pytest.param(
            [{"matches": [{"path": {"type": "RegularExpression", "value": "/any.*"}}], **TO_V2}], {}, "2", id="by regex"
        ),
        pytest.param(
            [{"backendRefs": [backend("httpbin", weight=0), backend("v2", weight=1)]}], {}, "2", id="weight zero"
        ),
    ],
)
async def test_a_route_chooses(certificates: Certificates, rules: list[Any], request_: dict[str, Any], by: str) -> None:
    async with scene(certificates, manifests(route(*rules))) as one:
        asked = {"method": "GET", **request_}
        answer = await one.http.request(asked.pop("method"), "/anything?t=token", **asked)
        assert answer.status_code == 200
        assert served(one) == by


SUBSETS = destination_rule(
    {"name": "v1", "labels": {"version": "v1"}},
    {"name": "v2", "labels": {"version": "v2"}},
    {"name": "none", "labels": {"version": "v9"}},
)


@pytest.mark.parametrize(
    ("version", "status", "by"),
    [("v1", 200, "1"), ("v2", 200, "2"), ("none", 503, ""), ("unheard-of", 500, "")],
)
async def test_a_header_chooses_a_subset(certificates: Certificates, version: str, status: int, by: str) -> None:
    def to(name: str) -> dict[str, Any]:
        matches = [{"headers": [{"name": "x-version", "value": name}]}]
        return {"matches": matches, "backendRefs": [backend("httpbin", filters=[of_subset(name)])]}

    rules = [to(name) for name in ("v1", "v2", "none", "unheard-of")]
    further = manifests(route(*rules), SUBSETS, labels={f"default/{name}": {"version": name} for name in ("v1", "v2")})
    async with scene(certificates, further) as one:
        # Both pods serve httpbin here.
        v2 = one.at.mesh(further=further).replace(
            '"default/v2.default', f'"default/{HOST}": {{{PORT}: 8080}}, "default/v2.default'
        )
        one.waypoint.take(v2)
        for _ in range(3):
            answer = await one.http.get("/anything?t=token", headers={"x-version": version})
            assert answer.status_code == status
        assert served(one) == by * 3
        if by:
            assert f"inbound-vip|{PORT}|http/{version}|{HOST}" in [c.name for c in one.waypoint.plane.clusters.known()]


@pytest.mark.parametrize(
    ("rule", "status", "flag"),
    [
        pytest.param({"matches": [{"path": {"value": "/other"}}], **TO_V2}, 404, "NR", id="nothing matches"),
        pytest.param({"backendRefs": [backend("nobody")]}, 500, "NC", id="no such backend"),
        pytest.param({"backendRefs": [backend("v2", namespace="other")]}, 500, "NC", id="nobody there"),
        pytest.param({"backendRefs": []}, 500, "NC", id="no backend at all"),
        pytest.param(
            {"backendRefs": [backend("httpbin")], "timeouts": {"request": "100ms"}}, 504, "UT", id="out of time"
        ),
    ],
)
async def test_a_route_that_leads_nowhere(
    certificates: Certificates, rule: dict[str, Any], status: int, flag: str
) -> None:
    async with scene(certificates, manifests(route(rule))) as one:
        assert (await one.http.get("/delay/2")).status_code == status
        await one.waypoint.counts(1, "istio_requests_total", response_code=str(status), response_flags=flag)
    await one.waypoint.logged(f" {status} {flag} ")


async def test_headers_change_both_ways_and_paths_are_rewritten(certificates: Certificates) -> None:
    changed: dict[str, Any] = {
        "matches": [{"path": {"value": "/v1"}}],
        "filters": [
            {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}},
            {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-a", "value": "1"}]}},
            {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [{"name": "x-b", "value": "2"}]}},
        ],
        "backendRefs": [backend("httpbin")],
    }
    async with scene(certificates, manifests(route(changed))) as one:
        answer = await one.http.get("/v1/headers")
        assert answer.json()["headers"]["x-a"] == "1"
        assert answer.json()["headers"]["x-envoy-original-path"] == "/v1/headers"
        assert answer.headers["x-b"] == "2"


async def test_a_redirect_and_a_preflight_are_answered_by_the_waypoint(certificates: Certificates) -> None:
    redirect = {"type": "RequestRedirect", "requestRedirect": {"hostname": "elsewhere.test", "statusCode": 301}}
    cors = {"type": "CORS", "cors": {"allowOrigins": ["http://a.test"], "allowMethods": ["GET"]}}
    rules: list[dict[str, Any]] = [
        {"matches": [{"path": {"value": "/old"}}], "filters": [redirect]},
        {"filters": [cors], "backendRefs": [backend("httpbin")]},
    ]
    async with scene(certificates, manifests(route(*rules))) as one:
        answer = await one.http.get("/old/x")
        assert (answer.status_code, answer.headers["location"]) == (301, "http://elsewhere.test:8000/old/x")
        asks = {"origin": "http://a.test", "access-control-request-method": "GET"}
        answer = await one.http.options("/ip", headers=asks)
        assert answer.headers["access-control-allow-origin"] == "http://a.test"
        answer = await one.http.get("/ip", headers={"origin": "http://a.test"})
        assert answer.headers["access-control-allow-origin"] == "http://a.test"
        assert len(one.v1.calls()) == 1


async def test_a_mirror_gets_a_copy_with_its_body(certificates: Certificates) -> None:
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": backend("v2")}}
    async with scene(certificates, manifests(route({"filters": [mirror], "backendRefs": [backend("httpbin")]}))) as one:
        body = b"x" * 100_000
        answer = await one.http.post("/echo?t=token", content=body)
        assert answer.content == body
        await one.settled()
        assert served(one) == "12"
        [copy] = one.v2.calls("token")
        assert copy.headers["content-length"] == "100000"
        assert copy.headers["host"].startswith("httpbin-shadow.") or "-shadow" in copy.headers["host"]


async def test_tries_again_elsewhere_until_somebody_serves(certificates: Certificates) -> None:
    rule = {"retry": {"codes": [503], "attempts": 2, "backoff": "10ms"}, "backendRefs": [backend("httpbin")]}
    async with scene(certificates, manifests(route(rule))) as one:
        assert (await one.http.get("/status/503?t=token")).status_code == 503
        assert len(one.v1.calls("token")) == 3
    await one.waypoint.logged(" 503 URX")


@pytest.mark.parametrize("kind", ["Cookie", "Header"])
async def test_a_session_stays_where_it_began(certificates: Certificates, kind: str) -> None:
    rule = {"sessionPersistence": {"type": kind, "sessionName": "stay"}, "backendRefs": [backend("httpbin")]}
    async with scene(certificates, manifests(route(rule))) as one:
        answer = await one.http.get("/ip")
        assert "stay" in (answer.headers.get("set-cookie", "") if kind == "Cookie" else answer.headers)


async def test_no_healthy_endpoint_and_a_pod_that_refuses_differ(certificates: Certificates) -> None:
    async with scene(certificates) as one:
        one.waypoint.take(one.at.mesh(pod="status: Unhealthy,"))
        answer = await one.http.get("/ip")
        assert (answer.status_code, answer.text) == (503, "no healthy upstream")
        one.waypoint.take(one.at.mesh().replace(one.at.v1, "127.255.255.254"))
        answer = await one.http.get("/ip")
        assert answer.status_code == 503
        assert "reset reason: connection failure" in answer.text
    assert [line.split('" ')[1].split()[1] for line in one.waypoint.lines] == ["UH", "UF,URX"]


async def test_what_fails_too_often_rests(certificates: Certificates) -> None:
    outliers = {"consecutive5xxErrors": 2, "baseEjectionTime": "60s", "maxEjectionPercent": 100, "interval": "1s"}
    async with scene(certificates, manifests(destination_rule(outlierDetection=outliers))) as one:
        statuses = [(await one.http.get("/status/500")).status_code for _ in range(3)]
        assert statuses == [500, 500, 503]
        assert len(one.v1.calls()) == 2


async def test_a_hash_cookie_is_given_to_who_has_none(certificates: Certificates) -> None:
    by_cookie = {"consistentHash": {"httpCookie": {"name": "user", "ttl": "60s"}}}
    async with scene(certificates, manifests(destination_rule(loadBalancer=by_cookie))) as one:
        answers = [await one.http.get("/ip") for _ in range(2)]
    assert "Max-Age=60" in answers[0].headers["set-cookie"]
    assert "set-cookie" not in answers[1].headers


# TLS that a rule wants begun -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("speaks", "authority"),
    [pytest.param("HTTP11", "{at.v1}:8080", id="a pod's requests"), pytest.param("TCP", "", id="a service's bytes")],
)
async def test_tls_is_begun_inside_the_tunnel(
    certificates: Certificates, tmp_path: Path, authority: str, speaks: str
) -> None:
    root = TestRoot(tmp_path / "outside")
    files = root.issue_server("server", HOST)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.chain, files.key)
    wrong = destination_rule(tls={"mode": "SIMPLE", "caCertificates": str(root.roots), "sni": "wrong.example"})
    right = destination_rule(tls={"mode": "SIMPLE", "caCertificates": str(root.roots)})
    at = Addresses()
    mesh = at.mesh(speaks=speaks, further=manifests(right))
    async with (
        waypoint(mesh, at.waypoint, certificates["waypoint"]) as one,
        TcpApp(_say_ok, at.v1, at.port, context),
        pod(at.v1, at.port, certificates["httpbin"]) as tunnels,
        door(at.waypoint, authority.format(at=at) or f"{at.vip}:{PORT}", certificates["sleep"]) as way_in,
    ):
        async with client(way_in) as http:
            assert (await http.get("/")).text == "ok"
        assert tunnels == [f"{at.v1}:8080 from spiffe://cluster.local/ns/default/sa/waypoint"]
        one.take(at.mesh(speaks=speaks, further=manifests(wrong)))
        async with client(way_in) as http:
            if speaks == "HTTP11":
                assert (await http.get("/")).status_code == 503
            else:
                with pytest.raises(httpx.TransportError):
                    await http.get("/")
    await one.logged("wrong.example")


async def _say_ok(connection: Connection) -> None:
    while await connection.receive():
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


# Filters --------------------------------------------------------------------------------------------------------------


async def test_a_rate_limit_is_429_for_what_is_over_it(certificates: Certificates) -> None:
    limit = {"service": "default/httpbin", "maxTokens": 2, "fillInterval": "1h"}
    async with scene(certificates, manifests(rateLimits=[limit])) as one:
        assert [(await one.http.get("/ip")).status_code for _ in range(3)] == [200, 200, 429]
        one.waypoint.take(one.at.mesh(further=manifests(rateLimits=[limit])))
        assert (await one.http.get("/ip")).status_code == 429  # an edit fills no bucket
        assert len(one.v1.calls()) == 2
    await one.waypoint.counts(2, "istio_requests_total", response_flags="RL")


async def test_faults_hold_up_and_refuse(certificates: Certificates) -> None:
    fault = {"service": "default/httpbin", "delay": {"fixedDelay": "10ms"}, "abort": {"httpStatus": 418}}
    async with scene(certificates, manifests(faults=[fault])) as one:
        assert (await one.http.get("/ip")).status_code == 418
        assert one.v1.calls() == []
    assert " 418 FI,DI fault_filter_abort " in one.waypoint.lines[0] or " 418 DI,FI " in one.waypoint.lines[0]


async def test_limits_and_faults_of_an_object_of_the_mesh(certificates: Certificates) -> None:
    config = {
        "apiVersion": "hbone.mesh/v1",
        "kind": "FilterConfig",
        "metadata": {"name": "filters", "namespace": "default"},
        "spec": {
            "rateLimits": [{"service": "default/httpbin", "maxTokens": 1, "fillInterval": "1h"}],
            "faults": [{"service": "default/v2", "abort": {"httpStatus": 418}}],
        },
    }
    async with scene(certificates, manifests(config)) as one:
        assert [(await one.http.get("/ip")).status_code for _ in range(2)] == [200, 429]
        assert len(one.v1.calls()) == 1


async def test_the_user_s_own_filter_stands_in_the_chain(certificates: Certificates, tmp_path: Path) -> None:
    (file := tmp_path / "own.py").write_text(
        "from mesh_py.http.filters.base import CONTINUE, Respond\n"
        "from mesh_py.http.messages import HttpResponse\n"
        "class Tenant:\n"
        "    def __init__(self, header): self.header = header\n"
        "    def on_request(self, request, info):\n"
        "        if request.headers.get(self.header) is None:\n"
        "            return Respond(HttpResponse(400), b'which tenant?')\n"
        "        request.headers.set('x-caller', info.identity.principal)\n"
        "        return CONTINUE\n"
        "    def on_response(self, response, info):\n"
        "        response.headers.set('x-seen', info.service)\n"
    )
    entry = {"file": str(file), "name": "Tenant", "settings": {"header": "x-tenant"}}
    async with scene(certificates, manifests(filters=[entry])) as one:
        answer = await one.http.get("/headers")
        assert (answer.status_code, answer.text) == (400, "which tenant?")
        answer = await one.http.get("/headers", headers={"x-tenant": "acme"})
        assert answer.json()["headers"]["x-caller"] == "cluster.local/ns/default/sa/sleep"
        assert answer.headers["x-seen"] == "default/httpbin.default.svc.cluster.local"
