"""Who a certificate names, and the two rules of hbone-dataplane 1.1."""

from __future__ import annotations

import ipaddress
import logging

import pytest
from cryptography import x509

from hbone_py.errors import PeerIdentityError
from hbone_py.identity import SpiffeId
from hbone_py.tls import verify
from hbone_py.tls.verify import peer_identities, verify_inbound, verify_outbound
from tests.hbone_py.tls.authority import CLIENT, Authority

A = SpiffeId.parse("spiffe://cluster.local/ns/default/sa/a")
B = SpiffeId.parse("spiffe://cluster.local/ns/default/sa/b")
ALIEN = SpiffeId.parse("spiffe://other.example/ns/default/sa/a")


@pytest.mark.parametrize(
    ("uris", "others", "expected"),
    [
        pytest.param([str(A)], (), (A,), id="one"),
        pytest.param([str(B), str(A)], (), (B, A), id="several, in the certificate's order"),
        pytest.param([], (x509.DNSName("a.example"),), (), id="DNS names do not count"),
        pytest.param([], (), (), id="no names at all"),
        pytest.param(
            [str(A)],
            (x509.DNSName("a.example"), x509.IPAddress(ipaddress.ip_address("10.0.0.1"))),
            (A,),
            id="beside other names",
        ),
        pytest.param(["https://a.example/", str(A)], (), (A,), id="another URI is skipped"),
        pytest.param(["spiffe://cluster.local/ns/default/sa/a/x", str(B)], (), (B,), id="a part too many"),
        pytest.param(["spiffe://cluster.local/workload/a"], (), (), id="SPIFFE, but not Istio's form"),
    ],
)
def test_identities_of_a_certificate(root, uris, others, expected):
    assert peer_identities(root.issue(*uris, other_names=others).leaf) == expected


def test_a_name_that_is_skipped_is_told(root: Authority, caplog):
    with caplog.at_level(logging.WARNING):
        peer_identities(root.issue("https://a.example/").leaf)
    assert "'https://a.example/' is not a SPIFFE identity" in caplog.text


def test_a_leaf_that_was_seen_is_not_parsed_again(root: Authority):
    leaf = root.issue(CLIENT).leaf
    before = verify.identities_of_der.cache_info().hits
    assert peer_identities(leaf) is peer_identities(leaf)
    assert verify.identities_of_der.cache_info().hits == before + 1
    assert verify.identities_of_der.cache_info().maxsize == verify.CACHED_LEAVES


def test_names_that_cannot_be_read_name_nobody(root: Authority, caplog):
    """A peer whose certificate is genuine but garbled: the rules below then refuse it."""
    garbled = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"not DER")
    leaf = root.issue(CLIENT, garbled_names=garbled).leaf
    with caplog.at_level(logging.WARNING):
        assert peer_identities(leaf) == ()
    assert "extensions cannot be read" in caplog.text


OUTBOUND = "identity verification error: peer did not present the expected SAN "
INBOUND = "identity verification error: peer did not present the expected trustdomain "


@pytest.mark.parametrize(
    ("identities", "expected", "error"),
    [
        pytest.param([A], [A], None, id="the one expected"),
        pytest.param([A], [B, A], None, id="one of those expected"),
        pytest.param([B, A], [A], None, id="any name of the peer is enough"),
        pytest.param([A], [B], f"({B}), got {A}", id="another account"),
        pytest.param([ALIEN], [A], f"({A}), got {ALIEN}", id="another trust domain"),
        pytest.param([A, B], [ALIEN], f"({ALIEN}), got {A},{B}", id="several got"),
        pytest.param([ALIEN], [A, B], f"({A},{B}), got {ALIEN}", id="several expected"),
        pytest.param([], [A], f"({A}), got ", id="a peer without identity"),
        pytest.param([A], [], f"(), got {A}", id="nothing expected matches nothing"),
    ],
)
def test_outbound(identities, expected, error):
    if error is None:
        verify_outbound(identities, expected)
        return
    with pytest.raises(PeerIdentityError) as caught:
        verify_outbound(identities, expected)
    assert str(caught.value) == OUTBOUND + error


@pytest.mark.parametrize(
    ("identities", "trust_domain", "error"),
    [
        pytest.param([A], "cluster.local", None, id="our trust domain"),
        pytest.param([ALIEN, A], "cluster.local", None, id="any name of the peer is enough"),
        pytest.param([ALIEN], None, None, id="we have no identity: no check"),
        pytest.param([], None, None, id="neither has one"),
        pytest.param([ALIEN], "cluster.local", f"(cluster.local), got {ALIEN}", id="another trust domain"),
        pytest.param([], "cluster.local", "(cluster.local), got ", id="a peer without identity"),
        pytest.param([A], "cluster.loca", f"(cluster.loca), got {A}", id="the whole name counts"),
    ],
)
def test_inbound(identities, trust_domain, error):
    if error is None:
        verify_inbound(identities, trust_domain)
        return
    with pytest.raises(PeerIdentityError) as caught:
        verify_inbound(identities, trust_domain)
    assert str(caught.value) == INBOUND + error
