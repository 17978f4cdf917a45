"""Throw-away certificates for tests: a root and SPIFFE leaves in the shape a mesh CA issues.

An empty subject, one critical URI SAN, EC P-256 (hbone-dataplane 1.1). Made here with plain `cryptography` so
that tests of the tunnel do not depend on the certificate authority that is itself under test elsewhere.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

TRUST_DOMAIN = "cluster.local"
A_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where one identity's chain, key and roots lie; `identity` is its SPIFFE URI."""

    identity: str
    chain: Path
    key: Path
    roots: Path


class TestRoot:
    """A root authority that writes the leaves it issues into one folder."""

    __test__ = False  # pytest: the name says who uses it, not that it is a test

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"root {folder.name}")])
        self._certificate = self._sign_root()
        self.roots = folder / "root.crt"
        self.roots.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, account: str, trust_domain: str = TRUST_DOMAIN) -> CertificateFiles:
        """Issue a leaf for `account` ("namespace/service-account") and write NAME.crt and NAME.key."""
        namespace, _, service_account = account.partition("/")
        identity = f"spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}"
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self._sign_leaf(identity, key.public_key())
        files = CertificateFiles(identity, self.folder / f"{name}.crt", self.folder / f"{name}.key", self.roots)
        files.chain.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        files.key.touch(mode=0o600)
        files.key.write_bytes(_pem(key))
        return files

    def issue_server(
        self, name: str, *hosts: str, common_name: str = "", lasts: datetime.timedelta = A_DAY
    ) -> CertificateFiles:
        """A leaf for a server that is dialled by these names or addresses; `identity` is the first."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
        names = x509.SubjectAlternativeName([_host_name(host) for host in hosts or ("nobody.invalid",)])
        builder = self._builder(x509.Name(subject), key.public_key(), lasts)
        leaf = self._sign(builder.add_extension(names, critical=False))
        first = next(iter(hosts), "")
        files = CertificateFiles(first, self.folder / f"{name}.crt", self.folder / f"{name}.key", self.roots)
        files.chain.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        files.key.touch(mode=0o600)
        files.key.write_bytes(_pem(key))
        return files

    def revoke(self, *leaves: CertificateFiles, until: datetime.timedelta = datetime.timedelta(days=1)) -> bytes:
        """A revocation list in PEM form that names these."""
        now = datetime.datetime.now(datetime.UTC)
        begin = min(now, now + until) - datetime.timedelta(minutes=5)
        builder = (
            x509.CertificateRevocationListBuilder().issuer_name(self._name).last_update(begin).next_update(now + until)
        )
        for files in leaves:
            serial = x509.load_pem_x509_certificate(files.chain.read_bytes()).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(begin).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _builder(
        self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey, lasts: datetime.timedelta = A_DAY
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, now + lasts) - datetime.timedelta(minutes=5))
            .not_valid_after(now + lasts)
        )

    def _sign_root(self) -> x509.Certificate:
        return (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _sign_leaf(self, identity: str, public_key: ec.EllipticCurvePublicKey) -> x509.Certificate:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)])
        return self._sign(self._builder(x509.Name([]), public_key).add_extension(names, critical=True))

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True, key_encipherment=True), critical=True)
            .add_extension(both, critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )


@dataclass(frozen=True, slots=True)
class MeshCertificates:
    """The identities a conversation between two proxies needs, and two that must be refused."""

    server: CertificateFiles
    client: CertificateFiles
    alien: CertificateFiles
    """Signed by the same root, but of another trust domain."""
    stranger: CertificateFiles
    """The right trust domain, signed by a root nobody knows."""


def make_mesh_certificates(folder: Path) -> MeshCertificates:
    root = TestRoot(folder / "mesh")
    return MeshCertificates(
        server=root.issue("server", "default/server"),
        client=root.issue("client", "default/client"),
        alien=root.issue("alien", "default/client", trust_domain="other.example"),
        stranger=TestRoot(folder / "elsewhere").issue("stranger", "default/client"),
    )


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_encipherment=key_encipherment,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
