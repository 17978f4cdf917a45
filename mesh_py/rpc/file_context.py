"""A server's TLS from files that others renew: read again when they change, the last good ones stay in use.

await server.listen(sock, FileContext(chain, key, roots, TlsSettings()))
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hbone_py.errors import TlsConfigError
from hbone_py.tls import Credentials
from mesh_py.rpc.contexts import server_context

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    from hbone_py.tls import TlsContext, TlsSettings

log = logging.getLogger(__name__)


class FileContext:
    """Call it for each connection: `RpcServer.listen` does."""

    def __init__(self, chain: Path, key: Path, roots: Path, settings: TlsSettings) -> None:
        """`roots` vouch for clients that show a certificate.

        Raises:
            TlsConfigError: a file is missing, unreadable or wrong.
        """
        self._files = (chain, key, roots)
        self._settings = settings
        self._stamp = self._look()
        self._context = self._read()

    def __call__(self) -> TlsContext:
        """The present one. Files that cannot be used are told once and change nothing."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._context = self._read()
            except TlsConfigError as error:
                log.warning("our server keeps its certificate, the new one cannot be used: %s", error)
            else:
                log.info("our server's certificate is renewed")
        return self._context

    def _read(self) -> TlsContext:
        return server_context(Credentials.from_files(*self._files), self._settings)

    def _look(self) -> Hashable:
        return tuple(_stamp(path) for path in self._files)


def _stamp(path: Path) -> Hashable:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ino, found.st_dev, found.st_size)
