"""A certificate authority kept in a folder, shared by every process that opens the same one.

FAKE_CA, the embedded worlds, the lab and ``certs/make_certs.py`` sign with it. It is made once, at the first
opening; processes that open it at the same moment get the same authority. The files have Istio's own names:

    root-cert.pem, root-key.pem       the root
    ca-cert.pem, ca-key.pem           an intermediate, if one was asked for; it then signs instead of the root
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mesh_py.identity import signing
from mesh_py.identity.key_files import PRIVATE, is_private, locked, write_file
from mesh_py.identity.signing import CA_LIFETIME, LEAF_LIFETIME, CaError, CertificateAuthority, Leaf

if TYPE_CHECKING:
    import datetime
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from hbone_py.identity import SpiffeId

ROOT = "root"
INTERMEDIATE = "ca"


def user_folder(environ: Mapping[str, str]) -> Path:
    """Where the one authority of a user lives: ``$XDG_STATE_HOME/hbone-mesh/ca``."""
    state = environ.get("XDG_STATE_HOME", "")
    # The XDG base directory specification: a path that is not absolute is to be ignored.
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return base / "hbone-mesh" / "ca"


class LocalCa:
    """Signs workload certificates with one authority."""

    def __init__(self, authority: CertificateAuthority) -> None:
        self.authority = authority

    @classmethod
    def throw_away(cls, now: datetime.datetime) -> LocalCa:
        """An authority that lives as long as this object: nothing is written."""
        return cls(signing.new_root(*signing.validity(now, CA_LIFETIME)))

    @classmethod
    def open(cls, folder: Path, now: datetime.datetime, *, intermediate: bool = False) -> LocalCa:
        """The folder's authority; what is missing is made.

        :param intermediate: want an intermediate between root and leaves. One that is there is always used.
        :raises CaError: half of it is there, it cannot be read, its key is open to others, or it has expired.
        :raises OSError: the folder cannot be made or written.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(folder):
            root = _load(folder, ROOT, ()) or _keep(folder, ROOT, signing.new_root(*signing.validity(now, CA_LIFETIME)))
            _must_hold(folder, root, now)
            issuer = _load(folder, INTERMEDIATE, root.path)
            if issuer is None and intermediate:
                made = signing.new_intermediate(root, *signing.validity(now, CA_LIFETIME))
                issuer = _keep(folder, INTERMEDIATE, made)
            if issuer is not None:
                _must_hold(folder, issuer, now)
        return cls(issuer or root)

    @property
    def roots_pem(self) -> bytes:
        """What whoever meets our leaves must trust."""
        return signing.to_pem(self.authority.root)

    def issue(
        self,
        spiffe_id: SpiffeId,
        now: datetime.datetime,
        lifetime: datetime.timedelta = LEAF_LIFETIME,
        public_key: CertificatePublicKeyTypes | None = None,
    ) -> Leaf:
        """A certificate from now on, never beyond the authority's own end.

        :param public_key: the asker's key; without one a fresh P-256 pair is made.
        :raises CaError: the authority has expired.
        """
        return signing.issue(self.authority, spiffe_id, *signing.validity(now, lifetime), public_key=public_key)


def _load(folder: Path, name: str, above: tuple[x509.Certificate, ...]) -> CertificateAuthority | None:
    """The authority of that name, or None when neither of its files is there."""
    cert_file, key_file = _files(folder, name)
    present = [file for file in (cert_file, key_file) if file.exists()]
    if not present:
        return None
    if len(present) == 1:
        missing = key_file if present == [cert_file] else cert_file
        raise CaError(f"{present[0]} is there, {missing.name} is not: bring it back, or remove the folder")
    if not is_private(key_file):
        raise CaError(f"{key_file} is open to others; if it has stayed secret: chmod 600 {key_file}")
    return _read(cert_file, key_file, above)


def _read(cert_file: Path, key_file: Path, above: tuple[x509.Certificate, ...]) -> CertificateAuthority:
    try:
        certificate = x509.load_pem_x509_certificate(cert_file.read_bytes())
        key = load_pem_private_key(key_file.read_bytes(), password=None)
        if above:
            certificate.verify_directly_issued_by(above[0])
    except Exception as error:  # the library raises many kinds, and all mean: not usable
        raise CaError(f"{cert_file} or {key_file.name} cannot be used: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise CaError(f"{key_file} is not the key of {cert_file.name}")
    return CertificateAuthority(certificate, key, above)


def _keep(folder: Path, name: str, authority: CertificateAuthority) -> CertificateAuthority:
    cert_file, key_file = _files(folder, name)
    write_file(key_file, authority.key_pem, PRIVATE)
    write_file(cert_file, signing.to_pem(authority.certificate))
    return authority


def _files(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}-cert.pem", folder / f"{name}-key.pem"


def _must_hold(folder: Path, authority: CertificateAuthority, now: datetime.datetime) -> None:
    end = authority.certificate.not_valid_after_utc
    if now >= end:
        raise CaError(f"the authority in {folder} expired on {end:%Y-%m-%d}: remove the folder for a new one")
