"""Child processes: started so that they cannot outlive us, ended by pid, and read from /proc.

Everything here is for Linux and for one thread: a child inherits the network namespace of the thread that
starts it, and asks the kernel for a signal when that thread ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import resource
import signal
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SWITCHES = re.compile(r"^(voluntary|nonvoluntary)_ctxt_switches:\s+(\d+)", re.MULTILINE)


class BenchmarkError(Exception):
    """The run, or one measurement of it, cannot go on; the text says why."""


def _prepare_child() -> None:
    """Ends with us, and may have as many descriptors as the machine allows: ten thousand tunnels need them."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Processes:
    """All children of a run. Leaving the context ends each of them by its pid."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_all()

    def start(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        group: int | None = None,
        stdout: int | IO[bytes] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Starts `command` in the current network namespace. Raises BenchmarkError when it cannot be.

        `environment` is laid over ours. `log` takes standard error, and standard output too unless `stdout`
        says otherwise. `group` becomes the child's group id: the capture rule knows applications by it.
        """
        with contextlib.ExitStack() as files:
            sink: int | IO[bytes] = files.enter_context(log.open("ab")) if log else subprocess.DEVNULL
            process = _popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=sink if stdout is None else stdout,
                stderr=sink,
                env={**os.environ, **(environment or {})},
                group=group,
                extra_groups=None if group is None else [],
                process_group=0,  # Ctrl-C is ours alone; we end the children in order
                preexec_fn=_prepare_child,
            )
        self._running.append(process)
        return process

    def end(self, process: subprocess.Popen[bytes], patience: float = 3.0) -> None:
        """SIGTERM, then SIGKILL when `patience` seconds have gone."""
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout:
            process.stdout.close()
        if process in self._running:
            self._running.remove(process)

    def end_all(self) -> None:
        """Ends the children, the youngest first; all are asked before any is waited for."""
        for process in self._running:
            if process.poll() is None:
                process.terminate()
        for process in reversed(self._running.copy()):
            self.end(process)


def _popen(command: list[str], **arguments: Any) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, **arguments)
    except OSError as error:
        raise BenchmarkError(f"{command[0]} cannot be started: {error.strerror}") from None


def wait_until(
    condition: Callable[[], bool],
    what: str,
    seconds: float,
    process: subprocess.Popen[bytes] | None = None,
    log: Path | None = None,
) -> None:
    """Polls `condition`. Raises BenchmarkError after `seconds`, or at once when `process` has ended.

    The error repeats the last line of `log`, where the process may have said why.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if process is not None and process.poll() is not None:
            raise BenchmarkError(f"{what}: the process ended with status {process.returncode}{last_line(log)}")
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{what}: not within {seconds:g} s{last_line(log)}")
        time.sleep(0.02)


def last_line(log: Path | None) -> str:
    """`: ` and the last line of a log, or nothing if there is none."""
    if log is None or not log.exists():
        return ""
    lines = log.read_text(errors="replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and its descendants have used so far, by the kernel's accounting."""

    user_s: float
    system_s: float
    rss_mb: float
    voluntary: int = 0
    """Context switches of all threads: because nothing was to be done, ..."""
    involuntary: int = 0
    """... and because the core was given to somebody else."""

    @property
    def cpu_s(self) -> float:
        """User and kernel seconds together."""
        return self.user_s + self.system_s

    def since(self, before: Usage) -> Usage:
        """Seconds and switches between two readings, and the memory of this one."""
        seconds = self.user_s - before.user_s, self.system_s - before.system_s
        switches = self.voluntary - before.voluntary, self.involuntary - before.involuntary
        return Usage(*seconds, self.rss_mb, *switches)

    def plus(self, user_s: float, system_s: float) -> Usage:
        """With seconds that are known from elsewhere."""
        return replace(self, user_s=self.user_s + user_s, system_s=self.system_s + system_s)


def total(usages: Iterable[Usage]) -> Usage:
    """All of them together."""
    found = list(usages)
    return Usage(
        sum(one.user_s for one in found),
        sum(one.system_s for one in found),
        sum(one.rss_mb for one in found),
        sum(one.voluntary for one in found),
        sum(one.involuntary for one in found),
    )


def usage_of(pid: int) -> Usage:
    """Reads a process and every descendant that is still alive; seconds of ended children count with their parent."""
    members = []
    for member in [pid, *_descendants(pid)]:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            members.append(_usage_of_one(member))
    return total(members)


def _usage_of_one(pid: int) -> Usage:
    fields = _stat_fields(pid)
    user, system = int(fields[11]) + int(fields[13]), int(fields[12]) + int(fields[14])
    return Usage(user / _TICK, system / _TICK, int(fields[21]) * _PAGE / 1e6, *_switches(pid))


def _switches(pid: int) -> tuple[int, int]:
    """Voluntary and involuntary ones of all threads, which /proc/PID/status has only of the first."""
    voluntary = involuntary = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            counts = {kind: int(count) for kind, count in _SWITCHES.findall(status.read_text())}
            voluntary += counts["voluntary"]
            involuntary += counts["nonvoluntary"]
    return voluntary, involuntary


def sockets_of_children(pid: int) -> dict[int, int]:
    """How many sockets each descendant of a process holds."""
    return {child: _sockets(child) for child in _descendants(pid)}


def _sockets(pid: int) -> int:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return sum(os.readlink(entry).startswith("socket:") for entry in os.scandir(f"/proc/{pid}/fd"))
    return 0


def _stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: the second, the name, may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in task.read_text().split():
                found += [int(child), *_descendants(int(child))]
    return found
