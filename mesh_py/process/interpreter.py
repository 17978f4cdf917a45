"""A command under an interpreter that may lack its libraries; imports nothing of what commands need."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERRUPTED = 130


@contextmanager
def starting(package: str) -> Iterator[None]:
    """Import and run `python -m package` within: Ctrl-C ends it without a traceback, a missing library in one line.

    What a command needs it loads when it is called for, so a library may be missed after the command line is there.

    Raises:
        SystemExit: 130 after Ctrl-C; 2 where the interpreter lacks a library.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except ModuleNotFoundError as missing:
        name = missing.name or ""
        if not name or name.partition(".")[0].endswith("_py"):
            raise  # ours: a bug
        sys.stderr.write(
            f"error: {sys.executable} has no {name}: say .venv/bin/python -m {package} (make run makes .venv)\n"
        )
        raise SystemExit(2) from None
