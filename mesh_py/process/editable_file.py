"""A file that we write and its user may edit: what was edited is theirs, and stays.

Beside it lies, as `NAME.original`, what we wrote: it tells an edit from a file of ours, and brings ours back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_unless_edited(path: Path, text: str) -> bool:
    """Write it, unless somebody has changed what we wrote before; whether they have. Raises OSError."""
    original = path.with_name(f"{path.name}.original")
    is_edited = path.exists() and _text(path) not in (_text(original) or text, text)
    if not is_edited:
        path.write_text(text, encoding="utf-8")
    original.write_text(text, encoding="utf-8")
    return is_edited


def invitation(path: Path, promise: str, *, is_edited: bool) -> str:
    """What a banner says of it: that it may be edited, or that it was."""
    if is_edited:
        return f"{path}: as you edited it ({path.name}.original is ours); {promise}"
    return f"{path}: edit it, {promise}"


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
