"""Istio's mutual TLS with the real Envoy on either side. Two Envoys are the reference: what they do, ours must do.

The configurations are of Istio's shape (tests/support/envoy/sidecar_*.yaml). Envoy's own counters are the judge.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest
from aiohttp import ClientSession

from tests.sidecar_py.applications import grpc_application, web_application
from tests.sidecar_py.doors import dialled_by_socks, door
from tests.sidecar_py.sidecars import HOST, PORT, Addresses, SidecarUnderTest, sidecar
from tests.support.envoy import Envoy, start_envoy
from tests.support.processes import eventually
from tests.support.tcp_apps import TcpApp, answer_at_end, digest, payload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    from tests.support.certificates import CertificateFiles

pytestmark = pytest.mark.interop

PAIRS = ["envoy-to-envoy", "ours-to-envoy", "envoy-to-ours", "ours-to-ours"]
SLEEP, HTTPBIN = (f"spiffe://cluster.local/ns/default/sa/{name}" for name in ("sleep", "httpbin"))


@dataclass(frozen=True)
class Envoys:
    """Started once: an inbound Envoy, and two outbound ones, towards it and towards where ours will be."""

    at: Addresses
    inbound: Envoy
    to_envoy: Envoy
    to_ours: Envoy


@pytest.fixture(scope="module")
def envoys(certificates: Mapping[str, CertificateFiles], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoys]:
    folder, at = tmp_path_factory.mktemp("envoys"), Addresses()
    with (
        start_envoy("sidecar_inbound", folder, certificates["httpbin"], APP=at.app, APP_PORT=at.port) as inbound,
        _outbound(folder, certificates["sleep"], inbound.address, HTTPBIN) as to_envoy,
        _outbound(folder, certificates["sleep"], at.httpbin, HTTPBIN) as to_ours,
    ):
        yield Envoys(at, inbound, to_envoy, to_ours)


def _outbound(
    folder: Path, certificate: CertificateFiles, peer: str, identity: str
) -> contextlib.AbstractContextManager[Envoy]:
    return start_envoy("sidecar_outbound", folder, certificate, PEER=peer, PEER_IDENTITY=identity)


@dataclass
class Pair:
    """A client side and a server side."""

    envoys: Envoys
    client: SidecarUnderTest | None
    server: SidecarUnderTest | None

    @property
    def outbound(self) -> Envoy:
        return self.envoys.to_envoy if self.server is None else self.envoys.to_ours

    def http(self) -> httpx.AsyncClient:
        """Whose requests go to the application by HTTP/1.1."""
        if self.client is not None:
            return self.client.client(base_url=f"http://{HOST}:{PORT}")
        envoy = self.outbound
        return httpx.AsyncClient(base_url=f"http://{envoy.address}:15101", timeout=10, trust_env=False, verify=False)

    @contextlib.asynccontextmanager
    async def address(self, envoy_port: int) -> AsyncIterator[str]:
        """Where a client of another kind connects, as ip:port."""
        if self.client is None:
            yield f"{self.outbound.address}:{envoy_port}"
        else:
            async with door(self.client.socks, HOST, PORT) as opened:
                yield opened


POLICY = """\
labels: {default/httpbin: {app: httpbin}}
manifests:
- apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata: {name: deny, namespace: default}
  spec: {action: DENY, selector: {matchLabels: {app: httpbin}}, rules: [{to: [{operation: {paths: ["/forbidden*"]}}]}]}
"""


@pytest.fixture(params=PAIRS)
async def pair(
    request: pytest.FixtureRequest, envoys: Envoys, certificates: Mapping[str, CertificateFiles]
) -> AsyncIterator[Pair]:
    client_kind, _, server_kind = request.param.partition("-to-")
    at = envoys.at
    async with contextlib.AsyncExitStack() as stack:
        client = server = None
        if server_kind == "ours":
            told = {"CAPTURED_PORTS": str(at.port), "APP_ADDRESS": at.app, "INBOUND_PORT": "0"}
            running = sidecar(at.mesh(further=POLICY), "httpbin", at.httpbin, certificates["httpbin"], **told)
            server = await stack.enter_async_context(running)
        if client_kind == "ours":
            there = at.httpbin if server is not None else envoys.inbound.address
            mesh = Addresses(at.sleep, there, at.app, at.vip, at.port).mesh()
            running = sidecar(mesh, "sleep", at.sleep, certificates["sleep"], INBOUND_PORT="0")
            client = await stack.enter_async_context(running)
        yield Pair(envoys, client, server)


@pytest.fixture
async def app(envoys: Envoys) -> AsyncIterator[None]:
    async with web_application(envoys.at.app, envoys.at.port):
        yield


async def test_who_calls_is_told_to_the_application(pair: Pair, app: None) -> None:
    # Envoy, unlike a client of ours, may have a connection from an earlier test.
    handshakes = pair.envoys.inbound.stat("ssl.handshake") if pair.client else 0
    served = pair.envoys.inbound.stat("http.inbound_mtls.downstream_rq_2xx")
    async with pair.http() as http:
        headers = (await http.get("/headers", headers={"x-forwarded-client-cert": "By=me;URI=you"})).json()["headers"]
    element, _, rest = headers["x-forwarded-client-cert"].partition(";")
    hashed, _, rest = rest.partition(";")
    assert element == f"By={HTTPBIN}"
    assert hashed.startswith("Hash=")
    assert len(hashed) == len("Hash=") + 64
    assert rest == f'Subject="";URI={SLEEP}'
    assert headers["x-forwarded-proto"] == "http"
    assert len(headers["x-request-id"]) == 36
    if pair.server is None:
        assert pair.envoys.inbound.stat("ssl.handshake") > handshakes
        assert pair.envoys.inbound.stat("http.inbound_mtls.downstream_rq_2xx") > served
        assert await pair.envoys.inbound.logged(f"sni=outbound_.{PORT if pair.client else 8080}_._.{HOST} peer={SLEEP}")
    if pair.client is None:
        assert f"peer={HTTPBIN}" in await pair.outbound.logged("outbound GET /headers")


async def test_the_application_sees_the_loopback_source(pair: Pair, app: None) -> None:
    async with pair.http() as http:
        assert (await http.get("/ip")).json() == {"origin": "127.0.0.6"}


async def test_headers_of_tracing_are_kept(pair: Pair, app: None) -> None:
    kept = {
        "x-request-id": "12345678-aaaa-bbbb-cccc-1234567890ab",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "a=b",
    }
    async with pair.http() as http:
        headers = (await http.get("/headers", headers=kept)).json()["headers"]
    assert headers.items() >= kept.items()


async def test_a_policy_denies(pair: Pair, app: None) -> None:
    denied = pair.envoys.inbound.stat("http.inbound_mtls.rbac.denied")
    async with pair.http() as http:
        answer = await http.get("/forbidden")
    assert (answer.status_code, answer.text) == (403, "RBAC: access denied")
    assert answer.headers["content-type"] == "text/plain"
    if pair.server is None:
        assert pair.envoys.inbound.stat("http.inbound_mtls.rbac.denied") == denied + 1


@pytest.mark.parametrize("size", [1, 3_000_000])
async def test_bodies_go_both_ways(pair: Pair, app: None, size: int) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        data = payload(size)
        for start in range(0, size, 100_000):
            yield data[start : start + 100_000]

    async with pair.http() as http:
        known = await http.post("/echo", content=payload(size))
        streamed = await http.post("/echo", content=pieces())
    assert [digest(known.content), digest(streamed.content)] == [digest(payload(size))] * 2


async def test_no_application(pair: Pair) -> None:
    async with pair.http() as http:
        answer = await http.get("/headers")
    assert answer.status_code == 503
    assert answer.text.startswith("upstream connect error or disconnect/reset before headers")
    if pair.server is None:
        assert "flags=UF" in await pair.envoys.inbound.logged("code=503")
    else:
        await pair.server.logged('" 503 UF')


async def test_a_websocket(pair: Pair, app: None) -> None:
    async with (
        pair.address(15101) as address,
        ClientSession() as session,
        session.ws_connect(f"http://{address}/ws") as socket,
    ):
        await socket.send_str("you")
        assert await socket.receive_str(timeout=5) == "heard you"
        await socket.send_bytes(payload(200_000))
        assert digest(await socket.receive_bytes(timeout=5)) == digest(payload(200_000))


async def test_bytes(pair: Pair) -> None:
    at = pair.envoys.at
    if pair.server is not None:
        pair.server.take(at.mesh())  # a DENY by path denies all bytes: nobody can say that they are not of that path
    async with TcpApp(answer_at_end, at.app, at.port):
        data = b"\x00\x01 no HTTP " + payload(500_000)
        if pair.client is None:
            reader, writer = await asyncio.open_connection(pair.outbound.address, 15103)
        else:
            reader, writer = await dialled_by_socks(pair.client.socks, HOST, PORT)
        writer.write(data)
        writer.write_eof()
        assert (await reader.read()).decode() == digest(data)
        writer.close()
    if pair.server is None:
        assert f"peer={SLEEP}" in await pair.envoys.inbound.logged("inbound tcp")


async def test_grpc(pair: Pair) -> None:
    at = pair.envoys.at
    async with (
        grpc_application(at.app, at.port),
        pair.address(15102) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        call = channel.unary_unary("/test.Echo/Unary")(b"hello", timeout=10)
        assert await call == b"hello"
        assert dict(await call.trailing_metadata())["x-trailer"] == "behind"
        stream = channel.stream_stream("/test.Echo/Stream")(timeout=10)
        for message in (b"one", b"two", payload(100_000)):
            await stream.write(message)
            assert await stream.read() == message
        await stream.done_writing()
        assert await stream.read() == grpc.aio.EOF
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/test.Echo/Fail")(b"", timeout=10)
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    sides = [side for side in (pair.client, pair.server) if side is not None]
    await eventually(lambda: all(_calls(side) == 3 for side in sides), "counted")
    assert [side.counted("istio_requests_total", grpc_response_status="9") for side in sides] == [1] * len(sides)


async def test_grpc_hears_of_a_failure_in_its_own_way(pair: Pair) -> None:
    """Nobody is behind the sidecar. As a bare 503 the client would have a status of HTTP, and not why."""
    async with pair.address(15102) as address, grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/test.Echo/Unary")(b"hello", timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert (caught.value.details() or "").startswith("upstream connect error or disconnect/reset before headers")
    sides = [side for side in (pair.client, pair.server) if side is not None]
    await eventually(lambda: all(_calls(side) for side in sides), "counted")
    # Our client tries again, as Istio's does: the server counts each attempt.
    assert [side.counted("istio_requests_total", grpc_response_status="14") for side in sides] == list(
        map(_calls, sides)
    )


def _calls(side: SidecarUnderTest) -> int:
    return side.counted("istio_requests_total", request_protocol="grpc")
