"""Whether a file is still what it was, without reading it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path


def stamp_of(path: Path) -> Hashable:
    """A value that is another once the file is written, replaced, linked elsewhere, removed, or shown to others."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_dev, found.st_size, found.st_mode
