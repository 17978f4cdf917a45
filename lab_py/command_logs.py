"""`logs`: what a lab's processes have written, each line under its name."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, TextIO

from lab_py import state
from lab_py.errors import Unusable
from mesh_py.process.console import Console

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LOOK_SECONDS = 0.1


def show(name: str, processes: Sequence[str], *, follow: bool) -> int:
    """Write it; with `follow`, until Ctrl-C or the lab's end. Raises Unusable: no such lab or process."""
    folder, record = state.find(name)
    files = {file.stem: file for file in sorted((folder / "logs").glob("*.log"))}
    for process in processes:
        if process not in files:
            raise Unusable(f"{name} has no process {process!r}: it has {', '.join(files)}")
    console = Console()
    with ExitStack() as stack:
        opened = {
            process: stack.enter_context(file.open(encoding="utf-8", errors="replace"))
            for process, file in files.items()
            if not processes or process in processes
        }
        _hand_on(console, opened)
        while follow and record.is_up:
            time.sleep(_LOOK_SECONDS)
            _hand_on(console, opened)
    return 0


def _hand_on(console: Console, files: Mapping[str, TextIO]) -> None:
    for process, file in files.items():
        for line in file:
            if text := line.rstrip("\n"):
                console.heard(process, text)
