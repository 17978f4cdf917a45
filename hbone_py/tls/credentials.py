"""What a workload shows and whom it believes: its certificate chain, its key, its roots."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hbone_py.errors import TlsConfigError
from hbone_py.tls.verify import peer_identities

if TYPE_CHECKING:
    import datetime

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

    from hbone_py.identity import SpiffeId


@dataclass(frozen=True)
class Credentials:
    """One identity's certificate, key and roots, checked to belong together.

    Raises:
        TlsConfigError: a part is not readable PEM, is empty, or the key is not the certificate's. Dates are
            not judged here: whether a certificate may be used *now* is for whoever has a clock.
    """

    cert_chain_pem: bytes
    """The leaf first, then intermediates; no root."""
    key_pem: bytes = field(repr=False)
    """The leaf's private key, unencrypted PEM."""
    roots_pem: bytes = field(repr=False)
    """Every certificate in here is trusted to sign peers, and nothing else is."""

    def __post_init__(self) -> None:
        # Reading is the check; what was read is kept.
        _check_key(self.key, self.chain)
        _ = self.roots

    @classmethod
    def from_files(cls, cert_chain: str | Path, key: str | Path, roots: str | Path) -> Credentials:
        """Read the three PEM files.

        Raises:
            TlsConfigError: names the file that is missing, unreadable or wrong, and what is wrong.
        """
        files = {"certificate chain": cert_chain, "key": key, "roots": roots}
        contents = [_read(Path(path)) for path in files.values()]
        try:
            return cls(*contents)
        except TlsConfigError as error:
            what, _, reason = str(error).partition(": ")
            raise TlsConfigError(f"{files[what]}: {reason}" if what in files else str(error)) from error

    @cached_property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """The leaf and its intermediates."""
        return _parse_certificates(self.cert_chain_pem, "certificate chain")

    @cached_property
    def roots(self) -> tuple[x509.Certificate, ...]:
        """The trust anchors."""
        return _parse_certificates(self.roots_pem, "roots")

    @cached_property
    def key(self) -> PrivateKeyTypes:
        """The private key."""
        try:
            return serialization.load_pem_private_key(self.key_pem, password=None)
        except (ValueError, TypeError, NotImplementedError, UnsupportedAlgorithm) as error:
            raise TlsConfigError(f"key: not a PEM private key without password ({error})") from error

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate that carries our identity."""
        return self.chain[0]

    @cached_property
    def identity(self) -> SpiffeId | None:
        """The first SPIFFE identity of the leaf; None if it has none."""
        return next(iter(peer_identities(self.leaf)), None)

    @property
    def not_before(self) -> datetime.datetime:
        """Start of the leaf's validity, UTC."""
        return self.leaf.not_valid_before_utc

    @property
    def not_after(self) -> datetime.datetime:
        """End of the leaf's validity, UTC."""
        return self.leaf.not_valid_after_utc

    @property
    def usable_until(self) -> datetime.datetime:
        """When the first certificate of the chain ends, UTC: peers refuse us from then on."""
        return min(one.not_valid_after_utc for one in self.chain)

    @property
    def serial(self) -> int:
        """The leaf's serial number."""
        return self.leaf.serial_number


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsConfigError(f"{path}: {error.strerror or error}") from error


def _parse_certificates(pem: bytes, what: str) -> tuple[x509.Certificate, ...]:
    if b"-----BEGIN" not in pem:
        raise TlsConfigError(f"{what}: no PEM certificate in it")
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except (ValueError, x509.InvalidVersion) as error:
        raise TlsConfigError(f"{what}: not a PEM certificate ({error})") from error


def _check_key(key: PrivateKeyTypes, chain: tuple[x509.Certificate, ...]) -> None:
    ours = _public_bytes(key.public_key())
    try:
        theirs = [_public_bytes(one.public_key()) for one in chain]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TlsConfigError(f"certificate chain: a public key that cannot be read ({error})") from error
    if ours == theirs[0]:
        return
    if ours in theirs[1:]:
        raise TlsConfigError("certificate chain: the leaf, whose key we have, must come first")
    raise TlsConfigError("key: does not belong to the certificate")


def _public_bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
