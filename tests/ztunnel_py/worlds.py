"""Proxies and embedded worlds as processes of a test, each on loopback addresses nobody else uses."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import PeerProcess, our_second_number, poll
from tests.support.require import require_tool
from tests.support.source_tree import ROOT

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable, Iterator

COMMAND = (sys.executable, "-W", "error", "-m", "ztunnel_py")
START_SECONDS = 40.0
END_SECONDS = 30.0
UP = "Ctrl-C ends it."
"""The last line of a world's banner."""

# Nothing of whoever runs the tests may configure what they start.
_NAMES = """
    PROXY_MODE PROXY_WORKLOAD_INFO NODE_NAME LOCAL_XDS LOCAL_XDS_PATH PROXY_CONFIG FAKE_CA INPOD_UDS RUST_LOG LOG_FORMAT
    WORKLOAD_CERT_DIR WORKLOAD_CERT_CHAIN WORKLOAD_KEY WORKLOAD_ROOT_CERT
"""
CLEAN = dict.fromkeys(_NAMES.split(), "")


class ProxyProcess(PeerProcess):
    """`python -m ztunnel_py`, whose end is looked at."""

    def end_with(self, number: signal.Signals) -> int:
        """Send a signal and wait; the exit status."""
        self._process.send_signal(number)
        return self.end()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def end(self) -> int:
        """Wait for its end; the exit status."""
        return self._process.wait(END_SECONDS)


def children_of(parent: int) -> dict[int, str]:
    """Command lines of a process's children, by process id."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent and fields[0] != "Z":
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and was not waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_the_end_of(pids: Iterable[int]) -> None:
    """Return once none of the processes runs; AssertionError if that takes too long."""
    for pid in pids:
        poll(lambda: not is_alive(pid), f"without process {pid}", END_SECONDS)  # noqa: B023


def world_net() -> str:
    """The first half of a world's addresses; worlds that people run are on 127.0."""
    while True:
        net = f"127.{our_second_number()}"
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((f"{net}.0.1", 15000))
            return net


@contextlib.contextmanager
def started(
    log: Path, *arguments: str, until: str, environment: dict[str, str] | None = None
) -> Iterator[ProxyProcess]:
    """`python -m ztunnel_py arguments`, once it has written `until`; ended with the context."""
    # What a killed process leaves behind goes with the test's own folder.
    given = {**CLEAN, "TMPDIR": str(log.parent), **(environment or {})}
    process = ProxyProcess([*COMMAND, *arguments], log, given)
    try:
        process.wait_until(lambda: until in process.output, f"{until!r} in its output", START_SECONDS)
        yield process
    finally:
        process.stop()


def finished(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m ztunnel_py arguments`, run to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env={**os.environ, **CLEAN, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )


def curl(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The real curl."""
    command = [require_tool("curl"), "--silent", "--show-error", "--max-time", "20", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
