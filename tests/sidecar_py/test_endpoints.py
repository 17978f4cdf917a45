"""Several endpoints behind one service: shared out, tried again, put out of use, kept by cookie."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.sidecar_py.pairs import URL
from tests.sidecar_py.sidecars import HOST, PORT, Addresses, SidecarUnderTest, sidecar
from tests.support.tcp_apps import TcpApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.support.certificates import CertificateFiles
    from tests.support.tcp_apps import Behaviour, Connection

TRAFFIC = """\
manifests:
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {name: d, namespace: default}
  spec: {host: httpbin, trafficPolicy: {POLICY}}
- apiVersion: gateway.networking.k8s.io/v1
  kind: HTTPRoute
  metadata: {name: r, namespace: default}
  spec:
    parentRefs: [{kind: Service, group: "", name: httpbin, port: 8000}]
    rules: [{backendRefs: [{name: httpbin, port: 8000}], RULE}]
"""
ROUND_ROBIN = "loadBalancer: {simple: ROUND_ROBIN}"


def traffic(policy: str = ROUND_ROBIN, rule: str = "retry: {attempts: 0}") -> str:
    return TRAFFIC.replace("POLICY", policy).replace("RULE", rule)


class Endpoint:
    """Answers with a status and its name, and counts."""

    def __init__(self, name: str, status: int = 200) -> None:
        self.name, self.status, self.asked = name, status, 0

    async def __call__(self, connection: Connection) -> None:
        while data := await connection.receive():
            self.asked += data.count(b"\r\n\r\n")
            head = f"HTTP/1.1 {self.status} x\r\nContent-Length: {len(self.name)}\r\n\r\n{self.name}"
            await connection.send(head.encode())


@contextlib.asynccontextmanager
async def two(
    certificates: Mapping[str, CertificateFiles], further: str, first: Behaviour, second: Behaviour
) -> AsyncIterator[SidecarUnderTest]:
    """A sidecar whose application calls a service of two plain endpoints."""
    at = Addresses()
    workload = f"""\
- {{uid: second, name: second, namespace: default, serviceAccount: httpbin, trustDomain: cluster.local,
    workloadIps: ["{at.app}"], services: {{"default/{HOST}": {{{PORT}: {at.port}}}}}}}
"""
    mesh = at.mesh(kind="protocol: TCP", further=further, more=workload)
    async with (
        TcpApp(first, at.httpbin, at.port),
        TcpApp(second, at.app, at.port),
        sidecar(mesh, "sleep", at.sleep, certificates["sleep"]) as one,
    ):
        yield one


async def test_in_turn(certificates: Mapping[str, CertificateFiles]) -> None:
    first, second = Endpoint("first"), Endpoint("second")
    async with two(certificates, traffic(), first, second) as side, side.client() as http:
        for _ in range(6):
            assert (await http.get(URL)).status_code == 200
    assert (first.asked, second.asked) == (3, 3)


async def test_a_route_tries_the_other_one(certificates: Mapping[str, CertificateFiles]) -> None:
    first, second = Endpoint("first", 503), Endpoint("second")
    again = "retry: {codes: [503], attempts: 1, backoff: 1ms}"
    async with two(certificates, traffic(rule=again), first, second) as side, side.client() as http:
        for _ in range(6):
            assert (await http.get(URL)).text == "second"
    assert (first.asked > 0, second.asked) == (True, 6)


async def test_who_fails_is_put_out_of_use(certificates: Mapping[str, CertificateFiles]) -> None:
    first, second = Endpoint("first", 503), Endpoint("second")
    out = f"{ROUND_ROBIN}, outlierDetection: {{consecutive5xxErrors: 2, baseEjectionTime: 60s, maxEjectionPercent: 50}}"
    async with two(certificates, traffic(out), first, second) as side, side.client() as http:
        found = [(await http.get(URL)).text for _ in range(20)]
    assert first.asked == 2
    assert found[-10:] == ["second"] * 10


async def test_more_than_the_circuit_lets_through(certificates: Mapping[str, CertificateFiles]) -> None:
    none = f"{ROUND_ROBIN}, connectionPool: {{http: {{http2MaxRequests: 1}}}}"

    async def reentrant(connection: Connection) -> None:
        """Asks again, through the sidecar, while it is being asked."""
        await connection.receive()
        async with side.client() as http:
            inner = (await http.get(URL)).status_code
        await connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{inner}".encode())

    async with two(certificates, traffic(none), reentrant, reentrant) as side, side.client() as http:
        assert (await http.get(URL)).text == "503"
        assert any(" UO " in line for line in side.lines)


async def test_a_cookie_keeps_a_client_with_its_endpoint(certificates: Mapping[str, CertificateFiles]) -> None:
    first, second = Endpoint("first"), Endpoint("second")
    keep = "retry: {attempts: 0}, sessionPersistence: {sessionName: kept, type: Cookie}"
    async with two(certificates, traffic(rule=keep), first, second) as side, side.client() as http:
        assert len({(await http.get(URL)).text for _ in range(6)}) == 1
    assert sorted((first.asked, second.asked)) == [0, 6]
