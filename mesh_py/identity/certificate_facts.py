"""What a PEM text holds, in words: for ``make_certs.py --show`` and for whoever debugs a handshake."""

from __future__ import annotations

import hashlib
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

if TYPE_CHECKING:
    import datetime
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """One certificate. ``validity`` is "valid", "expired" or "not yet valid"; times are UTC."""

    subject: str
    names: tuple[str, ...]
    issuer: str
    not_before: datetime.datetime
    not_after: datetime.datetime
    validity: str
    is_ca: bool
    usages: tuple[str, ...]
    key: str
    key_sha256: str
    signature: str
    serial: str
    sha256: str


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """One private key. ``key_sha256`` is that of its public half: the same as in its certificate's facts."""

    key: str
    key_sha256: str


@dataclass(frozen=True, slots=True)
class OtherFacts:
    """A block of another kind, or one that cannot be read; ``problem`` is empty when it is merely another kind."""

    label: str
    problem: str


Facts = CertificateFacts | KeyFacts | OtherFacts


def facts_of(pem: bytes, now: datetime.datetime) -> list[Facts]:
    """The facts of every block of a PEM text, in its order; empty when there is none."""
    return [_facts_of_block(found.group(), found.group(1).decode(), now) for found in BLOCK.finditer(pem)]


def certificates_of(pem: bytes) -> list[x509.Certificate]:
    """The readable certificates of a PEM text, in its order; other blocks are passed over.

    :raises ValueError: a certificate cannot be read.
    """
    blocks = (found.group() for found in BLOCK.finditer(pem) if found.group(1) == b"CERTIFICATE")
    return [x509.load_pem_x509_certificate(block) for block in blocks]


def chain_problem(chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]) -> str | None:
    """Why this chain does not lead to one of the roots, or None when it does.

    Looks at names and signatures, not at time, usages or identities: TLS judges those.
    """
    if not chain:
        return "no certificate"
    for number, (certificate, issuer) in enumerate(itertools.pairwise(chain), 1):
        if not _is_issued_by(certificate, issuer):
            return f"certificate {number} is not signed by certificate {number + 1}"
    last = chain[-1]
    if not any(last == root or _is_issued_by(last, root) for root in roots):
        return f"certificate {len(chain)} is not signed by any of the roots"
    return None


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The subject alternative names, each with its kind, e.g. ``URI:spiffe://...``."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(f"{_kind(name)}:{name.value}" for name in names)


def _kind(name: x509.GeneralName) -> str:
    match name:
        case x509.UniformResourceIdentifier():
            return "URI"
        case x509.DNSName():
            return "DNS"
        case x509.IPAddress():
            return "IP"
        case _:
            return type(name).__name__


def _facts_of_block(block: bytes, label: str, now: datetime.datetime) -> Facts:
    try:
        if label == "CERTIFICATE":
            return _certificate_facts(x509.load_pem_x509_certificate(block), now)
        if label.endswith("PRIVATE KEY"):
            public_key = load_pem_private_key(block, password=None).public_key()
            return KeyFacts(_key_text(public_key), _key_sha256(public_key))
    except Exception as error:  # the library raises many kinds, and all mean: not readable
        return OtherFacts(label, str(error) or type(error).__name__)
    return OtherFacts(label, "")


def _certificate_facts(certificate: x509.Certificate, now: datetime.datetime) -> CertificateFacts:
    signed_with = certificate.signature_hash_algorithm
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(),
        names=names_of(certificate),
        issuer=certificate.issuer.rfc4514_string(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        validity=_validity(certificate, now),
        is_ca=_is_ca(certificate),
        usages=_usages(certificate),
        key=_key_text(certificate.public_key()),
        key_sha256=_key_sha256(certificate.public_key()),
        signature=signed_with.name if signed_with else "none",
        serial=f"{certificate.serial_number:x}",
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def _validity(certificate: x509.Certificate, now: datetime.datetime) -> str:
    if now < certificate.not_valid_before_utc:
        return "not yet valid"
    return "expired" if now > certificate.not_valid_after_utc else "valid"


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _usages(certificate: x509.Certificate) -> tuple[str, ...]:
    """Key usages and extended key usages that are granted."""
    granted: list[str] = []
    for extension in certificate.extensions:
        match extension.value:
            case x509.KeyUsage() as usage:
                granted += [name for name in _USAGES if getattr(usage, name)]
            case x509.ExtendedKeyUsage() as purposes:
                granted += [_PURPOSES.get(oid, oid.dotted_string) for oid in purposes]
    return tuple(granted)


_USAGES = ("digital_signature", "key_encipherment", "key_agreement", "key_cert_sign", "crl_sign")
_PURPOSES = {ExtendedKeyUsageOID.SERVER_AUTH: "server_auth", ExtendedKeyUsageOID.CLIENT_AUTH: "client_auth"}


def _key_text(key: PublicKeyTypes) -> str:
    match key:
        case ec.EllipticCurvePublicKey():
            return f"EC {key.curve.name}"
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size}"
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
        case _:
            return type(key).__name__


def _key_sha256(key: PublicKeyTypes) -> str:
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # wrong name, wrong key type, wrong signature: all mean no
        return False
    return True
