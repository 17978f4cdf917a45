"""Who may talk to whom: every refusal is judged by Envoy's own counters, or by what the application never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import hbone_py
from hbone_py.errors import ConnectionLost, HboneError, PeerIdentityError, TlsError
from hbone_py.identity import SpiffeId
from tests.interop.callers import BROKEN, read_to_end, talk
from tests.interop.captured import captured
from tests.interop.pairs import HBONE_PORT, OurClient, our_credentials, our_server
from tests.support.envoy import Envoy, start_envoy
from tests.support.raw_peer import RawServer, client_tls, raw_client, server_tls
from tests.support.tcp_apps import TcpApp, echo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.certificates import CertificateFiles, MeshCertificates

pytestmark = pytest.mark.interop

REFUSED_BY_ENVOY = [
    pytest.param("alien", "ssl.fail_verify_san", id="another trust domain"),
    pytest.param("stranger", "ssl.fail_verify_error", id="another root"),
]


@pytest.mark.parametrize(("who", "counter"), REFUSED_BY_ENVOY)
async def test_envoys_server_refuses_our_client(
    envoy_server: Envoy, certificates: MeshCertificates, who: str, counter: str
) -> None:
    before = envoy_server.stat(counter)
    credentials = hbone_py.Credentials.from_files(
        getattr(certificates, who).chain, getattr(certificates, who).key, certificates.client.roots
    )
    async with TcpApp(echo, envoy_server.address) as app:
        with pytest.raises((TlsError, ConnectionLost)):
            async with OurClient(credentials).call(app.authority) as caller:
                await talk(caller, b"let me in")
        assert app.connections == []
    assert envoy_server.stat(counter) == before + 1


async def test_envoys_server_refuses_whoever_shows_no_certificate(
    envoy_server: Envoy, certificates: MeshCertificates
) -> None:
    before = envoy_server.stat("ssl.fail_verify_no_cert")
    async with raw_client(envoy_server.address, HBONE_PORT, client_tls(None, certificates.client)) as peer:
        await peer.expect_end()
    assert envoy_server.stat("ssl.fail_verify_no_cert") == before + 1


@pytest.mark.parametrize(("who", "counter"), REFUSED_BY_ENVOY)
async def test_envoys_client_refuses_our_server(
    envoy_client: Envoy, certificates: MeshCertificates, pod_address: str, who: str, counter: str
) -> None:
    before = envoy_client.stat(f"cluster.peer.{counter}")
    files: CertificateFiles = getattr(certificates, who)
    async with our_server(pod_address, files), TcpApp(echo, pod_address) as app:
        async with captured(envoy_client, app.authority) as caller:
            assert (await read_to_end(caller)).data == b""
        assert app.connections == []
    assert envoy_client.stat(f"cluster.peer.{counter}") == before + 1


@pytest.mark.parametrize("who", ["alien", "stranger", "nobody"])
async def test_our_server_refuses_envoys_client(
    certificates: MeshCertificates, pod_address: str, tmp_path: Path, who: str
) -> None:
    files = None if who == "nobody" else getattr(certificates, who)
    with start_envoy("client", tmp_path, files, roots=certificates.client.roots) as envoy:
        async with our_server(pod_address, certificates.server), TcpApp(echo, pod_address) as app:
            async with captured(envoy, app.authority) as caller:
                assert (await read_to_end(caller)).data == b""
            assert app.connections == []
        assert envoy.stat("cluster.peer.ssl.handshake") in (0, 1)  # TLS 1.3: the client may believe it is in
        assert envoy.stat("cluster.peer.upstream_cx_rx_bytes_total") == 0


@pytest.mark.parametrize("who", ["alien", "stranger"])
async def test_our_client_refuses_a_server_it_did_not_expect(
    certificates: MeshCertificates, pod_address: str, who: str
) -> None:
    expected = [SpiffeId.parse(certificates.server.identity)]
    async with RawServer(pod_address, 0, server_tls(getattr(certificates, who))) as server:
        with pytest.raises(TlsError):
            await hbone_py.open_connection(
                pod_address,
                server.port,
                credentials=our_credentials(certificates.client),
                expect=expected,
            )


async def test_our_client_tells_envoy_nothing_when_it_is_not_whom_we_expect(
    envoy_server: Envoy, certificates: MeshCertificates
) -> None:
    before = envoy_server.stat("http.inbound.downstream_rq_total")
    with pytest.raises(PeerIdentityError) as refusal:
        await hbone_py.connect(
            envoy_server.address,
            HBONE_PORT,
            authority=f"{envoy_server.address}:8080",
            credentials=our_credentials(certificates.client),
            expect=[SpiffeId.parse("spiffe://cluster.local/ns/default/sa/somebody-else")],
        )
    assert "somebody-else" in str(refusal.value)
    assert certificates.server.identity in str(refusal.value)
    assert envoy_server.stat("http.inbound.downstream_rq_total") == before


async def test_our_server_learns_who_envoy_is(
    envoy_client: Envoy, certificates: MeshCertificates, pod_address: str
) -> None:
    seen: list[SpiffeId | None] = []

    async def note(tunnel: hbone_py.IncomingTunnel) -> None:
        seen.append(tunnel.peer)
        await tunnel.reject(503)

    server = await hbone_py.serve(
        note,
        pod_address,
        HBONE_PORT,
        credentials=our_credentials(certificates.server),
        trust_domain="cluster.local",
    )
    try:
        async with captured(envoy_client, f"{pod_address}:8080") as caller:
            await read_to_end(caller)
    finally:
        await server.aclose()
    assert seen == [SpiffeId.parse(certificates.client.identity)]


async def test_envoys_log_names_our_client(envoy_server: Envoy, certificates: MeshCertificates) -> None:
    async with TcpApp(echo, envoy_server.address) as app:
        async with OurClient(our_credentials(certificates.client)).call(app.authority) as caller:
            await talk(caller, b"hello")
            await caller.send_eof()
            await read_to_end(caller)
        # the whole line: another test's application may have had this port of Envoy's address before
        await envoy_server.logged(f"tunnel {app.authority} 200 flags=- peer={certificates.client.identity} rx=5 tx=5 ")


async def test_a_refused_client_of_ours_can_be_told_apart(certificates: MeshCertificates, pod_address: str) -> None:
    async with our_server(pod_address, certificates.server):
        credentials = our_credentials(certificates.alien)
        with pytest.raises((HboneError, *BROKEN)) as refusal:
            await hbone_py.connect(pod_address, HBONE_PORT, authority=f"{pod_address}:1", credentials=credentials)
    assert isinstance(refusal.value, TlsError | ConnectionLost), refusal.value
