"""`check`: a folder of manifests, judged like source code. It starts nothing and changes nothing."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from istiod_py import settings_table as table
from istiod_py.check.folder_check import CheckOptions, check_file, check_folder, check_texts
from istiod_py.check.report_forms import FORMS
from istiod_py.config import address_ranges, ambient_options
from istiod_py.folder import FolderError
from mesh_py.settings.source import SettingsError, Values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from istiod_py.check.folder_check import Report
    from mesh_py.settings.source import Given


STANDARD_INPUT = "-"


def print_report(
    layers: Sequence[Mapping[str, Given]], path: Path | None, form: str, *, is_strict: bool = False
) -> int:
    """Check a folder, a file or what is piped in, and print what was found; the exit status, 1 if there are errors.

    Args:
        path: what to check; None: the configured folder; `-`: standard input.
        form: a key of `FORMS`.
        is_strict: whether warnings count as errors.

    Raises:
        SettingsError: no folder is named, or it cannot be looked at.
    """
    values = Values(layers)
    path = path or values[table.CONFIG_DIR]
    if path is None:
        raise SettingsError("no folder: say which one to check, as in: check mesh/")
    try:
        report = _report(path, CheckOptions(ambient_options(values), address_ranges(values)))
    except FolderError as error:
        raise SettingsError(str(error)) from None
    click.echo(FORMS[form](report, coloured=_is_coloured()), nl=False, color=_is_coloured() or None)
    return 1 if report.has_errors or (is_strict and report.findings) else 0


def _report(path: Path, options: CheckOptions) -> Report:
    if str(path) == STANDARD_INPUT:
        text = sys.stdin.buffer.read(options.limits.bytes_of_a_file).decode("utf-8-sig", "replace")
        return check_texts({"stdin": text}, options)
    return check_file(path, options) if path.is_file() else check_folder(path, options)


def _is_coloured() -> bool:
    """On a terminal only, and not where NO_COLOR is set (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
