"""What a caller wants signed: its key, proven to be its own, and for how long (hbone-controlplane 3.1) [pure]."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from mesh_py.settings.kinds import write_duration

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

LONGEST_REQUEST = 16 * 1024
"""Characters of PEM. The largest RSA key anybody uses needs less."""

SMALLEST_RSA, LARGEST_RSA = 2048, 8192


class SigningRequestError(ValueError):
    """The request cannot be granted to anybody; the text is for the caller."""


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """A key whose owner has proven to have its private half. The names in a request count for nothing."""

    public_key: CertificatePublicKeyTypes
    wants_common_name: bool


def read_signing_request(pem: str) -> SigningRequest:
    """A PKCS#10 request. Raises SigningRequestError."""
    if len(pem) > LONGEST_REQUEST:
        raise SigningRequestError(f"a CSR of {len(pem)} characters: at most {LONGEST_REQUEST} are read")
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        public_key = request.public_key()
        is_proven = request.is_signature_valid
        subject = request.subject
    except Exception as error:  # the library raises many kinds, and all mean: not usable
        raise SigningRequestError(f"the CSR cannot be read: {error}") from error
    if not is_proven:
        raise SigningRequestError("the CSR is not signed by the key it asks a certificate for")
    if (problem := _problem(public_key)) is not None:
        raise SigningRequestError(problem)
    return SigningRequest(public_key, bool(subject.get_attributes_for_oid(NameOID.COMMON_NAME)))


def granted_lifetime(seconds: int, default: datetime.timedelta, longest: datetime.timedelta) -> datetime.timedelta:
    """How long the certificate will hold. Raises SigningRequestError for more than anybody gets."""
    if seconds <= 0:
        return default
    if seconds > longest.total_seconds():
        asked, allowed = write_duration(seconds), write_duration(longest.total_seconds())
        raise SigningRequestError(f"requested TTL {asked} is greater than the max allowed TTL {allowed}")
    return datetime.timedelta(seconds=seconds)


def _problem(public_key: object) -> str | None:
    match public_key:
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1() | ec.SECP384R1() | ec.SECP521R1()):
            return None
        case ed25519.Ed25519PublicKey():
            return None
        case rsa.RSAPublicKey(key_size=size) if SMALLEST_RSA <= size <= LARGEST_RSA:
            return None
        case rsa.RSAPublicKey(key_size=size):
            return f"an RSA key of {size} bits: from {SMALLEST_RSA} to {LARGEST_RSA} are signed, better EC P-256"
        case _:
            return f"a key of kind {type(public_key).__name__.strip('_')} is not signed: use EC P-256"
