"""The certificate authority's folder while we serve from it: read again when it changes, with the last good one kept.

The folder is `LocalCa`'s. For a root that is to be replaced, `root-cert.pem` may hold several certificates: the first
is the one that signs, and all of them are given to workloads to trust. So a root changes without a moment in which
one half of the mesh does not believe the other:

1. append the new root to `root-cert.pem` and wait until every workload has renewed: all trust both;
2. put the new root first, with `root-key.pem` its key, and wait again: all have certificates of the new one;
3. remove the old one.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mesh_py.identity import signing
from mesh_py.identity.certificate_facts import certificates_of
from mesh_py.identity.local_ca import LocalCa
from mesh_py.identity.signing import CaError
from mesh_py.process.file_stamp import stamp_of

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from hbone_py.identity import SpiffeId
    from mesh_py.identity.signing import CertificateAuthority, Leaf

log = logging.getLogger("ca")

ROOT_FILE = "root-cert.pem"
_FILES = (ROOT_FILE, "root-key.pem", "ca-cert.pem", "ca-key.pem")


class FolderAuthority:
    """Signs with the authority of a folder."""

    def __init__(self, folder: Path, now: Callable[[], datetime.datetime], *, intermediate: bool = False) -> None:
        """Raises CaError, OSError: as `LocalCa.open`."""
        self._folder = folder
        self._now = now
        self._ca = LocalCa.open(folder, now(), intermediate=intermediate)
        self._roots = self._read_roots(self._ca)
        self._stamp = self._files()

    @property
    def signer(self) -> CertificateAuthority:
        """Who signs now."""
        return self._ca.authority

    @property
    def roots_pem(self) -> bytes:
        """All that workloads are to trust, the signing root first."""
        return signing.to_pem(*self._roots)

    @property
    def roots_file(self) -> Path:
        """Where the roots lie, for whoever is to be given them."""
        return self._folder / ROOT_FILE

    def issue(
        self,
        spiffe_id: SpiffeId,
        lifetime: datetime.timedelta,
        public_key: CertificatePublicKeyTypes | None = None,
        common_name: str = "",
    ) -> Leaf:
        """A workload's certificate from now on. Raises CaError."""
        times = signing.validity(self._now(), lifetime)
        return signing.issue(self.signer, spiffe_id, *times, public_key=public_key, common_name=common_name)

    def issue_server(self, hosts: Iterable[str], lifetime: datetime.timedelta) -> Leaf:
        """A certificate for our own TLS port. Raises CaError."""
        return signing.issue_server(self.signer, hosts, *signing.validity(self._now(), lifetime))

    def refresh(self) -> bool:
        """Read the folder again if it has changed; whether there is another authority, or other roots, now.

        What cannot be used is reported, and what was good stays.
        """
        stamp = self._files()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            fresh = LocalCa.open(self._folder, self._now())
            roots = self._read_roots(fresh)
        except (CaError, OSError, ValueError) as error:
            log.error("%s; the authority that was read before goes on signing", error)
            return False
        has_changed = roots != self._roots or fresh.authority.path != self.signer.path
        self._ca, self._roots = fresh, roots
        if has_changed:
            log.info("the authority in %s has changed: %d roots are handed out", self._folder, len(roots))
        return has_changed

    def _read_roots(self, ca: LocalCa) -> tuple[x509.Certificate, ...]:
        """Those of the file, without repetitions and without what has expired."""
        found = certificates_of(self.roots_file.read_bytes())
        now = self._now()
        held = [root for root in dict.fromkeys(found) if root.not_valid_after_utc > now]
        return tuple(dict.fromkeys([ca.authority.root, *held]))

    def _files(self) -> tuple[object, ...]:
        return tuple(stamp_of(self._folder / name) for name in _FILES)
