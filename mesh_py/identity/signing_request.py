"""A fresh key and what asks an authority to sign it (hbone-controlplane 3.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from mesh_py.identity.signing import key_to_pem

if TYPE_CHECKING:
    from hbone_py.identity import SpiffeId


@dataclass(frozen=True, slots=True)
class KeyAndRequest:
    """A key that stays here, and the PKCS#10 text that goes out."""

    key_pem: bytes = field(repr=False)
    """PKCS#8, not encrypted."""
    request_pem: str


def new_request(identity: SpiffeId) -> KeyAndRequest:
    """A new P-256 key, and a request with an empty subject and the identity as its one, critical, URI SAN."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(identity))])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=True)
    request = builder.sign(key, hashes.SHA256())
    return KeyAndRequest(key_to_pem(key), request.public_bytes(Encoding.PEM).decode("ascii"))
