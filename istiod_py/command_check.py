"""`check`: a folder of manifests, judged like source code. It starts nothing and changes nothing."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from istiod_py import settings_table as table
from istiod_py.check.folder_check import CheckOptions, check_folder
from istiod_py.check.report_forms import FORMS
from istiod_py.config import address_ranges, ambient_options
from istiod_py.folder import FolderError
from mesh_py.settings.source import SettingsError, Values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mesh_py.settings.source import Given


def print_report(layers: Sequence[Mapping[str, Given]], folder: Path | None, form: str) -> int:
    """Check a folder and print what was found; the exit status, 1 if there are errors.

    Raises:
        SettingsError: no folder is named, or it cannot be looked at.
    """
    values = Values(layers)
    folder = folder or values[table.CONFIG_DIR]
    if folder is None:
        raise SettingsError("no folder: say which one to check, as in: check mesh/")
    try:
        report = check_folder(folder, CheckOptions(ambient_options(values), address_ranges(values)))
    except FolderError as error:
        raise SettingsError(str(error)) from None
    click.echo(FORMS[form](report, coloured=_is_coloured()), nl=False, color=_is_coloured() or None)
    return 1 if report.has_errors else 0


def _is_coloured() -> bool:
    """On a terminal only, and not where NO_COLOR is set (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
