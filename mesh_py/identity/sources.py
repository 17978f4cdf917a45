"""Where workload certificates come from: files, a folder per identity, or an authority of our own.

One source serves a whole process. It is asked by `store.py`, which keeps what it gave and asks again in time.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from hbone_py.errors import TlsConfigError
from hbone_py.tls.credentials import Credentials
from mesh_py.identity.layout import CERT_CHAIN, KEY, ROOT_CERT, identity_folder
from mesh_py.identity.signing import LEAF_LIFETIME, CaError
from mesh_py.process.file_stamp import stamp_of

if TYPE_CHECKING:
    from pathlib import Path

    from hbone_py.identity import SpiffeId
    from mesh_py.identity.ca_client import CaSettings
    from mesh_py.identity.local_ca import LocalCa

log = logging.getLogger(__name__)

Clock = Callable[[], datetime.datetime]
"""The time, aware. Passed in so that a test can turn it."""


class CertificateSource(Protocol):
    """Gives the certificate of an identity."""

    @property
    def renews(self) -> bool:
        """Whether a second `load` gives a fresher certificate; else only a new stamp promises one."""

    def load(self, identity: SpiffeId) -> Credentials:
        """The certificate as it is now.

        Raises:
            TlsConfigError: there is none that can be used; the text says why.
        """

    def stamp(self, identity: SpiffeId) -> Hashable:
        """A value that changes when `load` would give something else."""


class RemoteSource(Protocol):
    """Has the certificate of an identity signed elsewhere, which takes its time."""

    async def fetch(self, identity: SpiffeId) -> Credentials:
        """A fresh certificate.

        Raises:
            HboneError: there is none to be had; the text says why. Its `is_outage`, where it is true, says that the
                authority could not be reached, so that others who failed may try again once one has succeeded.
        """

    def close(self) -> None:
        """Nobody will ask any more."""


@dataclass(frozen=True, slots=True)
class FileTriple:
    """One certificate for whoever asks: dedicated mode, where there is one workload (`WORKLOAD_CERT_CHAIN`, ...).

    That its name is the workload's is not demanded, as in ztunnel (hbone-controlplane 3.1).
    """

    cert_chain: Path
    key: Path
    root_cert: Path
    renews: ClassVar[bool] = False

    def load(self, identity: SpiffeId) -> Credentials:
        """See `CertificateSource.load`."""
        return Credentials.from_files(self.cert_chain, self.key, self.root_cert)

    def stamp(self, identity: SpiffeId) -> Hashable:
        """See `CertificateSource.stamp`."""
        return tuple(stamp_of(path) for path in (self.cert_chain, self.key, self.root_cert))


@dataclass(frozen=True, slots=True)
class CertificateFolder:
    """A folder per identity, `<namespace>/<service account>/` below `base` (`WORKLOAD_CERT_DIR`)."""

    base: Path
    renews: ClassVar[bool] = False

    def load(self, identity: SpiffeId) -> Credentials:
        """See `CertificateSource.load`. The certificate must name the identity it is asked for."""
        credentials = self._files(identity).load(identity)
        if credentials.identity != identity:
            folder = identity_folder(self.base, identity)
            raise TlsConfigError(f"{folder / CERT_CHAIN}: names {credentials.identity or 'nobody'}, not {identity}")
        return credentials

    def stamp(self, identity: SpiffeId) -> Hashable:
        """See `CertificateSource.stamp`."""
        return self._files(identity).stamp(identity)

    def _files(self, identity: SpiffeId) -> FileTriple:
        folder = identity_folder(self.base, identity)
        return FileTriple(folder / CERT_CHAIN, folder / KEY, folder / ROOT_CERT)


@dataclass(frozen=True, slots=True)
class OwnAuthority:
    """Signs for any identity itself, in memory (`FAKE_CA`, the embedded default)."""

    authority: LocalCa
    clock: Clock
    lifetime: datetime.timedelta = LEAF_LIFETIME
    renews: ClassVar[bool] = True

    def load(self, identity: SpiffeId) -> Credentials:
        """See `CertificateSource.load`."""
        try:
            leaf = self.authority.issue(identity, self.clock(), self.lifetime)
        except CaError as error:
            raise TlsConfigError(str(error)) from error
        assert leaf.key_pem is not None, "the authority made the key"
        return Credentials(leaf.chain_pem, leaf.key_pem, leaf.roots_pem)

    def stamp(self, identity: SpiffeId) -> Hashable:
        """See `CertificateSource.stamp`: only time makes a difference here."""
        return None


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """What the environment says of certificates; a field per variable, in the order they count."""

    ca: CaSettings | None = None
    """An authority elsewhere (`CA_ADDRESS`, ...)."""
    cert_chain: Path | None = None
    key: Path | None = None
    root_cert: Path | None = None
    cert_dir: Path | None = None
    fake_ca: bool = False
    is_dedicated: bool = False
    """Whether the process serves one workload (`PROXY_MODE=dedicated`)."""
    lifetime: datetime.timedelta = LEAF_LIFETIME
    """Of certificates we sign ourselves (`SECRET_TTL`)."""


def choose_source(
    settings: CertificateSettings,
    clock: Clock,
    *,
    fake_ca: Callable[[], LocalCa],
    embedded_ca: LocalCa | None = None,
) -> CertificateSource:
    """The first that is set of those that are at hand: files, folder, fake CA, embedded default.

    :param fake_ca: opens the authority that `FAKE_CA` shares among processes; called only if it is the choice.
    :param embedded_ca: the throw-away authority of an embedded world, None elsewhere.
    :raises TlsConfigError: none is set, one is half set, or files that are read once for all cannot be used.
    """
    files = _files(settings)
    if files is not None:
        return files
    if settings.fake_ca:
        authority = _opened(fake_ca)
        log.warning("FAKE_CA signs for any identity, and its key lies on this machine: for trying out only")
        return OwnAuthority(authority, clock, settings.lifetime)
    if embedded_ca is not None:
        return OwnAuthority(embedded_ca, clock, settings.lifetime)
    raise TlsConfigError(
        "no certificates: set CA_ADDRESS, or WORKLOAD_CERT_CHAIN, WORKLOAD_KEY and WORKLOAD_ROOT_CERT "
        "(dedicated mode), or WORKLOAD_CERT_DIR, or, to try out, FAKE_CA=true"
    )


def _files(settings: CertificateSettings) -> FileTriple | CertificateFolder | None:
    triple = _triple(settings)
    if triple is not None:
        return triple
    if settings.cert_dir is None:
        return None
    if not settings.cert_dir.is_dir():
        raise TlsConfigError(f"WORKLOAD_CERT_DIR: {settings.cert_dir} is not a folder")
    return CertificateFolder(settings.cert_dir)


def _triple(settings: CertificateSettings) -> FileTriple | None:
    given = {
        "WORKLOAD_CERT_CHAIN": settings.cert_chain,
        "WORKLOAD_KEY": settings.key,
        "WORKLOAD_ROOT_CERT": settings.root_cert,
    }
    missing = [name for name, path in given.items() if path is None]
    if len(missing) == len(given):
        return None
    if missing:
        present = ", ".join(name for name in given if name not in missing)
        raise TlsConfigError(f"{present} without {', '.join(missing)}: set all three")
    if not settings.is_dedicated:
        raise TlsConfigError(
            "WORKLOAD_CERT_CHAIN is the certificate of one workload: set PROXY_MODE=dedicated, "
            "or for the workloads of a node WORKLOAD_CERT_DIR"
        )
    paths = [path for path in given.values() if path is not None]
    Credentials.from_files(*paths)  # what is wrong is told at the start
    return FileTriple(*paths)


def _opened(fake_ca: Callable[[], LocalCa]) -> LocalCa:
    try:
        return fake_ca()
    except CaError as error:
        raise TlsConfigError(f"FAKE_CA: {error}") from error
    except OSError as error:
        raise TlsConfigError(f"FAKE_CA: {error.filename}: {error.strerror}") from error
