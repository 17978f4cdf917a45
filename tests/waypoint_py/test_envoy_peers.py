"""The real Envoy on either side: a sidecar of Istio's shape in front, an HBONE server behind; its counters are the
judges."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest
from aiohttp import ClientSession

from tests.mesh_py.exchange.servers import answering
from tests.sidecar_py.applications import web_application
from tests.support.envoy import start_envoy
from tests.support.tcp_apps import TcpApp, answer_at_end, digest, payload
from tests.waypoint_py.manifests import backend, manifests, methods, policy, principals, route
from tests.waypoint_py.waypoints import HOST, PORT, Addresses, waypoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.certificates import CertificateFiles
    from tests.support.envoy import Envoy

    Certificates = Mapping[str, CertificateFiles]

pytestmark = pytest.mark.interop

WAYPOINT = "spiffe://cluster.local/ns/default/sa/waypoint"
SLEEP = "cluster.local/ns/default/sa/sleep"


class Envoys(NamedTuple):
    """A sidecar in front, a server behind, and the mesh between."""

    at: Addresses
    client: Envoy
    server: Envoy

    @property
    def url(self) -> str:
        """Where the sidecar takes HTTP."""
        return f"http://{self.client.address}:15101"


def sidecar_of(
    certificate: CertificateFiles, at: Addresses, folder: Path, roots: Path | None = None
) -> contextlib.AbstractContextManager[Envoy]:
    """An Envoy whose HTTP goes by the waypoint to httpbin, and whose bytes go to v2."""
    return start_envoy(
        "by_waypoint",
        folder,
        certificate,
        roots=roots,
        ADDRESS=at.sleep,
        WAYPOINT=at.waypoint,
        SERVICE=f"{at.vip}:{PORT}",
        TCP_SERVICE=f"{at.v2_vip}:{PORT}",
    )


@pytest.fixture(scope="module")
def envoys(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoys]:
    at, folder = Addresses(), tmp_path_factory.mktemp("envoys")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(start_envoy("server", folder, certificates["httpbin"], ADDRESS=at.v1))
        client = stack.enter_context(sidecar_of(certificates["sleep"], at, folder))
        yield Envoys(at, client, server)


async def test_a_sidecar_s_requests_go_by_the_waypoint_to_an_hbone_server(
    envoys: Envoys, certificates: Certificates
) -> None:
    at = envoys.at
    served = envoys.server.stat("http.inbound.downstream_rq_total")
    further = manifests(policy(principals(SLEEP)), policy(methods("DELETE"), action="DENY", name="deny"))
    async with (
        waypoint(at.mesh(further=further), at.waypoint, certificates["waypoint"]) as one,
        web_application(at.v1, at.port) as record,
        httpx.AsyncClient(base_url=envoys.url, headers={"host": HOST}, trust_env=False, verify=False) as http,
    ):
        answers = [await http.get("/headers?t=token") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert len(record.calls("token")) == 3
        assert (await http.delete("/anything")).status_code == 403
        answer = await http.post("/echo", content=payload(3_000_000))
        assert digest(answer.content) == digest(payload(3_000_000))
        # One tunnel carried them all, and the waypoint opened it.
        assert envoys.server.stat("http.inbound.downstream_rq_total") == served + 1
        assert envoys.server.stat("ssl.fail_verify_san") == 0
        assert envoys.client.stat("cluster.waypoint.upstream_cx_total") >= 1
        assert envoys.client.stat("cluster.waypoint.ssl.handshake") >= 1
    told = {"reporter": "waypoint", "source_principal": f"spiffe://{SLEEP}", "destination_workload": "httpbin-v1"}
    await one.counts(4, "istio_requests_total", response_code="200", **told)
    await one.counts(1, "istio_requests_total", response_code="403", **(told | {"destination_workload": "unknown"}))
    assert f"peer={WAYPOINT}" in await envoys.server.logged(WAYPOINT)


@pytest.mark.parametrize("speaks", ["HTTP11", ""])
async def test_the_application_sees_one_connection_for_a_request_and_none_for_a_refused_one(
    envoys: Envoys, certificates: Certificates, speaks: str
) -> None:
    at = envoys.at
    served = envoys.server.stat("http.inbound.downstream_rq_total")
    async with (
        TcpApp(answering, at.v1, at.port) as application,
        httpx.AsyncClient(base_url=envoys.url, headers={"host": HOST}, trust_env=False, verify=False) as http,
    ):
        async with waypoint(at.mesh(speaks=speaks), at.waypoint, certificates["waypoint"]):
            assert (await http.get("/")).text == "ok"
        further = manifests(policy(methods("POST")))
        async with waypoint(at.mesh(speaks=speaks, further=further), at.waypoint, certificates["waypoint"]):
            assert (await http.get("/")).status_code == 403
        assert len(application.connections) == 1
    assert envoys.server.stat("http.inbound.downstream_rq_total") == served + 1


async def test_a_failure_behind_is_an_answer_and_the_tunnel_stays(envoys: Envoys, certificates: Certificates) -> None:
    at = envoys.at
    async with (
        waypoint(at.mesh(), at.waypoint, certificates["waypoint"]) as one,
        httpx.AsyncClient(base_url=envoys.url, headers={"host": HOST}, trust_env=False, verify=False) as http,
    ):
        # Nobody listens behind Envoy: its server says 503 to our CONNECT.
        answers = [await http.get("/ip") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [503, 503]
        assert all(answer.text.endswith("connection failure") for answer in answers)
        await one.logged(" 503 UF,URX ")


async def test_no_route_is_404_for_a_sidecar_too(envoys: Envoys, certificates: Certificates) -> None:
    at = envoys.at
    only = route({"matches": [{"path": {"value": "/only"}}], "backendRefs": [backend("httpbin")]})
    async with (
        waypoint(at.mesh(further=manifests(only)), at.waypoint, certificates["waypoint"]),
        httpx.AsyncClient(base_url=envoys.url, headers={"host": HOST}, trust_env=False, verify=False) as http,
    ):
        assert (await http.get("/ip")).status_code == 404


async def test_a_websocket_goes_through(envoys: Envoys, certificates: Certificates) -> None:
    at = envoys.at
    async with (
        waypoint(at.mesh(), at.waypoint, certificates["waypoint"]),
        web_application(at.v1, at.port),
        ClientSession() as session,
        session.ws_connect(f"{envoys.url}/ws") as socket,
    ):
        await socket.send_str("you")
        assert await socket.receive_str(timeout=5) == "heard you"


async def test_bytes_go_through_and_half_close(envoys: Envoys, certificates: Certificates) -> None:
    at = envoys.at
    mesh = at.mesh(speaks="TCP", kind="protocol: HBONE").replace(at.v2, "127.255.255.253")
    mesh = mesh.replace('"default/v2', '"default/none').replace(
        f'"default/{HOST}": {{{PORT}: {at.port}}}',
        f'"default/{HOST}": {{{PORT}: {at.port}}}, "default/v2.default.svc.cluster.local": {{{PORT}: {at.port}}}',
    )
    data = b"\x00 no HTTP " + payload(500_000)
    async with (
        waypoint(mesh, at.waypoint, certificates["waypoint"]),
        TcpApp(answer_at_end, at.v1, at.port) as application,
    ):
        reader, writer = await asyncio.open_connection(envoys.client.address, 15103)
        writer.write(data)
        writer.write_eof()
        assert digest(data).encode() in await reader.read()
        writer.close()
        assert (await application.connection()).digest == digest(data)


async def test_a_client_of_another_trust_domain_is_refused(certificates: Certificates, tmp_path: Path) -> None:
    at = Addresses()
    with sidecar_of(certificates["alien"], at, tmp_path, certificates["sleep"].roots) as envoy:
        async with (
            waypoint(at.mesh(), at.waypoint, certificates["waypoint"]) as one,
            httpx.AsyncClient(base_url=f"http://{envoy.address}:15101", trust_env=False, verify=False) as http,
        ):
            assert (await http.get("/ip")).status_code == 503
            await one.logged("tls handshake error")
