"""What the authority signs, judged by openssl as well as by reading it back."""

from __future__ import annotations

import datetime
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hbone_py.identity import SpiffeId
from mesh_py.identity import signing
from mesh_py.identity.signing import CaError, CertificateAuthority, Leaf, validity
from tests.support.require import require_tool

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.datetime.now(datetime.UTC)
SECOND = datetime.timedelta(seconds=1)
DAY = datetime.timedelta(days=1)
SLEEP = SpiffeId("cluster.local", "default", "sleep")


def a_root() -> CertificateAuthority:
    return signing.new_root(*validity(NOW, 10 * DAY))


def an_intermediate() -> CertificateAuthority:
    return signing.new_intermediate(a_root(), *validity(NOW, 10 * DAY))


def a_leaf(ca: CertificateAuthority) -> Leaf:
    return signing.issue(ca, SLEEP, *validity(NOW, DAY))


def openssl(*arguments: str) -> str:
    done = subprocess.run(
        [require_tool("openssl"), *arguments], capture_output=True, text=True, check=False, timeout=20
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def saved(folder: Path, leaf: Leaf) -> tuple[str, str]:
    chain, roots = folder / "chain.pem", folder / "roots.pem"
    chain.write_bytes(leaf.chain_pem)
    roots.write_bytes(leaf.roots_pem)
    return str(chain), str(roots)


@pytest.mark.interop
@pytest.mark.parametrize("purpose", ["sslclient", "sslserver"])
@pytest.mark.parametrize("ca", [a_root, an_intermediate], ids=["below the root", "below an intermediate"])
def test_openssl_verifies_the_chain_for_both_roles(ca, purpose: str, tmp_path: Path) -> None:
    chain, roots = saved(tmp_path, a_leaf(ca()))
    verdict = openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", roots, "-untrusted", chain, chain)
    assert verdict == f"{chain}: OK\n"


@pytest.mark.interop
def test_openssl_reads_the_shape_of_a_workload_certificate(tmp_path: Path) -> None:
    chain, _ = saved(tmp_path, a_leaf(a_root()))
    text = [line.strip() for line in openssl("x509", "-noout", "-text", "-in", chain).splitlines()]
    assert "Subject:" in text
    for name, value in (
        ("X509v3 Subject Alternative Name: critical", "URI:spiffe://cluster.local/ns/default/sa/sleep"),
        ("X509v3 Basic Constraints: critical", "CA:FALSE"),
        ("X509v3 Key Usage: critical", "Digital Signature, Key Encipherment"),
        ("X509v3 Extended Key Usage:", "TLS Web Server Authentication, TLS Web Client Authentication"),
    ):
        assert text[text.index(name) + 1] == value
    assert "ASN1 OID: prime256v1" in text
    assert "Signature Algorithm: ecdsa-with-SHA256" in text


@pytest.mark.interop
def test_openssl_refuses_a_leaf_of_another_root(tmp_path: Path) -> None:
    chain, _ = saved(tmp_path, a_leaf(a_root()))
    (tmp_path / "other.pem").write_bytes(signing.to_pem(a_root().root))
    done = subprocess.run(
        [require_tool("openssl"), "verify", "-CAfile", str(tmp_path / "other.pem"), chain],
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert done.returncode != 0


def test_an_intermediate_may_sign_leaves_alone() -> None:
    constraints = an_intermediate().certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)


def test_the_chain_holds_the_intermediate_and_not_the_root() -> None:
    ca = an_intermediate()
    leaf = a_leaf(ca)
    assert x509.load_pem_x509_certificates(leaf.chain_pem) == [leaf.certificate, ca.certificate]
    assert x509.load_pem_x509_certificates(leaf.roots_pem) == [ca.root]


def test_the_key_is_the_certificates_own() -> None:
    leaf = a_leaf(a_root())
    assert leaf.key_pem is not None
    key = load_pem_private_key(leaf.key_pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == leaf.certificate.public_key()


@pytest.mark.parametrize(
    "public_key",
    [
        pytest.param(ec.generate_private_key(ec.SECP256R1()).public_key(), id="P-256"),
        pytest.param(rsa.generate_private_key(65537, 2048).public_key(), id="RSA"),
    ],
)
def test_an_askers_key_is_signed_and_its_private_half_never_seen(public_key) -> None:
    leaf = signing.issue(a_root(), SLEEP, *validity(NOW, DAY), public_key=public_key)
    assert (leaf.certificate.public_key(), leaf.key_pem) == (public_key, None)


@pytest.mark.parametrize(
    ("lifetime", "back_dated"),
    [
        pytest.param(DAY, 120 * SECOND, id="two minutes for a day"),
        pytest.param(1200 * SECOND, 120 * SECOND, id="two minutes for twenty"),
        pytest.param(60 * SECOND, 6 * SECOND, id="a tenth of a minute"),
    ],
)
def test_certificates_begin_a_little_earlier(lifetime: datetime.timedelta, back_dated: datetime.timedelta) -> None:
    assert validity(NOW, lifetime) == (NOW - back_dated, NOW + lifetime)


def test_a_leaf_never_outlives_those_above_it() -> None:
    root = signing.new_root(NOW, NOW + DAY)
    ca = signing.new_intermediate(root, NOW - DAY, NOW + 5 * DAY)
    leaf = signing.issue(ca, SLEEP, NOW - DAY, NOW + 9 * DAY).certificate
    for certificate in (leaf, ca.certificate):
        assert certificate.not_valid_before_utc == root.certificate.not_valid_before_utc
        assert certificate.not_valid_after_utc == root.certificate.not_valid_after_utc


def test_an_expired_authority_signs_nothing() -> None:
    with pytest.raises(CaError, match="hold until"):
        signing.issue(signing.new_root(NOW - DAY, NOW - SECOND), SLEEP, NOW, NOW + DAY)


def test_serial_numbers_and_keys_differ() -> None:
    ca = a_root()
    first, second = a_leaf(ca).certificate, a_leaf(ca).certificate
    assert first.serial_number != second.serial_number
    assert first.public_key() != second.public_key()


@pytest.mark.interop
def test_a_server_is_known_by_names_and_addresses(tmp_path: Path) -> None:
    leaf = signing.issue_server(a_root(), ["istiod.istio-system.svc", "127.0.0.1"], *validity(NOW, DAY))
    chain, roots = saved(tmp_path, leaf)
    for name in (["-verify_hostname", "istiod.istio-system.svc"], ["-verify_ip", "127.0.0.1"]):
        assert "OK" in openssl("verify", "-x509_strict", *name, "-CAfile", roots, chain)


def test_a_server_needs_names_that_are_some() -> None:
    with pytest.raises(CaError, match="neither a DNS name nor an IP address"):
        signing.issue_server(a_root(), ["käse"], *validity(NOW, DAY))


def test_a_common_name_is_there_for_whoever_insists() -> None:
    leaf = signing.issue(a_root(), SLEEP, *validity(NOW, DAY), common_name=str(SLEEP))
    assert leaf.certificate.subject.rfc4514_string() == f"CN={SLEEP}"
