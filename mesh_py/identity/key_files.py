"""Writing keys and certificates to disk, so that nobody else reads them and nobody reads half of one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644


def write_file(path: Path, content: bytes, mode: int = PUBLIC, *, replace: bool = False) -> None:
    """Put a whole file at ``path`` in one step: it appears complete, with its mode, or not at all.

    :param mode: the permissions from the first moment on; the umask may take more away, never add.
    :raises FileExistsError: there is one already and ``replace`` is false.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write_draft(draft, content, mode)
        if replace:
            os.replace(draft, path)
        else:
            os.link(draft, path)  # unlike a rename, refuses when the name is taken
    finally:
        draft.unlink(missing_ok=True)


def _write_draft(draft: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def is_private(path: Path) -> bool:
    """Whether only the owner may read or write the file."""
    return path.stat().st_mode & 0o077 == 0


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes that ask the same way; waits for its turn."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
