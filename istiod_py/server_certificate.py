"""The certificate of 15012: signed by our own authority, renewed at half its life, whole contexts at a time."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hbone_py.tls import Credentials
from mesh_py.identity.signing import CaError
from mesh_py.rpc.contexts import server_context

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable

    from hbone_py.tls import TlsContext, TlsSettings
    from istiod_py.authority import FolderAuthority

log = logging.getLogger("ca")


class ServerCertificate:
    """`context` is what a new connection is accepted with."""

    def __init__(
        self,
        authority: FolderAuthority,
        names: tuple[str, ...],
        lifetime: datetime.timedelta,
        tls: TlsSettings,
        now: Callable[[], datetime.datetime],
    ) -> None:
        """Raises CaError, TlsConfigError."""
        self._authority = authority
        self._names = names
        self._lifetime = lifetime
        self._tls = tls
        self._now = now
        self._renew_at, self._end = self._make()

    def context(self) -> TlsContext:
        """The present one."""
        return self._context

    def renew(self, *, at_once: bool = False) -> None:
        """Make a new one if it is time, or at once; a failure leaves the old one."""
        if not at_once and self._now() < self._renew_at:
            return
        try:
            self._renew_at, self._end = self._make()
        except CaError as error:
            self._renew_at = self._now() + (self._end - self._now()) / 2
            log.error("the certificate of our own port stays as it is: %s", error)

    def _make(self) -> tuple[datetime.datetime, datetime.datetime]:
        """When to make the next, and when this one ends."""
        leaf = self._authority.issue_server(self._names, self._lifetime)
        assert leaf.key_pem is not None, "a server's key is made with its certificate"
        credentials = Credentials(leaf.chain_pem, leaf.key_pem, self._authority.roots_pem)
        self._context = server_context(credentials, self._tls)
        end = leaf.certificate.not_valid_after_utc
        return self._now() + (end - self._now()) / 2, end
