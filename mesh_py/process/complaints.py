"""How the process says what is wrong: one line each, on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mesh_py.process.reason import reason_of
from mesh_py.settings.source import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


def complain(text: str) -> int:
    """Say what is wrong, each line on its own; the status of a wrong usage or configuration."""
    for line in text.splitlines():
        click.echo(f"error: {line}", err=True)
    return 2


def read_text(path: Path) -> str:
    """A file's text. Raises SettingsError, naming the file and why it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: {reason_of(error)}: check the path and its rights") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 text at byte {error.start}: save it as UTF-8") from None
