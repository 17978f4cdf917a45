"""TLS secrets for Wireshark, when somebody asked for them: anyone who has the file can read the traffic."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from hbone_py.errors import TlsConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from OpenSSL import SSL

log = logging.getLogger(__name__)


class KeyLog:
    """Appends NSS key log lines to a file that only we may read."""

    def __init__(self, path: Path) -> None:
        """Open `path`, mode 0600 before the first secret is in it, and warn.

        Raises:
            TlsConfigError: it cannot be opened or restricted.
        """
        try:
            # No buffer: a line is in the file before the first packet that needs it can be captured. It is open as long
            # as the process lives.
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.fchmod(self._fd, 0o600)
        except OSError as error:
            raise TlsConfigError(f"{path}: {error.strerror or error}") from error
        log.warning("TLS secrets are written to %s: whoever reads it can decrypt the traffic", path)

    def __call__(self, _connection: SSL.Connection, line: bytes) -> None:
        os.write(self._fd, line + b"\n")
