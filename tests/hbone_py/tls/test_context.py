"""TLS as hbone-dataplane 1.1 has it: what is offered, what is agreed on, and who is refused.

The standard library's `ssl`, on the system's own OpenSSL, judges wherever it can play the part.
"""

from __future__ import annotations

import ssl
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from hbone_py.errors import TlsConfigError, TlsHandshakeError
from hbone_py.tls import openssl
from hbone_py.tls.context import TlsSettings, client_context, server_context
from hbone_py.tls.credentials import Credentials
from hbone_py.tls.engine import TlsEngine
from tests.hbone_py.tls import client_hello as wire
from tests.hbone_py.tls.authority import (
    CLIENT,
    CLIENT_AUTH,
    DAY,
    NOW,
    SERVER,
    SERVER_AUTH,
    Authority,
    new_key,
    to_pem,
)
from tests.hbone_py.tls.parties import (
    Ours,
    Party,
    client,
    connected,
    server,
    stdlib_client,
    stdlib_context,
    stdlib_server,
    talk,
)

TLS13_SUITES = ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"]
EXTRA_SUITES = [
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
]
CHACHA = TlsSettings(suites=("TLS_CHACHA20_POLY1305_SHA256",))
TLS12 = TlsSettings(tls12=True)
PQC = TlsSettings(post_quantum_only=True)


def hello_of(party: Ours) -> wire.ClientHello:
    party.step()
    return wire.read_client_hello(party.output())


def refused(us: Ours, them: Party) -> str:
    """Both ends fail; the text of our error."""
    talk(us, them)
    assert isinstance(us.error, TlsHandshakeError)
    assert them.error is not None
    return str(us.error)


# What we send ---------------------------------------------------------------------------------------------------


def test_the_client_hello(client_credentials):
    hello = hello_of(client(client_credentials))
    assert hello.suites == TLS13_SUITES
    assert hello.groups == ["X25519", "P-256", "P-384", "X25519MLKEM768"]
    assert hello.key_share_groups == ["X25519"]
    assert hello.versions == [0x0304]
    assert hello.protocols == [b"h2"]
    assert wire.SERVER_NAME not in hello.extensions
    assert wire.SESSION_TICKET not in hello.extensions
    assert wire.PRE_SHARED_KEY not in hello.extensions


def test_the_client_hello_with_tls_1_2(client_credentials):
    hello = hello_of(client(client_credentials, settings=TLS12))
    assert hello.suites == TLS13_SUITES + EXTRA_SUITES
    assert hello.versions == [0x0304, 0x0303]
    assert wire.SERVER_NAME not in hello.extensions
    assert wire.SESSION_TICKET not in hello.extensions


def test_the_client_hello_of_post_quantum_only(client_credentials):
    hello = hello_of(client(client_credentials, settings=PQC))
    assert hello.groups == hello.key_share_groups == ["X25519MLKEM768"]


def test_the_root_stays_at_home(root, client_credentials):
    """Also when it is in the chain file, as some authorities write it."""
    below = root.intermediate()
    issued = below.issue(SERVER)
    with_root = Credentials(issued.cert_chain_pem + to_pem(root.certificate), issued.key_pem, issued.roots_pem)
    for credentials in (issued, with_root):
        us, them = client(client_credentials), server(credentials)
        connected(us, them)
        assert us.engine.peer_chain() == [credentials.leaf, below.certificate]
        assert them.engine.peer_chain() == [client_credentials.leaf]


# What is agreed on ----------------------------------------------------------------------------------------------


def test_what_two_of_ours_agree_on(engine, client_credentials, server_credentials):
    one, other = client(client_credentials, engine), server(server_credentials, engine)
    connected(one, other)
    for party in (one, other):
        assert party.engine.version == "TLSv1.3"
        assert party.engine.suite == "TLS_AES_256_GCM_SHA384"
        assert party.engine.group.lower() == "x25519"
        assert party.engine.alpn == "h2"


def test_the_standard_library_as_client(engine, client_credentials, server_credentials, tmp_path):
    context = stdlib_context(ssl.PROTOCOL_TLS_CLIENT, client_credentials, tmp_path)
    context.set_alpn_protocols(["h2"])
    them, us = stdlib_client(context), server(server_credentials, engine)
    connected(them, us)
    assert them.tls.version() == "TLSv1.3"
    assert them.tls.cipher() == ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)
    assert them.tls.selected_alpn_protocol() == "h2"
    assert us.engine.peer_leaf_der == client_credentials.leaf.public_bytes(Encoding.DER)
    them.write(b"question")
    us.write(b"answer")
    talk(them, us)
    assert (bytes(us.received), bytes(them.received)) == (b"question", b"answer")


def test_the_standard_library_as_server(engine, client_credentials, server_credentials, tmp_path):
    context = stdlib_context(ssl.PROTOCOL_TLS_SERVER, server_credentials, tmp_path)
    context.set_alpn_protocols(["h2"])
    us, them = client(client_credentials, engine), stdlib_server(context)
    connected(us, them)
    assert us.engine.alpn == "h2"
    assert us.engine.peer_leaf_der == server_credentials.leaf.public_bytes(Encoding.DER)
    assert them.tls.getpeercert(binary_form=True) == client_credentials.leaf.public_bytes(Encoding.DER)
    us.write(b"question")
    them.write(b"answer")
    talk(us, them)
    assert (bytes(them.received), bytes(us.received)) == (b"question", b"answer")


@pytest.mark.parametrize(
    ("ours", "theirs", "suite"),
    [
        ((), (), "TLS_AES_256_GCM_SHA384"),
        (("TLS_AES_128_GCM_SHA256",), (), "TLS_AES_128_GCM_SHA256"),
        ((), ("TLS_AES_128_GCM_SHA256",), "TLS_AES_128_GCM_SHA256"),
    ],
)
def test_suites(client_credentials, server_credentials, ours, theirs, suite):
    one = client(client_credentials, settings=TlsSettings(suites=ours) if ours else None)
    other = server(server_credentials, settings=TlsSettings(suites=theirs) if theirs else None)
    connected(one, other)
    assert one.engine.suite == other.engine.suite == suite


@pytest.mark.parametrize(
    ("ours", "theirs", "group"),
    [
        pytest.param(None, None, "x25519", id="default"),
        pytest.param(PQC, PQC, "x25519mlkem768", id="both"),
        pytest.param(PQC, None, "x25519mlkem768", id="the client insists"),
        pytest.param(None, PQC, "x25519mlkem768", id="the server insists, by asking again"),
    ],
)
def test_groups(engine, client_credentials, server_credentials, ours, theirs, group):
    one = client(client_credentials, engine, ours)
    other = server(server_credentials, engine, theirs)
    connected(one, other)
    assert one.engine.group.lower() == other.engine.group.lower() == group


def test_post_quantum_only_refuses_a_peer_that_cannot(client_credentials, server_credentials, tmp_path):
    if ssl.OPENSSL_VERSION_INFO >= (3, 5):
        pytest.skip(f"the system's {ssl.OPENSSL_VERSION} knows X25519MLKEM768")
    context = stdlib_context(ssl.PROTOCOL_TLS_CLIENT, client_credentials, tmp_path)
    assert "no suitable key share" in refused(server(server_credentials, settings=PQC), stdlib_client(context))


@pytest.mark.parametrize("suite", EXTRA_SUITES)
def test_tls_1_2_where_it_is_allowed(root, client_credentials, tmp_path, suite):
    context = stdlib_context(ssl.PROTOCOL_TLS_CLIENT, client_credentials, tmp_path)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suite)
    credentials = root.issue(SERVER, key=new_key("rsa" if "RSA" in suite else "ec"))
    them, us = stdlib_client(context), server(credentials, settings=TLS12)
    connected(them, us)
    assert (us.engine.version, us.engine.suite) == ("TLSv1.2", suite)
    them.write(b"hello")
    talk(them, us)
    assert us.received == b"hello"


def test_1_3_is_preferred_where_1_2_is_allowed(client_credentials, server_credentials):
    one = client(client_credentials, settings=TLS12)
    other = server(server_credentials, settings=TLS12)
    connected(one, other)
    assert one.engine.version == "TLSv1.3"


def test_nothing_is_resumed(client_credentials, server_credentials, tmp_path):
    """OpenSSL sends two tickets that cannot be told not to be; nobody can redeem them."""
    context = stdlib_context(ssl.PROTOCOL_TLS_CLIENT, client_credentials, tmp_path)
    ours = server_context(server_credentials, TlsSettings())
    first, second = Ours(TlsEngine(ours)), Ours(TlsEngine(ours))
    them = stdlib_client(context)
    connected(them, first)
    session = them.tls.session
    again = stdlib_client(context)
    again.tls.session = session
    connected(again, second)
    assert session is not None
    assert not again.tls.session_reused


# ALPN -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        pytest.param(["h2"], "h2", id="h2"),
        pytest.param(["http/1.1", "h2"], "h2", id="h2 among others"),
        pytest.param(None, None, id="a peer that knows no ALPN"),
    ],
)
def test_alpn_accepted(engine, client_credentials, server_credentials, tmp_path, offered, chosen):
    context = stdlib_context(ssl.PROTOCOL_TLS_CLIENT, client_credentials, tmp_path)
    if offered:
        context.set_alpn_protocols(offered)
    them, us = stdlib_client(context), server(server_credentials, engine)
    connected(them, us)
    assert them.tls.selected_alpn_protocol() == chosen
    assert us.engine.alpn == (chosen or "")


def test_alpn_without_h2_is_a_fatal_alert(engine, client_credentials, server_credentials, tmp_path):
    context = stdlib_context(ssl.PROTOCOL_TLS_CLIENT, client_credentials, tmp_path)
    context.set_alpn_protocols(["http/1.1", "spdy/3"])
    ours = server_context(server_credentials, TlsSettings())
    us, them = Ours(engine(ours)), stdlib_client(context)
    text = refused(us, them)
    assert text == "TLS handshake failed: no_application_protocol: the peer offers http/1.1, spdy/3, not h2"
    assert "no application protocol" in str(them.error)
    # The context is as good as before.
    connected(client(client_credentials), Ours(engine(ours)))


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        pytest.param(["istio", "http/1.1"], "http/1.1", id="the server's order"),
        pytest.param(["istio-peer-exchange"], None, id="nothing in common"),
    ],
)
def test_alpn_of_ones_own(engine, client_credentials, server_credentials, tmp_path, offered, chosen):
    settings = TlsSettings(alpn=(b"http/1.1", b"istio"), alpn_is_demanded=False)
    context = stdlib_context(ssl.PROTOCOL_TLS_CLIENT, client_credentials, tmp_path)
    context.set_alpn_protocols(offered)
    them, us = stdlib_client(context), server(server_credentials, engine, settings)
    connected(them, us)
    assert them.tls.selected_alpn_protocol() == chosen


def test_a_connection_offers_and_names_what_it_likes(client_credentials, server_credentials):
    context = client_context(client_credentials, TlsSettings())
    them = Ours(TlsEngine(replace(context, server_name="web.example", alpn=(b"http/1.1",))))
    us = server(server_credentials, settings=TlsSettings(alpn=(b"http/1.1",)))
    connected(them, us)
    assert (us.engine.alpn, us.engine.server_name) == ("http/1.1", "web.example")


def test_a_server_without_alpn_is_accepted(client_credentials, server_credentials, tmp_path):
    context = stdlib_context(ssl.PROTOCOL_TLS_SERVER, server_credentials, tmp_path)
    us = client(client_credentials)
    connected(us, stdlib_server(context))
    assert us.engine.alpn == ""


# Who is refused -------------------------------------------------------------------------------------------------


def test_a_client_without_certificate(engine, client_credentials, server_credentials, tmp_path):
    context = stdlib_context(ssl.PROTOCOL_TLS_CLIENT, client_credentials, tmp_path, show_certificate=False)
    us, them = server(server_credentials, engine), stdlib_client(context)
    assert "peer did not return a certificate" in refused(us, them)
    assert "CERTIFICATE_REQUIRED" in str(them.error)


def test_our_client_learns_of_its_refusal_on_its_first_read(root, server_credentials, engine):
    """TLS 1.3: the client's handshake is over before the server has seen its certificate."""
    us, them = client(root.issue(CLIENT, ends=NOW - DAY), engine), server(server_credentials, engine)
    talk(us, them)
    assert us.engine.handshake_done
    assert str(us.error) == "TLS failed: the peer sent alert certificate_expired"
    assert str(them.error) == "TLS handshake failed: certificate verify failed: certificate has expired"


BAD_PEERS = [
    pytest.param(
        lambda root: Authority.root("foreign").issue(CLIENT, roots=root.roots),
        "unable to get local issuer certificate",
        id="unknown root",
    ),
    pytest.param(
        lambda root: Authority.root("root").issue(CLIENT, roots=root.roots),
        "certificate signature failure",
        id="a root of the same name",
    ),
    pytest.param(lambda root: root.issue(CLIENT, ends=NOW - DAY), "certificate has expired", id="expired"),
    pytest.param(
        lambda root: root.issue(CLIENT, begins=NOW + DAY, ends=NOW + 2 * DAY),
        "certificate is not yet valid",
        id="not yet valid",
    ),
]


@pytest.mark.parametrize(("make", "reason"), BAD_PEERS)
def test_a_client_with_a_bad_certificate(root, server_credentials, make, reason):
    text = refused(server(server_credentials), client(make(root)))
    assert text.startswith(f"TLS handshake failed: certificate verify failed: {reason}")


@pytest.mark.parametrize(("make", "reason"), BAD_PEERS)
def test_a_server_with_a_bad_certificate(root, client_credentials, make, reason):
    text = refused(client(client_credentials), server(make(root)))
    assert text.startswith(f"TLS handshake failed: certificate verify failed: {reason}")


def test_a_missing_intermediate(root, server_credentials):
    whole = root.intermediate().issue(CLIENT)
    alone = Credentials(to_pem(whole.leaf), whole.key_pem, whole.roots_pem)
    assert "unable to get local issuer" in refused(server(server_credentials), client(alone))
    connected(client(whole), server(server_credentials))


@pytest.mark.parametrize(
    ("usages", "as_client", "as_server"),
    [
        pytest.param(None, True, True, id="no extension: good for both"),
        pytest.param((CLIENT_AUTH, SERVER_AUTH), True, True, id="both"),
        pytest.param((CLIENT_AUTH,), True, False, id="client only"),
        pytest.param((SERVER_AUTH,), False, True, id="server only"),
    ],
)
def test_extended_key_usage(root, client_credentials, server_credentials, usages, as_client, as_server):
    """Demanded only if the extension is there (hbone-dataplane 1.1)."""
    peer = root.issue(CLIENT, usages=usages)
    for us, them, good in (
        (server(server_credentials), client(peer), as_client),
        (client(client_credentials), server(peer), as_server),
    ):
        if good:
            connected(us, them)
        else:
            assert "purpose" in refused(us, them)


def test_every_root_of_the_bundle_is_trusted(root, server_credentials):
    other = Authority.root("second")
    both = root.roots + other.roots
    us = server(root.issue(SERVER, roots=both))
    connected(client(other.issue(CLIENT, roots=both)), us)


def test_an_intermediate_may_be_an_anchor(root):
    below = root.intermediate()
    anchors = (below.certificate,)
    connected(client(below.issue(CLIENT, roots=anchors)), server(below.issue(SERVER, roots=anchors)))


def test_only_our_own_roots_count(root, client_credentials):
    """The peer's idea of its roots is of no interest."""
    foreign = Authority.root("foreign")
    peer = foreign.issue(SERVER, roots=root.roots + foreign.roots)
    assert "certificate verify failed" in refused(client(client_credentials), server(peer))


@pytest.mark.parametrize("role", ["client", "server"])
def test_chacha20_is_not_spoken(client_credentials, server_credentials, role):
    ours, theirs = (None, CHACHA) if role == "client" else (CHACHA, None)
    one, other = client(client_credentials, settings=ours), server(server_credentials, settings=theirs)
    talk(one, other)
    assert "the peer sent alert handshake_failure" in str(one.error)
    assert "no shared cipher" in str(other.error)


def test_a_tls_1_2_client_is_refused(client_credentials, server_credentials, tmp_path):
    context = stdlib_context(ssl.PROTOCOL_TLS_CLIENT, client_credentials, tmp_path)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    us, them = server(server_credentials), stdlib_client(context)
    assert "unsupported protocol" in refused(us, them)
    assert "PROTOCOL_VERSION" in str(them.error)


def test_a_tls_1_2_server_is_refused(client_credentials, server_credentials, tmp_path):
    context = stdlib_context(ssl.PROTOCOL_TLS_SERVER, server_credentials, tmp_path)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    text = refused(client(client_credentials), stdlib_server(context))
    assert text == "TLS handshake failed: the peer sent alert protocol_version"


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-SHA256"])
def test_other_suites_are_refused_where_tls_1_2_is_allowed(client_credentials, server_credentials, tmp_path, suite):
    context = stdlib_context(ssl.PROTOCOL_TLS_CLIENT, client_credentials, tmp_path)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suite)
    assert "no shared cipher" in refused(server(server_credentials, settings=TLS12), stdlib_client(context))


# Revocation -----------------------------------------------------------------------------------------------------


def revoking(*lists: bytes) -> TlsSettings:
    return TlsSettings(crls_pem=lists)


def test_a_revoked_peer_is_refused(engine, root, client_credentials, server_credentials):
    crl = root.revoke(client_credentials.serial, server_credentials.serial)
    us = server(server_credentials, engine, revoking(crl))
    assert "certificate revoked" in refused(us, client(client_credentials))
    us = client(client_credentials, engine, revoking(crl))
    assert "certificate revoked" in refused(us, server(server_credentials))


def test_the_whole_chain_is_looked_up(root, server_credentials):
    below = root.intermediate()
    us = server(server_credentials, settings=revoking(root.revoke(below.certificate.serial_number)))
    assert "certificate revoked" in refused(us, client(below.issue(CLIENT)))


@pytest.mark.parametrize(
    "make_list",
    [
        pytest.param(lambda root, serial: root.revoke(serial + 1), id="another is revoked"),
        pytest.param(lambda root, serial: root.revoke(expires=NOW - DAY), id="an expired list"),
        pytest.param(lambda root, serial: Authority.root("x").revoke(serial), id="no list of its issuer"),
    ],
)
def test_who_is_not_known_to_be_revoked_is_accepted(root, client_credentials, server_credentials, make_list):
    settings = revoking(make_list(root, client_credentials.serial))
    connected(client(client_credentials), server(server_credentials, settings=settings))


def test_an_expired_list_still_revokes(root, client_credentials, server_credentials):
    settings = revoking(root.revoke(client_credentials.serial, expires=NOW - DAY))
    us = server(server_credentials, settings=settings)
    assert "certificate revoked" in refused(us, client(client_credentials))


def test_a_list_excuses_nothing_else(root, server_credentials):
    us = server(server_credentials, settings=revoking(root.revoke()))
    assert "certificate has expired" in refused(us, client(root.issue(CLIENT, ends=NOW - DAY)))


# Settings that cannot be kept -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (TlsSettings(suites=("TLS_AES_512",)), "OpenSSL does not know all of the suites TLS_AES_512"),
        (TlsSettings(crls_pem=(b"nonsense",)), "revocation list: not PEM"),
    ],
)
@pytest.mark.parametrize("make", [client_context, server_context])
def test_settings_that_cannot_be_kept(client_credentials, settings, reason, make):
    with pytest.raises(TlsConfigError, match=reason):
        make(client_credentials, settings)


def test_a_key_that_openssl_thinks_too_short(root):
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    with pytest.raises(TlsConfigError, match=r"^OpenSSL does not accept the certificate or its key: ee key too small$"):
        client_context(root.issue(CLIENT, key=short), TlsSettings())


def test_a_library_without_the_group_refuses_post_quantum_only(client_credentials, monkeypatch):
    monkeypatch.setattr(openssl, "set_groups", lambda context, groups: False)
    with pytest.raises(TlsConfigError, match="cannot restrict key exchange to X25519MLKEM768"):
        client_context(client_credentials, PQC)
