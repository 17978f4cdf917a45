"""Whom to believe, as XDS_ROOT_CA and CA_ROOT_CA say it: a file, the system's store, or certificates themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509

from mesh_py.process.file_stamp import stamp_of
from mesh_py.rpc.errors import RootsError

if TYPE_CHECKING:
    from collections.abc import Hashable

SYSTEM: Final = "SYSTEM"
DEFAULT: Final = "./var/run/secrets/istio/root-cert.pem"
_PEM_MARK = "-----BEGIN"


@dataclass(frozen=True, slots=True)
class Roots:
    """Trust anchors by their setting. A file is read at each use, so that a rotated root is found."""

    setting: str = DEFAULT
    """A path, `SYSTEM`, or PEM text."""
    variable: str = "XDS_ROOT_CA"
    """What errors call it."""

    @property
    def is_system(self) -> bool:
        """Whether the operating system's store is meant."""
        return self.setting == SYSTEM

    def read(self) -> list[x509.Certificate]:
        """The certificates; for `SYSTEM` none, the TLS library finds those.

        The real ztunnel takes the path of a missing file for PEM text and goes on with no roots; here it is told.

        Raises:
            RootsError: the file cannot be read, or there is no certificate in it.
        """
        if self.is_system:
            return []
        try:
            pem = self.setting.encode() if _PEM_MARK in self.setting else Path(self.setting).read_bytes()
        except OSError as error:
            raise RootsError(self._missing(error)) from error
        try:
            return x509.load_pem_x509_certificates(pem)
        except (ValueError, x509.InvalidVersion) as error:
            what = "the text" if _PEM_MARK in self.setting else self.setting
            raise RootsError(f"{self.variable}: {what} holds no PEM certificate ({error})") from error

    def stamp(self) -> Hashable:
        """A value that changes when `read` would give something else."""
        if self.is_system or _PEM_MARK in self.setting:
            return None
        return stamp_of(Path(self.setting))

    def _missing(self, error: OSError) -> str:
        advice = f"mount it there, or set {self.variable} to another path, to {SYSTEM}, or to the PEM text itself"
        return f"{self.variable}: {self.setting}: {error.strerror or error}: {advice}"
