"""Judges that are no proxies: python's h2 with every check on, nghttp, the command-line OpenSSL, tshark."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import h2.events
import pytest

import hbone_py
from hbone_py.errors import HboneError
from tests.interop.callers import Outcome, read_to_end
from tests.interop.client_hello import decode_client_hello, save_capture
from tests.interop.pairs import HBONE_PORT, our_credentials, our_server
from tests.interop.strict_h2 import StrictPeer
from tests.support.processes import run_tool
from tests.support.raw_peer import client_tls, server_tls
from tests.support.require import require_tool
from tests.support.tcp_apps import Connection, TcpApp, digest, echo, payload

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.certificates import CertificateFiles, MeshCertificates

pytestmark = pytest.mark.interop

MEGABYTE = payload(1_000_000, seed=7)


def connect(peer: StrictPeer, stream: int, authority: str) -> None:
    peer.h2.send_headers(stream, [(":method", "CONNECT"), (":authority", authority)])


async def test_h2_as_client_of_our_server(certificates: MeshCertificates, pod_address: str) -> None:
    async with our_server(pod_address, certificates.server), TcpApp(echo, pod_address) as app:
        peer = await StrictPeer.dial(pod_address, HBONE_PORT, client_tls(certificates.client))
        for stream in (1, 3):
            connect(peer, stream, app.authority)
            answer = await peer.until(h2.events.ResponseReceived, stream)
            assert isinstance(answer, h2.events.ResponseReceived)
            assert answer.headers == [(b":status", b"200")]
            await peer.send_all(stream, MEGABYTE)
            await peer.until(h2.events.StreamEnded, stream)
            assert digest(bytes(peer.heard[stream])) == digest(MEGABYTE)
        peer.close()


async def test_h2_as_client_hears_a_refusal(certificates: MeshCertificates, pod_address: str) -> None:
    async with our_server(pod_address, certificates.server):
        peer = await StrictPeer.dial(pod_address, HBONE_PORT, client_tls(certificates.client))
        connect(peer, 1, f"{pod_address}:1")
        answer = await peer.until(h2.events.ResponseReceived, 1)
        assert isinstance(answer, h2.events.ResponseReceived)
        assert answer.headers == [(b":status", b"503")]
        await peer.until(h2.events.StreamEnded, 1)
        peer.close()


async def test_h2_as_server_of_our_client(certificates: MeshCertificates, pod_address: str) -> None:
    async def serve(connection: Connection) -> None:
        peer = StrictPeer(connection.reader, connection.writer, client_side=False)
        for stream in (1, 3):
            asked = await peer.until(h2.events.RequestReceived, stream)
            assert isinstance(asked, h2.events.RequestReceived)
            assert asked.headers == [(b":method", b"CONNECT"), (b":authority", b"10.1.0.2:8080")]
            peer.h2.send_headers(stream, [(":status", "200")])
            await peer.until(h2.events.StreamEnded, stream)
            await peer.send_all(stream, bytes(peer.heard[stream]))

    async with TcpApp(serve, pod_address, tls=server_tls(certificates.server)) as server:
        connection = await hbone_py.open_connection(
            pod_address, server.port, credentials=our_credentials(certificates.client)
        )
        for _ in range(2):
            tunnel = await connection.open_tunnel("10.1.0.2:8080")
            async with asyncio.TaskGroup() as both:
                heard = both.create_task(read_to_end(tunnel))
                await tunnel.send(MEGABYTE)
                await tunnel.send_eof()
            assert heard.result() == Outcome(MEGABYTE, "eof")
        await connection.aclose()


async def test_nghttp_is_told_that_a_get_is_no_tunnel(certificates: MeshCertificates, pod_address: str) -> None:
    nghttp = require_tool("nghttp")
    files = certificates.client
    async with our_server(pod_address, certificates.server):
        answer = await run_tool(
            nghttp,
            "-nv",
            "--no-verify-peer",
            f"--cert={files.chain}",
            f"--key={files.key}",
            f"https://{pod_address}:{HBONE_PORT}/",
        )
    said = answer.stdout.decode(errors="replace")
    assert ":status: 400" in said, said
    assert "The negotiated protocol: h2" in said


def s_client(openssl: str, address: str, files: CertificateFiles | None, *options: str) -> list[str]:
    known = [] if files is None else ["-cert", str(files.chain), "-key", str(files.key)]
    return [openssl, "s_client", "-connect", f"{address}:{HBONE_PORT}", *known, *options]


async def test_openssl_is_let_in(certificates: MeshCertificates, pod_address: str) -> None:
    openssl = require_tool("openssl")
    trust = ("-CAfile", str(certificates.client.roots), "-verify_return_error", "-alpn", "h2")
    async with our_server(pod_address, certificates.server):
        answer = await run_tool(*s_client(openssl, pod_address, certificates.client, *trust))
    said = answer.stdout.decode(errors="replace")
    assert answer.returncode == 0, answer.stderr.decode()
    for fact in ("TLSv1.3", "AES_256_GCM_SHA384", "ALPN protocol: h2", "Verification: OK"):
        assert fact in said, said


OPENSSL_REFUSED = [
    pytest.param("client", ["-tls1_2"], "protocol version", id="TLS 1.2"),
    pytest.param("client", ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"], "handshake failure", id="ChaCha20"),
    pytest.param("client", ["-alpn", "http/1.1"], "no application protocol", id="ALPN http/1.1"),
    pytest.param("nobody", ["-alpn", "h2"], "certificate required", id="no certificate"),
    pytest.param("stranger", ["-alpn", "h2"], "unknown ca", id="another root"),
]


@pytest.mark.parametrize(("who", "options", "alert"), OPENSSL_REFUSED)
async def test_openssl_is_refused(
    certificates: MeshCertificates, pod_address: str, who: str, options: list[str], alert: str
) -> None:
    openssl = require_tool("openssl")
    files = None if who == "nobody" else getattr(certificates, who)
    async with our_server(pod_address, certificates.server):
        # In TLS 1.3 a client hears of its refusal only when it reads on: -ign_eof makes it do so.
        answer = await run_tool(*s_client(openssl, pod_address, files, "-ign_eof", *options))
    assert alert in answer.stderr.decode().lower(), answer.stderr.decode()


async def test_tshark_reads_our_client_hello(certificates: MeshCertificates, pod_address: str, tmp_path: Path) -> None:
    tshark = require_tool("tshark")
    hello: list[bytes] = []

    async def record(connection: Connection) -> None:
        hello.append(await connection.receive())
        connection.abort()

    async with TcpApp(record, pod_address) as app:
        with pytest.raises(HboneError):
            await hbone_py.open_connection(pod_address, app.port, credentials=our_credentials(certificates.client))
    capture = save_capture(hello[0], tmp_path / "hello.pcap")
    said = await decode_client_hello(tshark, capture)
    assert said.server_names == []
    assert said.protocols == ["h2"]
    assert said.versions == ["0x0304"]
    assert said.suites == ["0x1302", "0x1301"], "AES-256-GCM, AES-128-GCM and no other"
    assert said.resumed_sessions == []
