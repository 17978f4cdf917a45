"""What our TLS is, as openssl's own client and server see it."""

from __future__ import annotations

import re

import pytest

from hbone_py.tls import TlsSettings
from mesh_py.rpc.contexts import client_context
from mesh_py.rpc.endpoint import Address, Endpoint
from mesh_py.rpc.errors import DialFailed
from mesh_py.rpc.roots import Roots
from tests.support.processes import PeerProcess, eventually, run_tool
from tests.support.rpc import said, serving

pytestmark = pytest.mark.interop


async def asked(address: str, port: int, root, *more: str):
    command = ["openssl", "s_client", "-connect", f"{address}:{port}", "-CAfile", str(root.roots)]
    return await run_tool(*command, "-brief", "-verify_return_error", *more)


@pytest.mark.parametrize("suite", ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"])
async def test_the_server_speaks_tls13_with_aes_gcm(address, root, server_files, suite):
    async with serving(address, server_files) as (_, port):
        done = await asked(address, port, root, "-alpn", "h2", "-ciphersuites", suite, "-verify_ip", address)
    assert done.returncode == 0, done.stderr
    assert f"Ciphersuite: {suite}" in done.stderr.decode()
    assert "Protocol version: TLSv1.3" in done.stderr.decode()
    assert "Verification: OK" in done.stderr.decode()


@pytest.mark.parametrize(
    "more",
    [
        ("-alpn", "h2", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"),
        ("-alpn", "h2", "-tls1_2"),
        ("-alpn", "http/1.1"),
    ],
    ids=["chacha20", "tls12", "http1"],
)
async def test_the_server_refuses_the_rest(address, root, server_files, more):
    async with serving(address, server_files) as (server, port):
        done = await asked(address, port, root, *more)
        assert done.returncode != 0
        await eventually(lambda: server.counts.failed == 1, "counted")


async def test_tls12_may_be_asked_for(address, root, server_files):
    async with serving(address, server_files, tls=TlsSettings(tls12=True)) as (_, port):
        done = await asked(address, port, root, "-alpn", "h2", "-tls1_2")
    assert done.returncode == 0, done.stderr
    assert re.search("Ciphersuite: ECDHE-ECDSA-AES(128|256)-GCM", done.stderr.decode())


async def test_post_quantum_only_is_kept(address, root, server_files, open_channel):
    """With a client of older groups nothing is left to agree on. Between two of ours it is what is agreed."""
    only = TlsSettings(post_quantum_only=True)
    async with serving(address, server_files, tls=only) as (server, port):
        assert (await asked(address, port, root, "-alpn", "h2", "-groups", "X25519")).returncode != 0
        await said(open_channel(port))
        (link,) = [connection.link for connection in server._connections]
        assert link is not None
        assert link.engine.group == "X25519MLKEM768"


async def test_a_client_without_alpn_is_refused(address, root, server_files):
    async with serving(address, server_files) as (server, port):
        await asked(address, port, root)
        await eventually(lambda: server.counts.failed == 1, "counted")


@pytest.fixture
def s_server(server_files, tmp_path):
    """openssl's server; `-trace` makes it tell what it was offered."""
    servers = []

    def start(*more: str) -> tuple[PeerProcess, Address]:
        command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-trace", *more]
        command += ["-cert", str(server_files.chain), "-key", str(server_files.key)]
        servers.append(PeerProcess(command, tmp_path / "s_server.log"))
        listening = re.compile(r"^ACCEPT 127\.0\.0\.1:(\d+)\n", re.MULTILINE)
        servers[-1].wait_until(lambda: bool(listening.search(servers[-1].output)), "listening")
        [port] = listening.findall(servers[-1].output)
        return servers[-1], Address("localhost", int(port))

    yield start
    for server in servers:
        server.stop()


async def test_the_client_names_the_server_and_offers_little(root, s_server, open_channel):
    server, where = s_server("-alpn", "h2")
    await open_channel(0, endpoint=Endpoint(where, Roots(str(root.roots)))).__connect__()
    server.wait_until(lambda: "ALPN protocols selected" in server.output, "a handshake")
    hello = server.output.partition("ClientHello")[2].partition("ServerHello")[0]
    assert "extension_type=server_name(0)" in hello
    suites = re.findall(r"\{0x[0-9A-F]+, 0x[0-9A-F]+\} (TLS_(?!EMPTY)\w+)", hello)
    assert suites[:2] == ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"]
    assert not any("CHACHA" in suite or "CBC" in suite for suite in suites)
    versions = hello.partition("supported_versions")[2].partition("extension_type")[0]
    assert "TLS 1.3" in versions
    assert "TLS 1.2" not in versions


async def test_the_client_speaks_tls12_only_if_told(root, s_server, open_channel):
    _, where = s_server("-alpn", "h2", "-tls1_2")
    endpoint = Endpoint(where, Roots(str(root.roots)))
    with pytest.raises(DialFailed, match="TLS handshake failed: the peer sent alert protocol_version"):
        await said(open_channel(0, endpoint=endpoint))
    channel = open_channel(0, tls=TlsSettings(tls12=True), endpoint=endpoint)
    protocol = await channel.__connect__()
    assert protocol.transport.engine.version == "TLSv1.2"
    assert "GCM" in protocol.transport.engine.suite


async def test_the_client_exchanges_keys_post_quantum_only_if_told(root, s_server, open_channel):
    """With a server of older groups there is nothing to agree on."""
    _, where = s_server("-alpn", "h2", "-groups", "X25519:P-256")
    channel = open_channel(0, tls=TlsSettings(post_quantum_only=True), endpoint=Endpoint(where, Roots(str(root.roots))))
    with pytest.raises(DialFailed, match="TLS handshake failed"):
        await said(channel)


async def test_a_server_without_alpn_is_refused(root, s_server, open_channel):
    _, where = s_server()
    with pytest.raises(DialFailed, match=r"the peer does not speak h2 \(ALPN: nothing\)"):
        await said(open_channel(0, endpoint=Endpoint(where, Roots(str(root.roots)))))


def test_an_address_is_not_sent_as_a_name(root):
    assert client_context("127.0.0.1", Roots(str(root.roots)), TlsSettings()).server_name == ""
    assert client_context("istiod.example", Roots(str(root.roots)), TlsSettings()).server_name == "istiod.example"


async def test_the_systems_roots_do_not_vouch_for_ours(address, server_files, open_channel):
    async with serving(address, server_files) as (_, port):
        channel = open_channel(0, endpoint=Endpoint(Address(address, port), Roots("SYSTEM")))
        with pytest.raises(DialFailed, match="certificate verify failed"):
            await said(channel)
