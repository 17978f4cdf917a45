"""What is known of labs that are up: a folder each, below one that belongs to the user alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab_py.errors import LabError, Unusable

_RECORD = "lab.json"
_PROCESSES = "processes.json"
GONE_SECONDS = 10.0
"""How long a lab may take to be gone."""
_LOOK_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Record:
    """A lab that is up."""

    name: str
    topology: str
    keeper: int
    """The process whose end is the lab's end."""
    started: int
    """When it started, in the kernel's ticks: with the id it is the same process."""
    first: int
    """Process 1 inside, as seen from outside."""
    namespaces: tuple[str, ...]
    rootless: bool
    seconds: float
    """What it took to be up."""

    @property
    def is_up(self) -> bool:
        """Whether its keeper lives."""
        return started_at(self.keeper) == self.started


def base_folder() -> Path:
    """The folder of this user's labs. Raises LabError: it is somebody else's."""
    folder = Path(tempfile.gettempdir()) / f"hbone-lab-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise LabError(f"{folder} is not ours alone: remove it")
    return folder


def claim(name: str) -> Path:
    """A new folder for a lab of that name; what a dead one has left goes away. Raises Unusable, LabError."""
    folder = base_folder() / name
    record = read_record(folder)
    if record is not None and record.is_up:
        raise Unusable(f"a lab called {name!r} is up: `python -m lab_py down`, or take another --name")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def find(name: str) -> tuple[Path, Record]:
    """The folder and the record of a lab that is up; what a dead one has left goes away. Raises Unusable."""
    folder = base_folder() / name
    record = read_record(folder)
    if record is None or not record.is_up:
        if record is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise Unusable(f"no lab called {name!r} is up: `python -m lab_py up` makes one")
    return folder, record


def write_record(folder: Path, record: Record) -> None:
    """Make it known."""
    _write(folder / _RECORD, asdict(record))


def read_record(folder: Path) -> Record | None:
    """What is known of the lab in a folder."""
    found = _read(folder / _RECORD)
    return None if found is None else Record(**{**found, "namespaces": tuple(found["namespaces"])})


def write_processes(folder: Path, processes: list[dict[str, Any]]) -> None:
    """Make known how the processes fare; the lab does so once it is up, and again when one has ended."""
    _write(folder / _PROCESSES, processes)


def read_processes(folder: Path) -> list[dict[str, Any]] | None:
    """How they fare; None: the lab is not up yet."""
    found: list[dict[str, Any]] | None = _read(folder / _PROCESSES)
    return found


def end(folder: Path, record: Record) -> None:
    """End a lab: everything inside ends with its keeper. Raises LabError: it does not end."""
    if record.is_up:
        os.kill(record.keeper, signal.SIGKILL)
    deadline = time.monotonic() + GONE_SECONDS
    while record.is_up or _is_alive(record.first):
        if time.monotonic() > deadline:
            raise LabError(f"process {record.first} does not end")
        time.sleep(_LOOK_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)


def started_at(process: int) -> int | None:
    """When a process started, in ticks since the machine did; None: there is no such process, or it is a zombie."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def _is_alive(process: int) -> bool:
    return started_at(process) is not None


def _write(file: Path, value: object) -> None:
    """In one step: a reader finds the old or the new."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(value))
    new.replace(file)


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        return None
