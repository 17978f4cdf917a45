"""Files that a run leaves for people: opened before anything is built, written once everything is known."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab_py.errors import LabError

if TYPE_CHECKING:
    from pathlib import Path


PRIVATE, PUBLIC = 0o600, 0o644
"""Modes: of what holds keys, and of what does not."""


class ResultFile:
    """One file. What was there stays until `write`; where there is nothing to write, an empty new one goes away."""

    def __init__(self, path: Path, mode: int) -> None:
        """Open it, before the lab hides /run from us.

        Args:
            mode: of the file, whatever it was before.

        Raises:
            LabError: it cannot be written.
        """
        self.path = path
        try:
            self._is_new = not path.exists()
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
            os.fchmod(self._descriptor, mode)
        except OSError as error:
            raise LabError(f"{path}: {error.strerror}: name a file that you may write") from None

    def write(self, data: bytes) -> None:
        """All of it, instead of what was there. Raises LabError."""
        try:
            os.ftruncate(self._descriptor, 0)
            with os.fdopen(os.dup(self._descriptor), "wb") as file:
                file.write(data)
        except OSError as error:
            raise LabError(f"{self.path}: {error.strerror}") from None
        self._is_new = False

    def close(self) -> None:
        """Done with it."""
        os.close(self._descriptor)
        if self._is_new:
            self.path.unlink(missing_ok=True)
