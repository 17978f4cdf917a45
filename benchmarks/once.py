"""What a run measures once, each part in a process of its own: limits, state, starts, the lab, profile, calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import calls, interpreter
from benchmarks.contestants import available_peers
from benchmarks.processes import BenchmarkError
from benchmarks.world import can_isolate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ROOT = Path(__file__).parent.parent
_PATIENCE = 180.0
_LAB_SCENARIO = "ambient-to-sidecar"


def parts(folder: Path, *, quick: bool, keep_document: bool) -> dict[str, Callable[[], Any]]:
    """All of them, by the name that they have in the JSON.

    Flame graphs go to `folder`; the tables of docs/performance.md are brought up to date unless `keep_document`.
    """
    rounds = "1" if quick else "3"
    peers = [word for name in ("ours", "envoy") if name in available_peers() for word in ("--peer", name)]
    workloads = "5000" if quick else "50000"
    found: dict[str, Callable[[], Any]] = {
        "limits": lambda: _ours("benchmarks.limits", "--rounds", "4" if quick else "12"),
        "state": lambda: _ours("benchmarks.state", "--workloads", workloads, "--rounds", rounds, "-o", "json"),
        "start": lambda: _tool("benchmarks.startup", "--rounds", rounds, *peers),
    }
    if can_isolate():
        found["lab"] = _lab
        length = ("--seconds", "1.5" if quick else "5", "--out", str(folder.resolve()))
        docs = () if keep_document else ("--docs",)
        found["profile"] = lambda: _tool("benchmarks.profile", *length, *docs)
    if calls.can_count():
        found["calls"] = lambda: _tool("benchmarks.calls", "--seconds", "0.4" if quick else "1")
    return found


def _ours(module: str, *arguments: str) -> Any:
    """On the interpreter of our proxies."""
    return _json_of([interpreter.command(), "-m", module, *arguments], interpreter.environment())


def _tool(module: str, *arguments: str) -> Any:
    return _json_of([sys.executable, "-m", module, *arguments], {})


def _lab() -> dict[str, float]:
    """Seconds: until namespaces, links and rules stand; until all serves, the first request is judged; the way down."""
    times: dict[str, float] = _tool("lab_py", "run", _LAB_SCENARIO, "-o", "json")["times"]
    return {name.replace("_", " "): seconds for name, seconds in times.items()}


def _json_of(command: Sequence[str], environment: dict[str, str]) -> Any:
    """What a command prints; its children end with it. Raises BenchmarkError."""
    process = subprocess.Popen(
        command,
        cwd=_ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        output, complaint = process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{' '.join(command[1:])} did not end within {_PATIENCE:g} s") from None
    finally:
        _end(process)
    if process.returncode:
        said = complaint.strip().splitlines()
        raise BenchmarkError(f"{' '.join(command[1:])} ended with status {process.returncode}: {said[-1:]}")
    return json.loads(output)


def _end(process: subprocess.Popen[str]) -> None:
    """Asked first, so that it can end its own children."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
