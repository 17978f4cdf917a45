"""The Gateway API's conformance cases, by their names, for routes inside a mesh: requests through a waypoint, judged by
what the applications saw and what the client got.

Cases about listeners, TLS and addresses of an ingress are nothing to a waypoint. One case is decided otherwise, as
Istio decides it: MeshConsumerRoute, since a waypoint serves all clients of a service alike. What is precedence in full
is in tables without sockets (tests/mesh_py/http/test_router.py, test_route_changes.py, test_cors.py), what is about
grants in test_gateway_routes.py.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from tests.sidecar_py.applications import grpc_application
from tests.support.processes import eventually
from tests.waypoint_py.manifests import backend, manifests, route
from tests.waypoint_py.waypoints import HOST, PORT, Addresses, door, pod, scene, waypoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.support.certificates import CertificateFiles
    from tests.waypoint_py.waypoints import Scene

    Certificates = Mapping[str, CertificateFiles]


@dataclass(frozen=True)
class Ask:
    """A request, and what is expected of it."""

    path: str = "/anything"
    by: str = "v1"
    """Who gets it; empty: nobody."""
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    seen: dict[str, str | None] = field(default_factory=dict)
    """Headers as the application has them; None: not there. `path` is its path."""
    got: dict[str, str | None] = field(default_factory=dict)
    """Headers of the answer."""


def when(*conditions: dict[str, Any], to: str = "v2", **more: Any) -> dict[str, Any]:
    """A rule: to a backend if any of the conditions holds."""
    return {**({"matches": list(conditions)} if conditions else {}), "backendRefs": [backend(to)], **more}


def path(value: str, kind: str = "PathPrefix") -> dict[str, Any]:
    return {"path": {"type": kind, "value": value}}


def header(name: str, value: str) -> dict[str, Any]:
    return {"headers": [{"name": name, "value": value}]}


def changes(kind: str, **what: Any) -> list[dict[str, Any]]:
    key = "urlRewrite" if kind == "URLRewrite" else kind[0].lower() + kind[1:]
    return [{"type": kind, key: what}]


def redirect(**what: Any) -> list[dict[str, Any]]:
    return [{"filters": changes("RequestRedirect", **what)}]


def older(one: dict[str, Any]) -> dict[str, Any]:
    one["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
    return one


def moved(status: int, to: str, path: str = "/anything") -> Ask:
    return Ask(path, by="", status=status, got={"location": to})


HEADERS = {"set": [{"name": "x-set", "value": "new"}], "add": [{"name": "x-add", "value": "b"}], "remove": ["x-gone"]}
SENT = {"x-set": "old", "x-add": "a", "x-gone": "here"}
CHANGED: dict[str, str | None] = {"x-set": "new", "x-add": "a,b", "x-gone": None}
V1 = "httpbin"
TO_PREFIX = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/to"}

CASES: dict[str, tuple[list[dict[str, Any]], list[Ask]]] = {
    "MeshBasic": ([], [Ask()]),
    "MeshHTTPRouteSimpleSameNamespace": ([route(when())], [Ask(by="v2")]),
    "MeshHTTPRouteMatching": (
        [route(when(path("/"), header("version", "one"), to=V1), when(path("/v2"), header("version", "two")))],
        [
            Ask("/"),
            Ask("/v2", by="v2"),
            Ask("/v2/", by="v2"),
            Ask("/v2example"),
            Ask("/foo/v2/example"),
            Ask("/", by="v2", headers={"version": "two"}),
        ],
    ),
    "MeshHTTPRouteQueryParamMatching": (
        [route(when({"queryParams": [{"name": "animal", "value": "whale"}]}), when(path("/plain"), to=V1))],
        [
            Ask("/?animal=whale", by="v2"),
            Ask("/?otherparam=x&animal=whale", by="v2"),
            Ask("/?animal=dolphin", by="", status=404),
            Ask("/plain?animal=dolphin"),
        ],
    ),
    "HTTPRouteMethodMatching": (
        [route(when({"method": "POST"}), when({"method": "GET"}, to=V1))],
        [Ask(), Ask(by="v2", method="POST"), Ask(by="", method="PUT", status=404)],
    ),
    "HTTPRouteMatchingAcrossRoutes": (
        [
            route(when(path("/"), to=V1), when(path("/same"), to="none"), name="a"),
            older(route(when(path("/same")), when(path("/long/er")), name="b")),
            route(when(path("/long"), to=V1), name="c"),
        ],
        [Ask("/other"), Ask("/same", by="v2"), Ask("/long"), Ask("/long/er", by="v2")],
    ),
    "HTTPRouteAllBackendsWeightZero": (
        [route({"backendRefs": [backend("httpbin", weight=0), backend("v2", weight=0)]})],
        [Ask(by="", status=500)],
    ),
    "MeshHTTPRouteRequestHeaderModifier": (
        [route(when(to=V1, filters=changes("RequestHeaderModifier", **HEADERS)))],
        [Ask(headers=SENT, seen=CHANGED)],
    ),
    "MeshHTTPRouteBackendRequestHeaderModifier": (
        [route({"backendRefs": [backend("v2", filters=changes("RequestHeaderModifier", **HEADERS))]})],
        [Ask(by="v2", headers=SENT, seen=CHANGED)],
    ),
    "HTTPRouteResponseHeaderModifier": (
        [
            route(
                when(
                    to=V1,
                    filters=changes(
                        "ResponseHeaderModifier",
                        set=[{"name": "x-set", "value": "new"}],
                        remove=["content-type"],
                    ),
                )
            )
        ],
        [Ask(got={"x-set": "new", "content-type": None})],
    ),
    "MeshHTTPRouteRedirectHostAndStatus": (
        [route(*redirect(hostname="example.org", statusCode=301))],
        [moved(301, f"http://example.org:{PORT}/anything")],
    ),
    "MeshHTTPRouteRedirectPath": (
        [route({"matches": [path("/from")], **redirect(path=TO_PREFIX)[0]})],
        [moved(302, f"http://{HOST}:{PORT}/to/there", "/from/there")],
    ),
    "MeshHTTPRouteRedirectPort": (
        [route(*redirect(port=8083))],
        [moved(302, f"http://{HOST}:8083/anything")],
    ),
    "MeshHTTPRouteSchemeRedirect": (
        [route(*redirect(scheme="https"))],
        [moved(302, f"https://{HOST}/anything")],
    ),
    "MeshHTTPRoute303Redirect": ([route(*redirect(statusCode=303))], [moved(303, f"http://{HOST}:{PORT}/anything")]),
    "MeshHTTPRoute307Redirect": ([route(*redirect(statusCode=307))], [moved(307, f"http://{HOST}:{PORT}/anything")]),
    "MeshHTTPRoute308Redirect": ([route(*redirect(statusCode=308))], [moved(308, f"http://{HOST}:{PORT}/anything")]),
    "MeshHTTPRouteRewritePath": (
        [
            route(
                when(
                    path("/prefix"),
                    to=V1,
                    filters=changes("URLRewrite", path={"type": "ReplacePrefixMatch", "replacePrefixMatch": "/one"}),
                ),
                when(
                    path("/full"),
                    filters=changes("URLRewrite", path={"type": "ReplaceFullPath", "replaceFullPath": "/two"}),
                ),
            )
        ],
        [
            Ask("/prefix/more", seen={"path": "/one/more"}),
            Ask("/prefix", seen={"path": "/one"}),
            Ask("/full/any", by="v2", seen={"path": "/two"}),
        ],
    ),
    "HTTPRouteRewriteHost": (
        [route(when(filters=changes("URLRewrite", hostname="example.org")))],
        [Ask(by="v2", seen={"host": "example.org"})],
    ),
    "HTTPRouteTimeoutRequest": (
        [route(when(path("/delay/5"), to=V1, timeouts={"request": "200ms"}), when(to=V1, timeouts={"request": "5s"}))],
        [Ask(), Ask("/delay/5", status=504)],  # the first opens the tunnel, which takes its time
    ),
    "HTTPRouteTimeoutBackendRequest": (
        [
            route(
                when(path("/delay/5"), to=V1, timeouts={"backendRequest": "200ms"}, retry={"attempts": 0}), when(to=V1)
            )
        ],
        [Ask(), Ask("/delay/5", status=504)],
    ),
    "HTTPRouteCORS": (
        [
            route(
                when(
                    to=V1,
                    filters=[{"type": "CORS", "cors": {"allowOrigins": ["https://a.test"], "allowMethods": ["PUT"]}}],
                )
            )
        ],
        [
            Ask(headers={"origin": "https://a.test"}, got={"access-control-allow-origin": "https://a.test"}),
            Ask(headers={"origin": "https://b.test"}, got={"access-control-allow-origin": None}),
            Ask(
                by="",
                method="OPTIONS",
                headers={"origin": "https://a.test", "access-control-request-method": "PUT"},
                got={"access-control-allow-origin": "https://a.test", "access-control-allow-methods": "PUT"},
            ),
        ],
    ),
    "HTTPRouteInvalidNonExistentBackendRef": ([route(when(to="none"))], [Ask(by="", status=500)]),
    "HTTPRouteInvalidBackendRefUnknownKind": (
        [route({"backendRefs": [{"name": "v2", "group": "example.com", "kind": "Other", "port": PORT}]})],
        [Ask(by="", status=500)],
    ),
    "HTTPRouteInvalidNonExistentBackendRef: other rules hold": (
        [route(when(path("/bad"), to="none"), when())],
        [Ask(by="v2"), Ask("/bad", by="", status=500)],
    ),
    "MeshPorts": (
        [
            {
                **route(when()),
                "spec": {
                    "parentRefs": [{"kind": "Service", "group": "", "name": "httpbin", "port": 9999}],
                    "rules": [when()],
                },
            }
        ],
        [Ask()],
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_case(certificates: Certificates, name: str) -> None:
    routes, asks = CASES[name]
    async with scene(certificates, manifests(*routes)) as one:
        for number, ask in enumerate(asks):
            await judge(one, ask, f"token{number}")


async def judge(one: Scene, ask: Ask, token: str) -> None:
    answer = await one.http.request(ask.method, ask.path, headers={**ask.headers, "x-token": token})
    # An application that knows no such path says 404 itself: who was called is what counts.
    calls = {"v1": one.v1.calls(token), "v2": one.v2.calls(token)}
    assert {name: len(found) for name, found in calls.items() if found} == ({ask.by: 1} if ask.by else {}), ask
    is_known = ask.path.startswith(("/anything", "/delay"))
    assert answer.status_code == ask.status or (ask.by and not is_known and answer.status_code == 404), ask
    assert {name: answer.headers.get(name) for name in ask.got} == ask.got
    for call in calls.get(ask.by, []):
        told = {key.lower(): value for key, value in call.headers.items()} | {"path": call.path}
        assert {name: told.get(name) for name in ask.seen} == ask.seen


# Cases of chance, copies, further tries and memory --------------------------------------------------------------------


async def test_mesh_http_route_weight(certificates: Certificates) -> None:
    """MeshHTTPRouteWeight: in proportion, and nothing to a weight of zero."""
    split = {"backendRefs": [backend("httpbin", weight=70), backend("v2", weight=30), backend("none", weight=0)]}
    async with scene(certificates, manifests(route(split))) as one:
        for _ in range(100):
            assert (await one.http.get("/ip?t=token")).status_code == 200
        assert 8 <= len(one.v2.calls("token")) <= 55  # nearly all of a binomial around 30


async def test_http_route_request_mirrors(certificates: Certificates) -> None:
    """HTTPRouteRequestMirror, HTTPRouteRequestMultipleMirrors, HTTPRouteRequestPercentageMirror."""

    def mirror(**more: Any) -> dict[str, Any]:
        return {"type": "RequestMirror", "requestMirror": {"backendRef": backend("v2"), **more}}

    rules = [
        when(path("/one"), to=V1, filters=[mirror()]),
        when(path("/two"), to=V1, filters=[mirror(), mirror()]),
        when(path("/none"), to=V1, filters=[mirror(percent=0)]),
    ]
    async with scene(certificates, manifests(route(*rules))) as one:
        for asked, copies in (("one", 1), ("two", 2), ("none", 0)):
            await one.http.get(f"/{asked}?t=token-{asked}")
            await one.settled()
            assert len(one.v2.calls(f"token-{asked}")) == copies
            assert len(one.v1.calls(f"token-{asked}")) == 1


async def test_http_route_retry(certificates: Certificates) -> None:
    """HTTPRouteRetry: a status that is named is tried again, as often as told."""
    rule = when(to=V1, retry={"codes": [503], "attempts": 2, "backoff": "1ms"})
    async with scene(certificates, manifests(route(rule))) as one:
        assert (await one.http.get("/status/503?t=again")).status_code == 503
        assert (await one.http.get("/status/500?t=once")).status_code == 500
        assert (len(one.v1.calls("again")), len(one.v1.calls("once"))) == (3, 1)


@pytest.mark.parametrize("lifetime", ["Session", "Permanent"])
async def test_http_route_session_persistence_cookie(certificates: Certificates, lifetime: str) -> None:
    """HTTPRouteSessionPersistenceCookie and its permanent lifetime."""
    persistence: dict[str, Any] = {"sessionName": "mine", "cookieConfig": {"lifetimeType": lifetime}}
    if lifetime == "Permanent":
        persistence["absoluteTimeout"] = "1h"
    async with scene(certificates, manifests(route(when(to=V1, sessionPersistence=persistence)))) as one:
        first = await one.http.get("/ip")
        assert "mine" in first.cookies
        assert ("Max-Age=3600" in first.headers["set-cookie"]) is (lifetime == "Permanent")
        again = await one.http.get("/ip")
        assert "set-cookie" not in again.headers


async def test_mesh_http_route_named_rule(certificates: Certificates) -> None:
    """MeshHTTPRouteNamedRule: its name is in the log."""
    async with scene(certificates, manifests(route(when(name="to-the-second")))) as one:
        await one.http.get("/ip?t=token")
        await eventually(lambda: any("default/route/to-the-second" in line for line in one.waypoint.lines), "logged")
        assert len(one.v2.calls("token")) == 1


# gRPC -----------------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def calls(certificates: Certificates, *rules: dict[str, Any]) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to two servers, each of which says its name in a trailer."""
    at = Addresses()
    mesh = at.mesh(speaks="GRPC", further=manifests(route(*rules, kind="GRPCRoute")))
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(waypoint(mesh, at.waypoint, certificates["waypoint"]))
        for name, address in (("v1", at.v1), ("v2", at.v2)):
            await enter(grpc_application(address, at.port, name))
            await enter(pod(address, at.port, certificates["httpbin"]))
        way_in = await enter(door(at.waypoint, f"{at.vip}:{PORT}", certificates["sleep"]))
        options = [("grpc.default_authority", HOST)]
        yield await enter(grpc.aio.insecure_channel(way_in, options=options))


async def server_of(channel: grpc.aio.Channel, method: str = "Unary", **metadata: str) -> str:
    call = channel.unary_unary(f"/test.Echo/{method}")(b"you", metadata=tuple(metadata.items()))
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    return str(dict(tuple(await call.trailing_metadata()))["x-trailer"])


def method(name: str) -> dict[str, Any]:
    return {"method": {"service": "test.Echo", "method": name}}


@pytest.mark.interop
@pytest.mark.parametrize(
    ("rules", "asked", "expected"),
    [
        pytest.param([when(method("Unary"))], [{}], ["v2"], id="GRPCExactMethodMatching: the method"),
        pytest.param([when(method("Stream"))], [{}], ["UNIMPLEMENTED"], id="GRPCExactMethodMatching: another"),
        pytest.param(
            [when(header("version", "two")), when(to=V1)],
            [{"version": "two"}, {"version": "one"}, {}],
            ["v2", "v1", "v1"],
            id="GRPCRouteHeaderMatching",
        ),
        pytest.param(
            [{"backendRefs": [backend("httpbin", weight=0), backend("v2", weight=1)]}],
            [{}, {}],
            ["v2", "v2"],
            id="GRPCRouteWeight",
        ),
        pytest.param(
            [{"backendRefs": [backend("v2", weight=0)]}], [{}], ["UNAVAILABLE"], id="GRPCRouteAllBackendsWeightZero"
        ),
    ],
)
async def test_grpc_case(
    certificates: Certificates, rules: list[dict[str, Any]], asked: list[dict[str, str]], expected: list[str]
) -> None:
    async with calls(certificates, *rules) as channel:
        assert [await server_of(channel, **metadata) for metadata in asked] == expected
