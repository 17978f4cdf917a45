"""Certificates of a running control plane's authority, for peers in a test that are not joined to it."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from hbone_py.identity import SpiffeId
from istiod_py.authority import FolderAuthority
from tests.support.certificates import TRUST_DOMAIN, CertificateFiles, TestRoot

if TYPE_CHECKING:
    from pathlib import Path


class IstiodRoot(TestRoot):
    """A root that issues as the authority in `ca` does."""

    def __init__(self, folder: Path, ca: Path) -> None:
        super().__init__(folder)
        self._authority = FolderAuthority(ca, lambda: datetime.datetime.now(datetime.UTC))
        self.roots.write_bytes(self._authority.roots_pem)

    def issue(self, name: str, account: str, trust_domain: str = TRUST_DOMAIN) -> CertificateFiles:
        """As `TestRoot.issue`."""
        namespace, _, service_account = account.partition("/")
        identity = SpiffeId.of(trust_domain, namespace, service_account)
        leaf = self._authority.issue(identity, datetime.timedelta(hours=1))
        files = CertificateFiles(str(identity), self.folder / f"{name}.crt", self.folder / f"{name}.key", self.roots)
        files.chain.write_bytes(leaf.chain_pem)
        files.key.touch(mode=0o600)
        files.key.write_bytes(leaf.key_pem or b"")
        return files
