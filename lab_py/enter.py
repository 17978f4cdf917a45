"""Into namespaces of our own, and never out of them: the lab's commands run again as process 1 of a process namespace.

When that process ends, for whatever reason, the kernel ends everything the lab has started and takes away its network,
mounts and devices (redirection d.7). It ends with its caller too: it holds the reading end of the caller's leash.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lab_py.errors import LabError, Missing
from lab_py.netns import need_tool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

_INSIDE, _LEASH = "LAB_PY_INSIDE", "LAB_PY_LEASH"
_STAY = b"s"
_is_let_go = threading.Event()
_TRIES, _PAUSE_SECONDS = 200, 0.01
END_SECONDS = 10.0
"""How long the inner process may take to end after Ctrl-C before it is killed."""


def is_inside() -> bool:
    """Whether we are the process 1 that `Inside` has started."""
    return os.getpid() == 1 and _INSIDE in os.environ


def is_rootless() -> bool:
    """Whether a user namespace must give us the rights that we lack."""
    return os.geteuid() != 0


class Inside:
    """`python -m lab_py ARGUMENTS`, running inside."""

    def __init__(self, arguments: Sequence[str], *, rootless: bool, log: Path | None = None) -> None:
        """Start it.

        Args:
            rootless: in a user namespace too.
            log: gets what it writes, and it leaves our terminal; None: it writes where we do.

        Raises:
            Missing: this machine does not let us.
        """
        command = _command(rootless=rootless)
        reading, self._leash = os.pipe()
        environment = {**os.environ, _INSIDE: "1", _LEASH: str(reading)}
        output = None if log is None else log.open("ab")
        try:
            self.process = subprocess.Popen(
                [*command, sys.executable, "-m", "lab_py", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=None if output is None else subprocess.STDOUT,
                env=environment,
                pass_fds=(reading,),
                start_new_session=log is not None,
            )
        finally:
            os.close(reading)
            if output is not None:
                output.close()

    def wait(self) -> int:
        """Its exit status; SIGTERM ends it. After Ctrl-C, which it hears too, it is given time to say so."""
        with _ending_on_sigterm():
            try:
                return self.process.wait()
            except KeyboardInterrupt:
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(END_SECONDS)
                raise
            finally:
                self.kill()

    def let_stay(self) -> None:
        """It lives on when we have ended."""
        os.write(self._leash, _STAY)
        os.close(self._leash)

    def kill(self) -> None:
        """End it and everything in it."""
        self.process.kill()
        self.process.wait()

    def first_process(self) -> int:
        """The process id, seen from here, of process 1 inside. Raises LabError: it has ended."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with suppress(OSError):
            for word in children.read_text().split():
                return int(word)
        raise LabError("the lab ended before it was up")


def settle_in(folder: Path, hosts: Path) -> None:
    """Make ourselves at home inside: an empty /run, our own names of hosts, and an eye on the leash.

    Args:
        folder: the lab's state; it goes away when the caller is gone.
        hosts: what stands in for /etc/hosts.

    Raises:
        LabError: a mount was refused.
    """
    _watch_leash(int(os.environ[_LEASH]), folder)
    mount = need_tool("mount")
    for arguments in (["-t", "tmpfs", "tmpfs", "/run"], ["--bind", str(hosts), "/etc/hosts"]):
        done = subprocess.run([mount, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"mount {' '.join(arguments)}: {done.stderr.strip()}")


def _command(*, rootless: bool) -> list[str]:
    user = ["--user", "--map-root-user"] if rootless else []
    unshare = need_tool("unshare")
    tried = subprocess.run([unshare, *user, "--net", "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        what = "user namespaces" if rootless else "network namespaces"
        raise Missing(f"no {what} here: {tried.stderr.strip()}; `python -m lab_py doctor` tells what to do")
    return [unshare, *user, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def _watch_leash(descriptor: int, folder: Path) -> None:
    def watch() -> None:
        said = os.read(descriptor, 1)
        os.close(descriptor)
        if said == _STAY:
            return
        _is_let_go.set()
        for _ in range(_TRIES):  # the main thread may still be writing there
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(_PAUSE_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="leash", daemon=True).start()


def before_leaving() -> None:
    """For the main thread when it is about to end: who clears up for a caller that is gone must not be cut short."""
    if _is_let_go.is_set():
        time.sleep(END_SECONDS)


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
