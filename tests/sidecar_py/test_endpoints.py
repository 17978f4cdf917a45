"""Several endpoints behind one service: shared out, tried again, put out of use, kept by cookie."""

from __future__ import annotations

import contextlib
import re
import ssl
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.sidecar_py.pairs import URL
from tests.sidecar_py.sidecars import HOST, PORT, Addresses, SidecarUnderTest, sidecar
from tests.support.certificates import A_DAY, TestRoot
from tests.support.tcp_apps import TcpApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

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


async def test_a_hash_cookie_is_given_to_who_has_none(certificates: Mapping[str, CertificateFiles]) -> None:
    first, second = Endpoint("first"), Endpoint("second")
    by_cookie = "loadBalancer: {consistentHash: {httpCookie: {name: user, ttl: 0s, path: /}}}"
    async with two(certificates, traffic(by_cookie), first, second) as side, side.client() as http:
        answers = [await http.get(URL) for _ in range(6)]
    assert len({one.text for one in answers}) == 1
    given = [one.headers.get("set-cookie", "") for one in answers]
    assert re.fullmatch(r'user="[0-9a-f]{14}"; Path=/; HttpOnly', given[0])
    assert given[1:] == [""] * 5


# TLS that a rule wants begun -----------------------------------------------------------------------------------------


class Outside:
    """An application with TLS of its own: Python's, which demands a certificate and notes the name in each."""

    def __init__(self, folder: Path) -> None:
        self.root, self.stranger = TestRoot(folder / "outside"), TestRoot(folder / "stranger")
        self.ours = self.root.issue_server("client", "client.example")
        self.expired = self.root.issue_server("expired", HOST, lasts=-A_DAY)
        self.callers: list[str] = []
        self.requests = 0

    def rule(self, more: str = "", *, roots: str = "", mutual: bool = True) -> str:
        """A policy; `more` are further keys of `tls`."""
        shown = f", clientCertificate: {self.ours.chain}, privateKey: {self.ours.key}" if mutual else ""
        mode = "MUTUAL" if mutual else "SIMPLE"
        return f"tls: {{mode: {mode}, caCertificates: {roots or self.root.roots}{shown}{more}}}"

    @contextlib.asynccontextmanager
    async def serve(self, at: Addresses, files: CertificateFiles, *alpn: str) -> AsyncIterator[list[str]]:
        """Until the context ends; its value is the ALPN of each connection."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.root.roots))
        context.load_cert_chain(files.chain, files.key)
        context.verify_mode = ssl.CERT_REQUIRED
        context.set_alpn_protocols(list(alpn))
        spoken: list[str] = []

        async def answer(connection: Connection) -> None:
            [[_, name]] = connection.writer.get_extra_info("peercert")["subjectAltName"]
            tls = connection.writer.get_extra_info("ssl_object")
            self.callers.append(name)
            spoken.append(tls.selected_alpn_protocol())
            while await connection.receive():
                self.requests += 1
                await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        async with TcpApp(answer, at.httpbin, at.port, context):
            yield spoken


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Outside:
    return Outside(tmp_path_factory.mktemp("outside"))


async def test_tls_is_begun_as_the_rule_asks(certificates: Mapping[str, CertificateFiles], outside: Outside) -> None:
    at, before = Addresses(), len(outside.callers)
    files = outside.root.issue_server("server", HOST, "other.example")
    mesh = at.mesh(kind="mutualTls: true", further=traffic(outside.rule()))
    async with (
        outside.serve(at, files, "http/1.1") as spoken,
        sidecar(mesh, "sleep", at.sleep, certificates["sleep"]) as one,
        one.client() as http,
    ):
        for _ in range(2):
            assert (await http.get(URL)).text == "ok"
        assert (outside.callers[before:], spoken) == (["client.example"], ["http/1.1"])  # one connection, used again
        one.take(at.mesh(further=traffic(outside.rule(", sni: other.example"))))
        assert (await http.get(URL)).status_code == 200
        one.take(at.mesh(further=traffic(outside.rule(f", sni: none.example, subjectAltNames: [{HOST}]"))))
        assert (await http.get(URL)).status_code == 200


@pytest.mark.parametrize(
    ("more", "server", "complaint"),
    [
        pytest.param(", sni: wrong.example", "server", "not for wrong.example: it names", id="a wrong name"),
        pytest.param(", subjectAltNames: [spiffe://a/b]", "server", "not for spiffe://a/b", id="a wrong account"),
        pytest.param("", "expired", "certificate has expired", id="too late"),
        pytest.param("stranger", "server", "certificate verify failed", id="a root that nobody knows"),
        pytest.param(", caCrl: /no/such", "server", "/no/such: No such file", id="no list"),
        pytest.param(
            ", credentialName: a",
            "server",
            "credentialName a: the DestinationRule has no workloadSelector",
            id="a Secret",
        ),
    ],
)
async def test_nothing_goes_to_whom_the_rule_does_not_mean(
    certificates: Mapping[str, CertificateFiles], outside: Outside, more: str, server: str, complaint: str
) -> None:
    at, before = Addresses(), outside.requests
    files = outside.expired if server == "expired" else outside.root.issue_server("server", HOST)
    policy = outside.rule(
        "" if more == "stranger" else more, roots=str(outside.stranger.roots) if more == "stranger" else ""
    )
    if "credentialName" in more:
        policy = f"tls: {{mode: SIMPLE{more}}}"
    mesh = at.mesh(kind="protocol: TCP", further=traffic(policy))
    async with (
        outside.serve(at, files),
        sidecar(mesh, "sleep", at.sleep, certificates["sleep"]) as one,
        one.client() as http,
    ):
        answer = await http.get(URL)
    assert answer.status_code == 503
    [line] = one.lines
    assert re.search(complaint, line.replace("_", " "))
    assert line.split('" ')[1].split()[1] == "UF"
    assert outside.requests == before


async def test_who_has_nothing_to_show_is_refused(
    certificates: Mapping[str, CertificateFiles], outside: Outside
) -> None:
    at = Addresses()
    mesh = at.mesh(kind="protocol: TCP", further=traffic(outside.rule(mutual=False)))
    async with (
        outside.serve(at, outside.root.issue_server("server", HOST)),
        sidecar(mesh, "sleep", at.sleep, certificates["sleep"]) as one,
        one.client() as http,
    ):
        assert (await http.get(URL)).status_code == 503
    await one.logged(" 503 UC ")


@pytest.mark.interop
async def test_grpc_goes_as_http2_in_tls(certificates: Mapping[str, CertificateFiles], outside: Outside) -> None:
    at, files = Addresses(), outside.root.issue_server("server", HOST)
    mesh = at.mesh(kind="protocol: TCP", further=traffic(outside.rule()), service=f", appProtocols: {{{PORT}: GRPC}}")
    async with (
        grpc_server(at, files),
        sidecar(mesh, "sleep", at.sleep, certificates["sleep"]) as one,
        one.client(http1=False, http2=True) as http,
    ):
        headers = {"content-type": "application/grpc", "te": "trailers"}
        answer = await http.post(f"{URL}/echo.Echo/Say", content=b"\0\0\0\0\2hi", headers=headers)
    assert answer.content == b"\0\0\0\0\x11hi client.example"


@contextlib.asynccontextmanager
async def grpc_server(at: Addresses, files: CertificateFiles) -> AsyncIterator[None]:
    """grpcio's: says again what it hears, and who has said it."""

    async def say(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        [name] = context.auth_context()["x509_subject_alternative_name"]
        return b"%b %b" % (request, name)

    server = grpc.aio.server()
    handlers = {"Say": grpc.unary_unary_rpc_method_handler(say)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("echo.Echo", handlers),))
    shown = [(files.key.read_bytes(), files.chain.read_bytes())]
    credentials = grpc.ssl_server_credentials(shown, files.roots.read_bytes(), require_client_auth=True)
    server.add_secure_port(f"{at.httpbin}:{at.port}", credentials)
    await server.start()
    try:
        yield
    finally:
        await server.stop(0)


async def test_bytes_go_in_tls_too(certificates: Mapping[str, CertificateFiles], outside: Outside) -> None:
    at = Addresses()
    mesh = at.mesh(kind="protocol: TCP", further=traffic(outside.rule()), service=f", appProtocols: {{{PORT}: TCP}}")
    async with (
        outside.serve(at, outside.root.issue_server("server", HOST)) as spoken,
        sidecar(mesh, "sleep", at.sleep, certificates["sleep"]) as one,
        one.client() as http,
    ):
        assert (await http.get(URL)).text == "ok"
    assert spoken == [None]  # nobody said what is inside
