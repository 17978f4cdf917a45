"""Destinations with a waypoint, in the three forms; node proxies on either side; and Envoy as HBONE's other end."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

import hbone_py
from hbone_py.aio.plain_relay import relay
from hbone_py.aio.reactor import Reactor
from hbone_py.aio.tcp_stream import TcpStream
from tests.sidecar_py.applications import web_application
from tests.sidecar_py.pairs import URL
from tests.sidecar_py.sidecars import HOST, PORT, Addresses, sidecar
from tests.support.envoy import start_envoy
from tests.support.peers import credentials_of
from tests.support.processes import PeerProcess, loopback_address
from tests.support.sockets import dialled
from tests.ztunnel_py.worlds import CLEAN, START_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    from tests.support.certificates import CertificateFiles


@contextlib.asynccontextmanager
async def waypoint(certificate: CertificateFiles, address: str, app: str, port: int) -> AsyncIterator[list[str]]:
    """Ends tunnels, notes what they ask for, and leads to the application."""
    asked: list[str] = []

    async def lead(tunnel: hbone_py.IncomingTunnel) -> None:
        asked.append(f"{tunnel.request.authority} for {tunnel.peer}")
        stream = await tunnel.accept()
        await relay(stream, TcpStream(Reactor.current(), dialled(app, port)))

    async with await hbone_py.serve(lead, address, 15008, credentials=credentials_of(certificate)):
        yield asked


ROUTE = f"""
manifests:
- apiVersion: gateway.networking.k8s.io/v1
  kind: HTTPRoute
  metadata: {{name: mark, namespace: default}}
  spec:
    parentRefs: [{{kind: Service, group: "", name: httpbin, port: {PORT}}}]
    rules:
    - filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x-by-route, value: "1"}}]}}}}]
      backendRefs: [{{name: httpbin, port: {PORT}}}]
"""


@pytest.mark.parametrize("owner", ["service", "workload"])
@pytest.mark.parametrize("form", ["post", "service", "today"])
async def test_the_three_forms(certificates: Mapping[str, CertificateFiles], form: str, owner: str) -> None:
    """`today` goes to the pod, where this test's stand-in listens as well, under httpbin's name.

    The routes of a service are its waypoint's, where that is on the way.
    """
    at, its_address = Addresses(), loopback_address()
    reference = f"{{destination: '/{its_address}', hboneMtlsPort: 15008}}"
    more = f"""\
- {{uid: waypoint, name: waypoint, namespace: default, serviceAccount: waypoint, trustDomain: cluster.local,
    workloadIps: ["{its_address}"], protocol: HBONE, services: {{}}}}
"""
    of_workload = f", waypoint: {reference}" if owner == "workload" else ""
    of_service = f", waypoint: {reference}" if owner == "service" else ""
    mesh = at.mesh(kind=f"protocol: HBONE{of_workload}", more=more, service=of_service) + ROUTE
    async with (
        web_application(at.app, at.port) as record,
        waypoint(certificates["waypoint"], its_address, at.app, at.port) as at_waypoint,
        waypoint(certificates["httpbin"], at.httpbin, at.app, at.port) as at_pod,
        sidecar(mesh, "sleep", at.sleep, certificates["sleep"], INBOUND_PORT="0", WAYPOINT_FORM=form) as client,
        client.client() as http,
    ):
        assert (await http.get(f"{URL}/ip?t=token")).status_code == 200
        [call] = record.calls("token")
        assert ("x-by-route" in call.headers) is (form == "today" or owner == "workload")
    pod, service = f"{at.httpbin}:{at.port}", f"{at.vip}:{PORT}"
    who = "spiffe://cluster.local/ns/default/sa/sleep"
    by_pod, by_service = [f"{pod} for {who}"], [f"{service} for {who}"]
    expected = {"post": (by_pod, []), "service": (by_service, []), "today": ([], by_pod)}
    assert (at_waypoint, at_pod) == expected[form]


async def test_nothing_goes_around_a_waypoint(certificates: Mapping[str, CertificateFiles]) -> None:
    at = Addresses()
    reference = f", waypoint: {{destination: '/{loopback_address()}', hboneMtlsPort: 15008}}"
    mesh = at.mesh(kind="protocol: HBONE", service=reference)
    async with (
        web_application(at.app, at.port) as record,
        waypoint(certificates["httpbin"], at.httpbin, at.app, at.port),
        sidecar(mesh, "sleep", at.sleep, certificates["sleep"], INBOUND_PORT="0") as client,
        client.client() as http,
    ):
        answer = await http.get(f"{URL}/ip?t=token")
        assert (answer.status_code, answer.text) == (503, "no healthy upstream")
        await client.logged(" 503 UH ")
        assert record.calls("token") == []


# A node proxy of ours, a process ----------------------------------------------------------------------------------


@contextlib.contextmanager
def node_proxy(
    address: str, mesh: str, folder: Path, certificates: Mapping[str, CertificateFiles]
) -> Iterator[PeerProcess]:
    certs = folder / "certs"
    for name in ("sleep", "httpbin"):
        (its := certs / "default" / name).mkdir(parents=True)
        for file, source in (("cert-chain.pem", "chain"), ("key.pem", "key"), ("root-cert.pem", "roots")):
            (its / file).write_bytes(getattr(certificates[name], source).read_bytes())
            (its / file).chmod(0o600)
    environment = {
        **CLEAN,
        "PROXY_MODE": "node",
        "PROXY_BIND_ADDRESS": address,
        "LOCAL_XDS": mesh,
        "WORKLOAD_CERT_DIR": str(certs),
        "UNSTABLE_ENABLE_SOCKS5": "true",
        "SOCKS5_SOURCE_WORKLOAD": "default/sleep",
        "XDS_ADDRESS": "",
    }
    process = PeerProcess([sys.executable, "-m", "ztunnel_py"], folder / "ztunnel.log", environment)
    try:
        process.wait_until(lambda: _is_ready(address), "ready", START_SECONDS)
        yield process
    finally:
        process.kill()  # the sidecar keeps its connection, which a drain would wait for


def _is_ready(address: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"http://{address}:15021/healthz/ready", trust_env=False, verify=False).status_code == 200
    return False


def _metric(address: str, name: str, *labels: str) -> int:
    text = httpx.get(f"http://{address}:15020/metrics", trust_env=False, verify=False).text
    lines = [line for line in text.splitlines() if line.startswith(f"{name}{{")]
    return sum(int(line.rpartition(" ")[2]) for line in lines if all(label in line for label in labels))


@pytest.mark.interop
async def test_an_ambient_pod_calls_a_sidecar_by_hbone(
    certificates: Mapping[str, CertificateFiles], tmp_path: Path
) -> None:
    at = Addresses()
    mesh = at.mesh(kind="protocol: HBONE")
    inbound = {"CAPTURED_PORTS": str(at.port), "APP_ADDRESS": at.app, "INBOUND_PORT": "15008"}
    async with (
        web_application(at.app, at.port),
        sidecar(mesh, "httpbin", at.httpbin, certificates["httpbin"], **inbound) as server,
    ):
        with node_proxy(at.sleep, mesh, tmp_path, certificates):
            async with httpx.AsyncClient(proxy=f"socks5h://{at.sleep}:15080", trust_env=False, verify=False) as http:
                headers = (await http.get(f"http://{HOST}:{PORT}/headers")).json()["headers"]
            by, uri = (f"spiffe://cluster.local/ns/default/sa/{name}" for name in ("httpbin", "sleep"))
            assert headers["x-forwarded-client-cert"] == f"By={by};URI={uri}"
            assert _metric(at.sleep, "istio_tcp_connections_opened_total", 'reporter="source"') == 1
        labels = {"reporter": "destination", "source_workload": "sleep", "connection_security_policy": "mutual_tls"}
        await server.counts(1, "istio_requests_total", **labels)


@pytest.mark.interop
async def test_a_sidecar_calls_an_ambient_pod_by_hbone(
    certificates: Mapping[str, CertificateFiles], tmp_path: Path
) -> None:
    at = Addresses()
    at.app = at.httpbin  # the application is where its pod is
    mesh = at.mesh(kind="protocol: HBONE")
    async with (
        web_application(at.app, at.port),
        sidecar(mesh, "sleep", at.sleep, certificates["sleep"], INBOUND_PORT="0") as client,
        client.client() as http,
    ):
        with node_proxy(at.httpbin, mesh.replace("mutualTls: true, ", ""), tmp_path, certificates):
            assert (await http.get(f"{URL}/ip")).json() == {"origin": at.sleep}
            assert _metric(at.httpbin, "istio_tcp_connections_opened_total", 'source_workload="sleep"') == 1


# The real Envoy at the end of the tunnel ----------------------------------------------------------------------------


@pytest.mark.interop
async def test_envoy_ends_the_tunnel(certificates: Mapping[str, CertificateFiles], tmp_path: Path) -> None:
    at = Addresses()
    at.app = at.httpbin
    with start_envoy("server", tmp_path, certificates["httpbin"], ADDRESS=at.httpbin) as envoy:
        async with (
            web_application(at.app, at.port),
            sidecar(at.mesh(kind="protocol: HBONE"), "sleep", at.sleep, certificates["sleep"], INBOUND_PORT="0") as one,
            one.client() as http,
        ):
            for _ in range(3):
                assert (await http.get(f"{URL}/ip")).status_code == 200
            assert envoy.stat("ssl.handshake") == 1
            assert envoy.stat("http.inbound.downstream_rq_total") == 1  # one tunnel carries all three


@pytest.mark.interop
async def test_envoy_opens_the_tunnel(certificates: Mapping[str, CertificateFiles], tmp_path: Path) -> None:
    at = Addresses()
    inbound = {"CAPTURED_PORTS": str(at.port), "APP_ADDRESS": at.app, "INBOUND_PORT": "15008"}
    with start_envoy("client", tmp_path, certificates["sleep"]) as envoy:
        async with (
            web_application(at.app, at.port),
            sidecar(at.mesh(), "httpbin", at.httpbin, certificates["httpbin"], **inbound) as server,
        ):
            reader, writer = await asyncio.open_connection(envoy.address, envoy.proxy_port)
            writer.write(f"PROXY TCP4 {at.sleep} {at.httpbin} 5555 {at.port}\r\n".encode())
            writer.write(f"GET /headers HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"URI=spiffe://cluster.local/ns/default/sa/sleep" in answer
            await server.counts(1, "istio_requests_total", response_code="200")
            assert f"peer={'spiffe://cluster.local/ns/default/sa/httpbin'}" in await envoy.logged("captured")
