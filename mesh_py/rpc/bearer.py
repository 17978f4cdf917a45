"""The bearer token that proves who calls: AUTH_TOKEN, a file that others renew, or the token itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mesh_py.rpc.errors import TokenError

DEFAULT_FILE: Final = "./var/run/secrets/tokens/istio-token"
"""Where Kubernetes projects it; taken only if it is there."""


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token by its setting. A file is read for each call: kubelet replaces it long before it expires."""

    literal: str = field(default="", repr=False)
    file: Path | None = None

    @classmethod
    def of(cls, setting: str) -> BearerToken:
        """A file if there is one of that name or the text looks like a path; else the token itself.

        That a path whose file is missing is no token keeps a wrong path from being sent as a secret.
        """
        if setting.startswith(("/", "./", "../")) or _exists(setting):
            return cls(file=Path(setting))
        return cls(literal=setting)

    @classmethod
    def default(cls) -> BearerToken | None:
        """The projected token, if this process has one."""
        return cls(file=Path(DEFAULT_FILE)) if Path(DEFAULT_FILE).exists() else None

    def read(self) -> str:
        """The token as it is now, without the white space around it.

        Raises:
            TokenError: the file cannot be read, or there is nothing in it that a header can carry.
        """
        where = "AUTH_TOKEN" if self.file is None else str(self.file)
        token = self._text(where).strip()
        if not token:
            raise TokenError(f"{where}: the token is empty: it is to hold one line, a JWT")
        if not all("!" <= character <= "~" for character in token):
            raise TokenError(f"{where}: the token holds what a header cannot carry: it is to be one line, a JWT")
        return token

    def _text(self, where: str) -> str:
        if self.file is None:
            return self.literal
        try:
            return self.file.read_text(encoding="ascii")
        except UnicodeDecodeError as error:
            raise TokenError(f"{where}: the token is not ASCII: it is to hold one line, a JWT") from error
        except OSError as error:
            advice = "mount the token there, or set AUTH_TOKEN"
            raise TokenError(f"{where}: no token: {error.strerror or error}: {advice}") from error


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # a JWT may be longer than any file's name
        return False
