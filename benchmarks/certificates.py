"""One throw-away root and two SPIFFE leaves for a run; every contestant uses the same ones.

Written in the layout of WORKLOAD_CERT_DIR: FOLDER/NAMESPACE/ACCOUNT/{cert-chain,key,root-cert}.pem.
"""

from __future__ import annotations

import datetime
import os
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

TRUST_DOMAIN = "cluster.local"
NAMESPACE = "default"
CLIENT, SERVER = "client", "server"
"""The two service accounts."""

_ROOT_NAME = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "benchmark root")])


def make_certificates(folder: Path) -> Path:
    """Fills `folder` and returns it. EC P-256, an empty subject, one critical URI SAN (hbone-dataplane 1.1)."""
    root_key = ec.generate_private_key(ec.SECP256R1())
    root = _builder(_ROOT_NAME, root_key.public_key())
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    root_pem = _pem(root.sign(root_key, hashes.SHA256()))
    for account in (CLIENT, SERVER):
        key = ec.generate_private_key(ec.SECP256R1())
        home = folder / NAMESPACE / account
        home.mkdir(parents=True)
        _write(home / "cert-chain.pem", _leaf(account, key.public_key(), root_key))
        _write(home / "root-cert.pem", root_pem)
        _write(
            home / "key.pem",
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
    return folder


def _leaf(account: str, public: ec.EllipticCurvePublicKey, signer: ec.EllipticCurvePrivateKey) -> bytes:
    uri = x509.UniformResourceIdentifier(f"spiffe://{TRUST_DOMAIN}/ns/{NAMESPACE}/sa/{account}")
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    leaf = (
        _builder(x509.Name([]), public)
        .add_extension(x509.SubjectAlternativeName([uri]), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    return _pem(leaf.sign(signer, hashes.SHA256()))


def _builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_ROOT_NAME)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
