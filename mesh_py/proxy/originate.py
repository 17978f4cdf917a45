"""TLS of the application's own kind, which a DestinationRule wants the proxy to begin: contexts by its settings.

Files are looked at for each new connection, and read again when they have changed; connections that are there go on.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from OpenSSL import SSL

from hbone_py.errors import TlsConfigError
from hbone_py.tls.context import TlsContext, bare_context, revoke_by, show_chain, trust
from hbone_py.tls.credentials import Credentials
from mesh_py.identity.key_files import is_private
from mesh_py.process.file_stamp import stamp_of

if TYPE_CHECKING:
    from collections.abc import Hashable

    from hbone_py.tls.context import TlsSettings
    from mesh_py.manifests.client_tls import ClientTls

_MOST = 256
"""Settings that are remembered; rules have few, and those that are gone are forgotten with all others."""

_WITHHELD = (
    "the DestinationRule has no workloadSelector, and is of no waypoint's own namespace: it may not name a Secret"
)


class _Known(NamedTuple):
    stamps: tuple[Hashable, ...]
    context: TlsContext


class OriginatedTls:
    """Contexts of one process."""

    def __init__(self, settings: TlsSettings, credentials_folder: Path | None = None) -> None:
        """`credentials_folder`: where Secrets are mounted, each in a folder of its name; None: nowhere."""
        self._credentials_folder = credentials_folder
        # Servers of every kind are spoken to: TLS 1.2 and 1.3, unless a promise rules it out.
        self._settings = replace(settings, tls12=not settings.post_quantum_only, alpn=(), crls_pem=())
        self._known: dict[ClientTls, _Known] = {}

    def context(self, tls: ClientTls) -> TlsContext:
        """To dial with. Raises TlsConfigError, which names the file that is missing or wrong."""
        if tls.is_withheld:
            raise TlsConfigError(f"credentialName {tls.credential_name}: {_WITHHELD}")
        if tls.credential_name:
            tls = tls.mounted(self._folder_of(tls.credential_name))
        stamps = tuple(stamp_of(Path(file)) for file in _files(tls))
        known = self._known.get(tls)
        if known is None or known.stamps != stamps:
            if len(self._known) >= _MOST:
                self._known.clear()
            known = self._known[tls] = _Known(stamps, self._make(tls))
        return known.context

    def _folder_of(self, credential: str) -> str:
        if self._credentials_folder is None:
            raise TlsConfigError(f"credentialName {credential}: CREDENTIALS_DIR does not say where Secrets are mounted")
        return str(self._credentials_folder)

    def _make(self, tls: ClientTls) -> TlsContext:
        context = bare_context(self._settings)
        if tls.insecure_skip_verify:
            context.set_verify(SSL.VERIFY_NONE)
        else:
            _believe(context, tls)
        if tls.client_certificate:
            _show(context, tls)
        return TlsContext(context, is_server=False)


def _believe(context: SSL.Context, tls: ClientTls) -> None:
    context.set_verify(SSL.VERIFY_PEER)
    if not tls.ca_certificates:
        context.set_default_verify_paths()
    else:
        trust(context, _certificates(tls.ca_certificates))
    if tls.crl:
        revoke_by(context, (_read(tls.crl),))


def _show(context: SSL.Context, tls: ClientTls) -> None:
    key = Path(tls.private_key)
    pem = _read(tls.private_key)
    if not is_private(key):
        raise TlsConfigError(f"{key}: others may read this key: chmod 600 it")
    chain = _read(tls.client_certificate)
    try:
        credentials = Credentials(chain, pem, chain)
    except TlsConfigError as error:
        raise TlsConfigError(f"{tls.client_certificate}, {tls.private_key}: {error}") from error
    show_chain(context, credentials.chain, credentials.key)


def _certificates(file: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(file))
    except (ValueError, x509.InvalidVersion) as error:
        raise TlsConfigError(f"{file}: no PEM certificate in it ({error})") from error


def _files(tls: ClientTls) -> tuple[str, ...]:
    named = (tls.ca_certificates, tls.client_certificate, tls.private_key, tls.crl)
    return tuple(file for file in named if file)


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise TlsConfigError(f"{file}: {error.strerror or error}") from error
