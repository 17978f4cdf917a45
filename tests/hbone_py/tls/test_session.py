"""The handshake's course, its failures in words, and what is known of the peer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hbone_py.errors import TlsError, TlsHandshakeError
from hbone_py.tls import openssl
from tests.hbone_py.tls.parties import EngineType, client, connected, server, take

if TYPE_CHECKING:
    from hbone_py.tls.credentials import Credentials


def test_a_handshake_step_by_step(engine: EngineType, client_credentials: Credentials, server_credentials: Credentials):
    one, other = client(client_credentials, engine).engine, server(server_credentials, engine).engine
    assert not one.handshake()  # ClientHello is pending
    other.feed(take(one))
    assert not other.handshake()  # ServerHello to Finished
    one.feed(take(other))
    assert one.handshake()  # certificate, Finished: the client is done first
    assert (one.handshake_done, other.handshake_done) == (True, False)
    other.feed(take(one))
    assert other.handshake()
    assert (one.handshake_done, other.handshake_done) == (True, True)
    assert other.handshake()  # and stays done


def test_nothing_is_known_of_a_peer_before_the_handshake(engine: EngineType, client_credentials: Credentials):
    early = client(client_credentials, engine).engine
    assert early.peer_chain() == []
    assert early.peer_leaf_der == b""
    assert (early.suite, early.group, early.alpn) == ("", "", "")


def test_a_server_that_waits_has_nothing_to_say(engine: EngineType, server_credentials: Credentials):
    waiting = server(server_credentials, engine).engine
    assert not waiting.handshake()
    assert take(waiting) == b""


@pytest.mark.parametrize("fed", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_a_peer_that_goes_away(engine: EngineType, server_credentials: Credentials, fed):
    waiting = server(server_credentials, engine).engine
    waiting.feed(fed)
    waiting.feed_eof()
    with pytest.raises(TlsHandshakeError, match=r"^TLS handshake failed: the peer ended the connection$"):
        waiting.handshake()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", "http request", id="HTTP in plaintext"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", id="HTTP/2 in plaintext"),
        pytest.param(b"\x00" * 64, "", id="zeros"),
        pytest.param(b"\x15\x03\x01\x00\x02\x02\x30", "unexpected message", id="an alert before all"),
    ],
)
def test_a_peer_that_says_something_else(engine: EngineType, server_credentials: Credentials, said, reason):
    waiting = server(server_credentials, engine).engine
    waiting.feed(said)
    with pytest.raises(TlsHandshakeError, match=f"^TLS handshake failed: .*{reason}"):
        waiting.handshake()


def test_a_server_that_says_good_bye_at_once(engine: EngineType, client_credentials: Credentials):
    one = client(client_credentials, engine).engine
    one.handshake()
    one.feed(b"\x15\x03\x03\x00\x02\x01\x00")
    with pytest.raises(TlsHandshakeError, match=r"^TLS handshake failed: the peer sent close_notify$"):
        one.handshake()


def test_a_failed_connection_needs_no_farewell(
    engine: EngineType, client_credentials: Credentials, server_credentials: Credentials
):
    one, other = client(client_credentials, engine), server(server_credentials, engine)
    connected(one, other)
    one.feed(b"GET / HTTP/1.1\r\n\r\n")
    one.step()
    take(one.engine)
    one.engine.send_close_notify()
    one.engine.send_close_notify()
    assert isinstance(one.error, TlsError)
    assert openssl.take_errors() == []


def test_identity_of_the_peer_is_the_same_to_both_engines(
    engine: EngineType, client_credentials: Credentials, server_credentials: Credentials
):
    one, other = client(client_credentials, engine), server(server_credentials)
    connected(one, other)
    assert one.engine.peer_chain() == [server_credentials.leaf]
    assert other.engine.peer_chain() == [client_credentials.leaf]
