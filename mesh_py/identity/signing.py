"""A certificate authority in a few functions: roots, intermediates, and the leaves of workloads.

What is signed has the shape that a mesh CA gives its workloads (hbone-controlplane 3.1): an EC P-256 key,
an empty subject, and the SPIFFE identity as the one, critical, URI SAN. The functions keep nothing and read
no clock; `local_ca.py` keeps an authority in a folder.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from hbone_py.identity import SpiffeId

CA_LIFETIME = datetime.timedelta(days=3650)
LEAF_LIFETIME = datetime.timedelta(hours=24)
"""What a workload gets when it asks for nothing else, as from istiod."""

MAX_BACK_DATING = datetime.timedelta(minutes=2)


class CaError(Exception):
    """The authority cannot do what it was asked; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """Who signs: a certificate, its key, and the certificates above it, nearest first, the root last."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    above: tuple[x509.Certificate, ...] = ()

    @property
    def path(self) -> tuple[x509.Certificate, ...]:
        """The authority's own certificate and all above it."""
        return (self.certificate, *self.above)

    @property
    def root(self) -> x509.Certificate:
        """The certificate that others must trust."""
        return self.path[-1]

    @property
    def key_pem(self) -> bytes:
        """The private key, PKCS#8, not encrypted."""
        return key_to_pem(self.key)


@dataclass(frozen=True, slots=True)
class Leaf:
    """An issued certificate as a workload uses it, everything in PEM.

    ``chain_pem`` is the certificate and the intermediates above it, without the root; ``key_pem`` is PKCS#8,
    or None when the asker kept its key to itself; ``roots_pem`` is what to trust.
    """

    certificate: x509.Certificate
    chain_pem: bytes
    key_pem: bytes | None
    roots_pem: bytes


def validity(now: datetime.datetime, lifetime: datetime.timedelta) -> tuple[datetime.datetime, datetime.datetime]:
    """From when to when a certificate issued now shall hold.

    It begins up to two minutes ago, for clocks that run behind, but by no more than a tenth of a short
    lifetime: a certificate that is renewed at half its life must not be due on arrival.
    """
    return now - min(MAX_BACK_DATING, lifetime / 10), now + lifetime


def new_root(
    not_before: datetime.datetime, not_after: datetime.datetime, organization: str = "hbone-mesh"
) -> CertificateAuthority:
    """A self-signed authority with a fresh key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(organization, "root")
    builder = _ca_builder(name, key, not_before, not_after, path_length=None).issuer_name(name)
    return CertificateAuthority(builder.sign(key, hashes.SHA256()), key)


def new_intermediate(
    parent: CertificateAuthority,
    not_before: datetime.datetime,
    not_after: datetime.datetime,
    organization: str = "hbone-mesh",
) -> CertificateAuthority:
    """An authority below another, which may sign leaves and no further authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    not_before, not_after = _within(parent, not_before, not_after)
    builder = _ca_builder(_name(organization, "intermediate"), key, not_before, not_after, path_length=0)
    return CertificateAuthority(_signed(builder, parent), key, parent.path)


def issue(
    ca: CertificateAuthority,
    spiffe_id: SpiffeId,
    not_before: datetime.datetime,
    not_after: datetime.datetime,
    public_key: CertificatePublicKeyTypes | None = None,
    *,
    common_name: str = "",
) -> Leaf:
    """A workload's certificate, good as client and as server.

    :param not_before: moved to when the authority itself begins, if that is later; ``not_after`` likewise.
    :param public_key: the asker's key; without one a fresh P-256 pair is made.
    :param common_name: a subject for whoever insists on one; workloads have none.
    :raises CaError: no time is left in which both could hold.
    """
    names = [x509.UniformResourceIdentifier(str(spiffe_id))]
    return _issue(ca, names, not_before, not_after, public_key, common_name)


def issue_server(
    ca: CertificateAuthority,
    hosts: Iterable[str],
    not_before: datetime.datetime,
    not_after: datetime.datetime,
) -> Leaf:
    """A server's certificate for DNS names and IP addresses, as the control plane shows it; times as `issue`.

    :raises CaError: as `issue`, or a name is neither.
    """
    return _issue(ca, [_host_name(host) for host in hosts], not_before, not_after)


def to_pem(*certificates: x509.Certificate) -> bytes:
    """Certificates in the order given, as one PEM text."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def key_to_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PKCS#8, not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _issue(
    ca: CertificateAuthority,
    names: Sequence[x509.GeneralName],
    not_before: datetime.datetime,
    not_after: datetime.datetime,
    public_key: CertificatePublicKeyTypes | None = None,
    common_name: str = "",
) -> Leaf:
    own_key = None
    if public_key is None:
        own_key = ec.generate_private_key(ec.SECP256R1())
        public_key = own_key.public_key()
    not_before, not_after = _within(ca, not_before, not_after)
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = _builder(x509.Name(subject), public_key, not_before, not_after)
    for extension, critical in _leaf_extensions(names):
        builder = builder.add_extension(extension, critical)
    certificate = _signed(builder, ca)
    return Leaf(
        certificate,
        to_pem(certificate, *ca.path[:-1]),
        key_to_pem(own_key) if own_key else None,
        to_pem(ca.root),
    )


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as error:
        raise CaError(f"{host!r} is neither a DNS name nor an IP address") from error


def _within(
    ca: CertificateAuthority, not_before: datetime.datetime, not_after: datetime.datetime
) -> tuple[datetime.datetime, datetime.datetime]:
    """The part of the time in which every authority above holds too, in whole seconds."""
    begin = max(not_before, *(certificate.not_valid_before_utc for certificate in ca.path))
    end = min(not_after, *(certificate.not_valid_after_utc for certificate in ca.path))
    if begin >= end:
        raise CaError(f"the authority's certificates hold until {end:%Y-%m-%d %H:%M:%SZ} only")
    return begin.replace(microsecond=0), end.replace(microsecond=0)


def _name(organization: str, role: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{organization} {role}"),
        ]
    )


def _builder(
    subject: x509.Name,
    public_key: CertificatePublicKeyTypes,
    not_before: datetime.datetime,
    not_after: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )


def _ca_builder(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    not_before: datetime.datetime,
    not_after: datetime.datetime,
    path_length: int | None,
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        _builder(subject, key.public_key(), not_before, not_after)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(identifier, critical=False)
    )


def _leaf_extensions(names: Sequence[x509.GeneralName]) -> list[tuple[x509.ExtensionType, bool]]:
    """What makes it a leaf for both ends of TLS; True marks the critical ones."""
    return [
        # RFC 5280 4.2.1.6: with an empty subject the SAN must be critical.
        (x509.SubjectAlternativeName(names), True),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage("digital_signature", "key_encipherment"), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False),
    ]


def _signed(builder: x509.CertificateBuilder, ca: CertificateAuthority) -> x509.Certificate:
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    return (
        builder.issuer_name(ca.certificate.subject)
        .add_extension(authority, critical=False)
        .sign(ca.key, hashes.SHA256())
    )


def _usage(*granted: str) -> x509.KeyUsage:
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{usage: usage in granted for usage in every})
