"""The suite is read from the bytes that a real TLS library sends."""

from __future__ import annotations

import ssl
import struct
from typing import TYPE_CHECKING

import pytest

from benchmarks.certificates import make_certificates
from benchmarks.tls_facts import TlsFacts, server_hello

if TYPE_CHECKING:
    from pathlib import Path

PORT = 15008


@pytest.fixture
def hello(tmp_path: Path) -> bytes:
    """The first flight of a server, from a handshake in memory."""
    folder = make_certificates(tmp_path / "certs") / "default" / "server"
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(folder / "cert-chain.pem", folder / "key.pem")
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server):
        with pytest.raises(ssl.SSLWantReadError):
            side.do_handshake()
    return to_client.read()


def packet(payload: bytes, port: int = PORT, ip_options: bytes = b"", tcp_options: bytes = b"") -> bytes:
    """An IPv4 packet from `port` with the fields that matter."""
    tcp = struct.pack(">HHIIBBHHH", port, 40000, 1, 1, (5 + len(tcp_options) // 4) << 4, 0x18, 512, 0, 0) + tcp_options
    words = 5 + len(ip_options) // 4
    length = words * 4 + len(tcp) + len(payload)
    head = struct.pack(">BBHHHBBH4s4s", 0x40 | words, 0, length, 0, 0, 64, 6, 0, b"\x7f\0\0\1", b"\x7f\0\0\2")
    return head + ip_options + tcp + payload


def test_suite_and_key_exchange_of_a_real_hello(hello: bytes) -> None:
    facts = server_hello(packet(hello))
    assert facts == TlsFacts("TLS_AES_256_GCM_SHA384", "X25519")  # OpenSSL's own first choices
    assert str(facts) == "TLS_AES_256_GCM_SHA384, X25519"


def test_options_of_ip_and_tcp_are_passed_over(hello: bytes) -> None:
    assert server_hello(packet(hello, ip_options=b"\1" * 4, tcp_options=b"\1" * 12)) is not None


def test_a_hello_that_the_packet_cuts_off_still_tells_its_suite(hello: bytes) -> None:
    facts = server_hello(packet(hello[:90]))
    assert facts is None or facts.suite == "TLS_AES_256_GCM_SHA384"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda hello: packet(hello, port=443), id="another port"),
        pytest.param(lambda hello: packet(b"\x17" + hello[1:]), id="application data"),
        pytest.param(lambda hello: packet(hello[:5] + b"\1" + hello[6:]), id="a client's hello"),
        pytest.param(lambda hello: b"\x60" + packet(hello)[1:], id="IPv6"),
        pytest.param(lambda hello: packet(hello)[:30], id="a stump"),
        pytest.param(lambda hello: packet(b""), id="no payload"),
        pytest.param(lambda hello: packet(hello.replace(b"\0\x2b\0\2\3\4", b"\0\x2b\0\2\3\3")), id="TLS 1.2"),
    ],
)
def test_other_packets_tell_nothing(hello: bytes, change) -> None:
    assert server_hello(change(hello)) is None


def test_a_retry_request_is_not_a_hello(hello: bytes) -> None:
    retry = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
    assert server_hello(packet(hello[:11] + retry + hello[43:])) is None
