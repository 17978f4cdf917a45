"""What is signed at all: the key's kind and proof, and the time."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from istiod_py.signing_request import (
    LONGEST_REQUEST,
    SigningRequestError,
    granted_lifetime,
    read_signing_request,
)

DAY = datetime.timedelta(days=1)
CN = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "anything")])
P256 = ec.generate_private_key(ec.SECP256R1())


def csr(key: Any = P256, subject: x509.Name | None = None) -> bytes:
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject or x509.Name([]))
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(P256, id="P-256"),
        pytest.param(ec.generate_private_key(ec.SECP384R1()), id="P-384"),
        pytest.param(ed25519.Ed25519PrivateKey.generate(), id="Ed25519"),
        pytest.param(rsa.generate_private_key(65537, 2048), id="RSA 2048"),
    ],
)
def test_keys_that_are_signed(key: Any) -> None:
    assert read_signing_request(csr(key).decode()).public_key == key.public_key()


def test_a_common_name_is_a_wish_for_one() -> None:
    assert read_signing_request(csr(subject=CN).decode()).wants_common_name
    assert not read_signing_request(csr().decode()).wants_common_name


@pytest.mark.parametrize(
    ("pem", "complaint"),
    [
        pytest.param("", "cannot be read", id="empty"),
        pytest.param(
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----",
            "cannot be read",
            id="not DER",
        ),
        pytest.param(csr(ec.generate_private_key(ec.SECP256K1())).decode(), "use EC P-256", id="another curve"),
        pytest.param(csr(rsa.generate_private_key(65537, 1024)).decode(), "RSA key of 1024 bits", id="a short key"),
        pytest.param("x" * (LONGEST_REQUEST + 1), "at most 16384", id="endless"),
    ],
)
def test_what_is_not_signed(pem: str, complaint: str) -> None:
    with pytest.raises(SigningRequestError, match=complaint):
        read_signing_request(pem)


def test_a_key_of_somebody_else_is_not_signed() -> None:
    """The signature of a request is over its content: put another key into it, and it no longer fits."""
    der = x509.load_pem_x509_csr(csr()).public_bytes(Encoding.DER)
    ours, theirs = (raw(key) for key in (P256, ec.generate_private_key(ec.SECP256R1())))
    stolen = x509.load_der_x509_csr(der.replace(ours, theirs)).public_bytes(Encoding.PEM).decode()
    with pytest.raises(SigningRequestError, match="not signed by the key"):
        read_signing_request(stolen)


def raw(key: ec.EllipticCurvePrivateKey) -> bytes:
    numbers = key.public_key().public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


@pytest.mark.parametrize(
    ("seconds", "granted"),
    [(0, DAY), (-5, DAY), (20, datetime.timedelta(seconds=20)), (90 * 86_400, 90 * DAY)],
)
def test_lifetimes(seconds: int, granted: datetime.timedelta) -> None:
    assert granted_lifetime(seconds, DAY, 90 * DAY) == granted


def test_nobody_gets_more_than_the_longest() -> None:
    with pytest.raises(SigningRequestError, match=r"greater than the max allowed TTL 90d$"):
        granted_lifetime(90 * 86_400 + 1, DAY, 90 * DAY)
    with pytest.raises(SigningRequestError):
        granted_lifetime(2**62, DAY, 90 * DAY)
