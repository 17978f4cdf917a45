"""The compiled load generator: built when its sources change, run, and its one line of JSON read."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.processes import BenchmarkError, Processes, last_line

if TYPE_CHECKING:
    from collections.abc import Sequence

_HERE = Path(__file__).parent
_SOURCES = _HERE / "loadgen"
_BINARY = _HERE / ".build" / "loadgen"


def build() -> Path:
    """Compiles benchmarks/loadgen/*.c if it is newer than the binary. Raises BenchmarkError without a compiler."""
    newest = max(path.stat().st_mtime for path in _SOURCES.iterdir())
    if _BINARY.exists() and _BINARY.stat().st_mtime > newest:
        return _BINARY
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BenchmarkError("no C compiler found; `make system-deps` installs one")
    _BINARY.parent.mkdir(exist_ok=True)
    sources = [str(path) for path in sorted(_SOURCES.glob("*.c"))]
    command = [compiler, "-O2", "-std=gnu11", "-Wall", "-Wextra", "-o", str(_BINARY), *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"the load generator does not compile:\n{done.stderr}")
    return _BINARY


def start_server(processes: Processes, mode: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """Starts `echo`, `sink`, `source` or `awake` in the current namespace and waits until it is at work."""
    process = processes.start([str(build()), mode, *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None
    if process.stdout.readline() != b"ready\n":
        raise BenchmarkError(f"the {mode} application did not start: loadgen {mode} {' '.join(arguments)}")
    return process


def run_client(
    processes: Processes, command: Sequence[str], *, seconds: float, group: int | None, log: Path
) -> dict[str, Any]:
    """Runs a client that prints one JSON document for at most `seconds`."""
    process = processes.start(command, stdout=subprocess.PIPE, log=log, group=group)
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{Path(command[0]).name} did not end within {seconds:g} s") from None
    finally:
        processes.end(process)
    try:
        result = json.loads(output)
    except ValueError:
        result = None
    if process.returncode or not isinstance(result, dict):
        said = (result or {}).get("error")
        reason = f": {said}" if said else last_line(log)
        raise BenchmarkError(f"{Path(command[0]).name} failed with status {process.returncode}{reason}")
    return result
