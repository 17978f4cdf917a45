"""Processes of our own making: started, listened to, told to end, and never left behind.

Each is a process group of its own, so that Ctrl-C at a terminal reaches only the parent, which ends them in order. Not
a session: where the kernel schedules by sessions (`sched_autogroup`), each of N workers would then take turns with all
other programs instead of with its family, at twice the wake-ups. If the parent dies, the kernel ends them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

WORKER_SOCKET = "ZTUNNEL_WORKER_SOCKET"
"""The environment name by which a worker process knows that it is one, and where its parent asks."""
_PR_SET_PDEATHSIG = 1
_PIECE = 64 * 1024
_libc = ctypes.CDLL(None, use_errno=True)


def worker_socket(folder: Path, number: int, life: int) -> Path:
    """That path, for the so-manyth life of worker `number`."""
    return folder / f"worker-{number}.{life}"


def worker_number(path: Path) -> int:
    """Which worker a path is for. Raises ValueError."""
    return int(path.stem.removeprefix("worker-"))


class Child:
    """One running process. Made by `start_child`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, heard: Callable[[str, str], None]) -> None:
        self.name = name
        self._process = process
        self._heard = heard
        self.last_line = ""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status (minus the signal's number, if one ended it); None while it runs."""
        return self._process.returncode

    def signal(self, number: int) -> None:
        """Send it a signal; nothing happens if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def ended(self) -> int:
        """Hand on its output, line by line, until it ends; its status."""
        output = self._process.stdout
        rest = b""
        while output is not None and (piece := await output.read(_PIECE)):
            *lines, rest = (rest + piece).split(b"\n")
            self._hear(lines)
        self._hear([rest] if rest else [])
        return await self._process.wait()

    def _hear(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            self.last_line = line.decode(errors="replace")
            self._heard(self.name, self.last_line)


async def start_child(
    name: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    heard: Callable[[str, str], None] | None = None,
) -> Child:
    """Start `python arguments`. Call it from the main thread: the kernel ties the child's life to the thread.

    Args:
        environment: all it gets beside what Python itself needs.
        heard: gets the child's name and each line it writes, on standard output and error; None: it writes to ours.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=None if heard is None else asyncio.subprocess.PIPE,
        stderr=None if heard is None else asyncio.subprocess.STDOUT,
        env={**python_environment(), **environment},
        process_group=0,
        preexec_fn=_end_with(os.getpid()),
    )
    return Child(name, process, heard or (lambda _name, _line: None))


def python_environment() -> dict[str, str]:
    """What a Python process needs to find its modules, its home and its language."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "VIRTUAL_ENV", "XDG_STATE_HOME")
    return {name: value for name, value in os.environ.items() if name in kept or name.startswith("PYTHON")}


def _end_with(parent: int) -> Callable[[], None]:
    def set_up() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # a terminal may stop writers of groups in its background
        if os.getppid() != parent:  # it died before the kernel was asked
            os.kill(os.getpid(), signal.SIGTERM)

    return set_up
