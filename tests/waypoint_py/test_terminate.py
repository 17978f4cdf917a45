"""What a pod's application sees of a tunnel: one connection for one request, and none for one that is refused."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.mesh_py.exchange.servers import answering
from tests.sidecar_py.sidecars import sidecar
from tests.support.tcp_apps import TcpApp
from tests.waypoint_py.manifests import manifests, methods, policy, principals
from tests.waypoint_py.waypoints import PORT, Addresses, client, door, pod, waypoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import httpx

    from tests.support.certificates import CertificateFiles
    from tests.waypoint_py.waypoints import WaypointUnderTest

    Certificates = Mapping[str, CertificateFiles]

KINDS = {"HBONE": "protocol: HBONE", "mutual TLS": "mutualTls: true", "plain TCP": "protocol: TCP"}


@contextlib.asynccontextmanager
async def application(
    certificates: Certificates,
    kind: str = "HBONE",
    speaks: str = "",
    further: str = "",
    identity: str = "httpbin",
) -> AsyncIterator[tuple[httpx.AsyncClient, TcpApp, WaypointUnderTest]]:
    """A client, the application whose connections are counted, and the waypoint between.

    `identity`: whom the waypoint expects in the pod, which is httpbin.
    """
    at = Addresses()
    mesh = at.mesh(kind=KINDS[kind], speaks=speaks, further=further)
    expected = mesh.replace("serviceAccount: httpbin", f"serviceAccount: {identity}")
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        host = at.v1
        if kind == "mutual TLS":
            flags = {"CAPTURED_PORTS": str(at.port), "APP_ADDRESS": at.v2, "INBOUND_PORT": "0"}
            await enter(
                sidecar(
                    mesh.replace("serviceAccount: httpbin", "serviceAccount: v1"),
                    "v1",
                    at.v1,
                    certificates["httpbin"],
                    **flags,
                )
            )
            host = at.v2
        app = await enter(TcpApp(answering, host, at.port))
        if kind == "HBONE":
            await enter(pod(at.v1, at.port, certificates["httpbin"]))
        one = await enter(waypoint(expected, at.waypoint, certificates["waypoint"]))
        way_in = await enter(door(at.waypoint, f"{at.vip}:{PORT}", certificates["sleep"]))
        yield await enter(client(way_in)), app, one


@pytest.mark.parametrize("speaks", ["HTTP11", ""])
@pytest.mark.parametrize("kind", KINDS)
async def test_one_connection_serves_the_requests_of_a_tunnel(
    certificates: Certificates, kind: str, speaks: str
) -> None:
    async with application(certificates, kind, speaks) as (http, app, _):
        assert [(await http.get("/")).text for _ in range(3)] == ["ok"] * 3
        assert len(app.connections) == 1


async def test_every_tunnel_is_shown_to_reach_the_pod_by_a_connection_that_it_uses(certificates: Certificates) -> None:
    async with application(certificates) as (http, app, one):
        for number in range(1, 4):
            assert (await http.get("/", headers={"connection": "close"})).text == "ok"
            assert len(app.connections) == number
        assert len(one.plane.context.http) == 1  # what stood unused has made room


@pytest.mark.parametrize("speaks", ["HTTP11", ""])
async def test_a_pod_that_is_somebody_else_is_an_answer(certificates: Certificates, speaks: str) -> None:
    async with application(certificates, "mutual TLS", speaks, identity="other") as (http, app, _):
        assert (await http.get("/")).status_code == 503
        assert app.connections == []


@pytest.mark.parametrize("speaks", ["HTTP11", ""])
@pytest.mark.parametrize(
    "further",
    [
        manifests(policy(methods("POST"))),
        manifests(policy(principals("*/sa/other"))),
        manifests(
            rateLimits=[{"maxTokens": 1, "tokensPerFill": 1, "fillInterval": "1h", "service": "default/httpbin"}]
        ),
    ],
    ids=["by method", "by caller", "by a limit"],
)
async def test_what_is_refused_never_reaches_it(certificates: Certificates, speaks: str, further: str) -> None:
    async with application(certificates, "HBONE", speaks, further) as (http, app, _):
        allowed = 1 if "rateLimits" in further else 0
        for _ in range(allowed):
            assert (await http.get("/", headers={"connection": "close"})).status_code == 200
        assert (await http.get("/", headers={"connection": "close"})).status_code in (403, 429)
        assert len(app.connections) == allowed
