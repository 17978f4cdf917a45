"""Two sidecars of ours and an application: requests and bytes, by Istio's mutual TLS, HBONE and plain TCP."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.sidecar_py.applications import web_application
from tests.sidecar_py.doors import dialled_by_socks
from tests.sidecar_py.pairs import KINDS, URL, pair
from tests.sidecar_py.sidecars import HOST, PORT
from tests.support.processes import eventually
from tests.support.tcp_apps import Connection, TcpApp, answer_at_end, digest, payload, reset_after, source

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from lab_py.apps.caller_record import CallerRecord
    from tests.sidecar_py.sidecars import Addresses
    from tests.support.certificates import CertificateFiles


def app(at: Addresses) -> AbstractAsyncContextManager[CallerRecord]:
    return web_application(at.app, at.port)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request(certificates: Mapping[str, CertificateFiles], kind: str) -> None:
    async with pair(certificates, KINDS[kind]) as (client, server, at), app(at), client.client() as http:
        answer = await http.get(f"{URL}/headers")
        assert answer.status_code == 200
        headers = answer.json()["headers"]
        assert headers["host"] == f"{HOST}:{PORT}"
        told = headers.get("x-forwarded-client-cert", "")
        assert ("URI=spiffe://cluster.local/ns/default/sa/sleep" in told) is (kind != "plain TCP")
        assert (await http.get(f"{URL}/ip")).json() == {"origin": "127.0.0.6"}
        policy = "none" if kind == "plain TCP" else "mutual_tls"
        labels = {"response_code": "200", "request_protocol": "http", "destination_service": HOST}
        await client.counts(2, "istio_requests_total", reporter="source", **labels)
        await server.counts(2, "istio_requests_total", connection_security_policy=policy, **labels)
        await client.logged(f"{at.vip}:{PORT}")


DENY = """\
manifests:
- apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata: {name: no-headers, namespace: default}
  spec:
    action: DENY
    selector: {matchLabels: {app: httpbin}}
    rules: [{to: [{operation: {paths: ["/headers"]}}]}]
labels: {default/httpbin: {app: httpbin}}
"""


@pytest.mark.parametrize("kind", KINDS)
async def test_policies_judge_requests(certificates: Mapping[str, CertificateFiles], kind: str) -> None:
    async with pair(certificates, KINDS[kind], DENY) as (client, server, at), app(at), client.client() as http:
        denied = await http.get(f"{URL}/x/../headers")
        assert (denied.status_code, denied.text) == (403, "RBAC: access denied"), [client.lines, server.lines]
        assert (await http.get(f"{URL}/ip")).status_code == 200
        await server.logged("rbac_access_denied_matched_policy[ns[default]-policy[no-headers]-rule[0]]")
        await server.counts(1, "istio_requests_total", response_code="403")


MIRROR = """\
manifests:
- apiVersion: gateway.networking.k8s.io/v1
  kind: HTTPRoute
  metadata: {name: twice, namespace: default}
  spec:
    parentRefs: [{kind: Service, group: "", name: httpbin, port: 8000}]
    rules:
    - filters: [{type: RequestMirror, requestMirror: {backendRef: {name: httpbin, port: 8000}}}]
      backendRefs: [{name: httpbin, port: 8000}]
"""


@pytest.mark.parametrize("kind", KINDS)
async def test_requests_are_mirrored(certificates: Mapping[str, CertificateFiles], kind: str) -> None:
    async with pair(certificates, KINDS[kind], MIRROR) as (client, _, at), app(at) as record:
        async with client.client() as http:
            assert (await http.post(f"{URL}/echo", content=b"x" * 3000)).text == "x" * 3000
            assert (await http.get(f"{URL}/get?t=2")).status_code == 200
        await eventually(lambda: len(record.calls()) == 4, "mirrored")
        hosts = sorted(one.headers["host"] for one in record.calls())
        assert hosts == [f"{HOST}-shadow:{PORT}"] * 2 + [f"{HOST}:{PORT}"] * 2
        await client.counts(2, "istio_requests_total")  # copies are nobody's requests


async def test_strict_takes_no_plaintext(certificates: Mapping[str, CertificateFiles]) -> None:
    async with pair(certificates, INBOUND_MTLS="STRICT") as (client, _, at), app(at), client.client() as http:
        assert (await http.get(f"{URL}/ip")).status_code == 200
        client.take(at.mesh(kind="protocol: TCP"))
        refused = await http.get(f"{URL}/ip")
        assert refused.status_code == 503
        await client.logged(" 503 UC")


@pytest.mark.parametrize("kind", KINDS)
async def test_http2_with_prior_knowledge_stays_http2(certificates: Mapping[str, CertificateFiles], kind: str) -> None:
    """The application of this test speaks HTTP/1 alone, so what the sidecar in front of it says is all there is."""
    async with pair(certificates, KINDS[kind]) as (client, server, at), app(at):
        async with client.client(http1=False, http2=True) as http:
            answer = await http.get(f"{URL}/headers")
        assert (answer.http_version, answer.status_code) == ("HTTP/2", 502)
        await server.logged("UPE")
        await client.logged('HTTP/2" 502')


@pytest.mark.parametrize("kind", KINDS)
async def test_connections_are_kept(certificates: Mapping[str, CertificateFiles], kind: str) -> None:
    async with pair(certificates, KINDS[kind]) as (client, server, at), app(at), client.client() as http:
        for _ in range(20):
            assert (await http.get(f"{URL}/ip")).status_code == 200
        assert len(server.plane.context.http) == 1
        assert len(client.plane.context.http) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_many_requests_at_once(certificates: Mapping[str, CertificateFiles], kind: str) -> None:
    async with pair(certificates, KINDS[kind]) as (client, server, at), app(at), client.client() as http:
        answers = await asyncio.gather(*(http.get(f"{URL}/bytes/20000?seed={seed}") for seed in range(60)))
        assert {(answer.status_code, len(answer.content)) for answer in answers} == {(200, 20000)}
        assert len({answer.content for answer in answers}) == 60
        await eventually(lambda: server.counted("istio_requests_total", response_code="200") == 60, "counted")


@pytest.mark.parametrize("kind", KINDS)
async def test_bytes_and_half_close(certificates: Mapping[str, CertificateFiles], kind: str) -> None:
    data = bytes(4) + payload(2_000_000)
    async with pair(certificates, KINDS[kind]) as (client, server, at), TcpApp(answer_at_end, at.app, at.port):
        reader, writer = await dialled_by_socks(client.socks, HOST, PORT)
        writer.write(data)
        await writer.drain()
        writer.write_eof()
        assert (await reader.read()).decode() == digest(data)
        writer.close()
        for side in (client, server):
            await eventually(lambda: any("connection complete" in line for line in side.lines), "logged")  # noqa: B023
            await side.counts(len(data), "istio_tcp_received_bytes_total")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_reset_stays_a_reset(certificates: Mapping[str, CertificateFiles], kind: str) -> None:
    async with pair(certificates, KINDS[kind]) as (client, _, at), TcpApp(reset_after(4), at.app, at.port):
        reader, writer = await dialled_by_socks(client.socks, HOST, PORT)
        writer.write(bytes(4))
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_speaks_first(certificates: Mapping[str, CertificateFiles], kind: str) -> None:
    quick, longer = "50ms", "500ms"  # the server's begins with the connection, and its ClientHello must be in time
    running = pair(
        certificates,
        KINDS[kind],
        client_flags={"PROTOCOL_DETECTION_TIMEOUT": quick},
        PROTOCOL_DETECTION_TIMEOUT=longer,
    )
    async with running as (client, _, at), TcpApp(source(b"220 ready\r\n"), at.app, at.port):
        reader, writer = await dialled_by_socks(client.socks, HOST, PORT)
        assert await reader.readline() == b"220 ready\r\n"
        writer.close()


async def test_tls_of_the_application_passes_through(certificates: Mapping[str, CertificateFiles]) -> None:
    """PERMISSIVE: what is not Istio's is the application's own."""
    files = certificates["httpbin"]
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(files.chain, files.key)
    ours = ssl.create_default_context(cafile=str(files.roots))
    ours.check_hostname = False

    async def answer(connection: Connection) -> None:
        await connection.receive()
        await connection.send(b"behind TLS")

    async with pair(certificates) as (client, _, at), TcpApp(answer, at.app, at.port, tls=theirs):
        _, writer = await dialled_by_socks(client.socks, HOST, PORT)
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(writer.transport, protocol, ours, server_hostname=HOST)
        assert transport is not None
        protocol.connection_made(transport)
        transport.write(b"hello")
        assert await reader.readexactly(10) == b"behind TLS"
        transport.abort()


async def test_nobody_the_mesh_knows(certificates: Mapping[str, CertificateFiles]) -> None:
    async with pair(certificates) as (client, _, at), app(at), client.client() as http:
        answer = await http.get(f"http://{at.app}:{at.port}/ip")
        assert (answer.status_code, answer.json()) == (200, {"origin": at.sleep})
        await client.logged("PassthroughCluster")


async def test_registry_only(certificates: Mapping[str, CertificateFiles]) -> None:
    only = {"OUTBOUND_TRAFFIC_POLICY": "REGISTRY_ONLY"}
    async with pair(certificates, client_flags=only) as (client, _, at), app(at), client.client() as http:
        assert (await http.get(f"http://{at.app}:{at.port}/ip")).status_code == 502
        await client.logged("BlackHoleCluster")
        assert (await http.get(f"{URL}/ip")).status_code == 200
        reader, writer = await dialled_by_socks(client.socks, at.app, at.port)
        writer.write(bytes(4))
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


async def test_strict_mutual_tls_knows_whom_it_calls(certificates: Mapping[str, CertificateFiles]) -> None:
    """The sidecar at httpbin's address is somebody else's."""
    wrong = {**certificates, "httpbin": certificates["other"]}
    async with pair(wrong) as (client, _, at), app(at), client.client() as http:
        answer = await http.get(f"{URL}/ip")
        assert answer.status_code == 503
        await client.logged("UF")
        await client.logged("did_not_present_the_expected_SAN")


async def test_a_stranger_is_not_let_in(certificates: Mapping[str, CertificateFiles]) -> None:
    alien = {**certificates, "sleep": certificates["alien"]}
    async with pair(alien) as (client, server, at), app(at) as record, client.client() as http:
        assert (await http.get(f"{URL}/ip")).status_code == 503
        await eventually(lambda: any("trustdomain" in line for line in server.lines), "refused")
        assert record.calls("") == []


async def test_an_edit_takes_effect_at_once(certificates: Mapping[str, CertificateFiles]) -> None:
    async with pair(certificates) as (client, server, at), app(at), client.client() as http:
        assert (await http.get(f"{URL}/headers")).status_code == 200
        server.take(at.mesh(further=DENY))
        assert (await http.get(f"{URL}/headers")).status_code == 403
        server.take(at.mesh())
        assert (await http.get(f"{URL}/headers")).status_code == 200


async def test_a_drain_lets_requests_end(certificates: Mapping[str, CertificateFiles]) -> None:
    may_answer = asyncio.Event()
    async with (
        pair(certificates) as (client, server, at),
        web_application(at.app, at.port, may_answer) as record,
        client.client() as http,
    ):
        begin = asyncio.get_running_loop().create_task
        slow = begin(http.get(f"{URL}/held"))
        await eventually(lambda: bool(record.calls("held")), "under way")
        drained, leaving = begin(server.plane.drain(5.0)), begin(client.plane.drain(5.0))
        await asyncio.sleep(0)  # both have begun
        may_answer.set()
        answer = await slow
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert (await drained, await leaving) == (True, True)
        with pytest.raises(httpx.TransportError):  # nobody new is taken
            await http.get(f"{URL}/ip")


async def test_a_server_that_has_drained_is_unavailable(certificates: Mapping[str, CertificateFiles]) -> None:
    async with pair(certificates) as (client, server, at), app(at), client.client() as http:
        assert await server.plane.drain(5.0)
        assert (await http.get(f"{URL}/ip")).status_code == 503
