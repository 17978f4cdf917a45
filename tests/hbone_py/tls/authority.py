"""Certificates of every shape a peer may show, good and bad; made with plain `cryptography`."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hbone_py.tls.credentials import Credentials

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
CLIENT = "spiffe://cluster.local/ns/default/sa/client"
SERVER = "spiffe://cluster.local/ns/default/sa/server"
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def to_pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def key_pem(key: Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def new_key(kind: str = "ec") -> Key:
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Authority:
    """Who signs; `above` are the certificates between it and its root, itself first unless it is the root."""

    certificate: x509.Certificate
    key: Key
    roots: tuple[x509.Certificate, ...]
    above: tuple[x509.Certificate, ...] = ()

    @classmethod
    def root(cls, name: str = "root") -> Authority:
        key = new_key()
        names = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)])
        certificate = _ca_builder(names, names, key).sign(key, hashes.SHA256())
        return cls(certificate, key, (certificate,))

    def intermediate(self, name: str = "intermediate") -> Authority:
        key = new_key()
        names = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name)])
        certificate = _ca_builder(names, self.certificate.subject, key).sign(self.key, hashes.SHA256())
        return Authority(certificate, key, self.roots, (certificate, *self.above))

    def issue(
        self,
        *uris: str,
        begins: datetime.datetime = NOW - DAY,
        ends: datetime.datetime = NOW + DAY,
        usages: tuple[x509.ObjectIdentifier, ...] | None = (CLIENT_AUTH, SERVER_AUTH),
        other_names: tuple[x509.GeneralName, ...] = (),
        garbled_names: x509.UnrecognizedExtension | None = None,
        key: Key | None = None,
        roots: tuple[x509.Certificate, ...] | None = None,
    ) -> Credentials:
        """Credentials with one URI SAN per uri; `usages` None leaves the EKU extension out."""
        key = key or new_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        names = [*other_names, *(x509.UniformResourceIdentifier(uri) for uri in uris)]
        if garbled_names is not None:
            builder = builder.add_extension(garbled_names, critical=False)
        elif names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
        if usages is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        leaf = builder.sign(self.key, hashes.SHA256())
        trusted = self.roots if roots is None else roots
        return Credentials(to_pem(leaf, *self.above), key_pem(key), to_pem(*trusted))

    def revoke(self, *serials: int, expires: datetime.datetime = NOW + DAY) -> bytes:
        """A revocation list, PEM."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(NOW - 2 * DAY).next_update(expires)
        for serial in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - DAY).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _ca_builder(name: x509.Name, issuer: x509.Name, key: Key) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 10 * DAY)
        .not_valid_after(NOW + 10 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
