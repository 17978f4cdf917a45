"""What a person hears who starts a command with an interpreter that lacks what we need; imports nothing itself."""

from __future__ import annotations

import sys


def lacking(missing: ModuleNotFoundError, package: str) -> SystemExit:
    """The end of the command `python -m package`, with one line instead of a traceback.

    Raises:
        ModuleNotFoundError: what is missing is ours.
    """
    name = missing.name or ""
    if not name or name.partition(".")[0].endswith("_py"):
        raise missing
    sys.stderr.write(
        f"error: {sys.executable} has no {name}: say .venv/bin/python -m {package} (make run makes .venv)\n"
    )
    return SystemExit(2)
