"""A run in a lab of its own: what it tells as a value, and one of each design at the same time.

A run tells by a file in its folder (`RESULT`), so that whoever started it can add what only they see: how long the lab
took to be gone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from lab_py.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lab_py.topology import Design

RESULT = "run.json"
_FINISHED = "finished"
"""When the run had told everything, by the monotonic clock."""


def leave_result(folder: Path, data: dict[str, Any]) -> None:
    """Tell, as the last thing inside. Raises OSError."""
    (folder / RESULT).write_text(json.dumps({**data, _FINISHED: time.monotonic()}))


def take_result(folder: Path) -> dict[str, Any] | None:
    """What the run that has just ended told, with the time it took to be gone; None: it did not come so far."""
    try:
        data: dict[str, Any] = json.loads((folder / RESULT).read_text())
    except FileNotFoundError:
        return None
    data["times"]["down"] = round(time.monotonic() - data.pop(_FINISHED), 3)
    return data


def in_design(scenario: str, design: Design, options: Sequence[str]) -> list[str]:
    """The arguments of a run in one design."""
    return [scenario, "--design", design.value, *options]


def start_run(arguments: Sequence[str]) -> subprocess.Popen[str]:
    """`run`, in a process and a lab of its own; `told` takes what it found."""
    command = [sys.executable, "-m", "lab_py", "run", *arguments, "-o", "json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a started run found, once it has ended. Raises LabError: it did not come up."""
    said, complaint = process.communicate()
    if process.returncode not in (0, 1) or not said:
        raise LabError(complaint.strip().removeprefix("error: ") or f"a run ended with status {process.returncode}")
    found: dict[str, Any] = json.loads(said)
    return found
