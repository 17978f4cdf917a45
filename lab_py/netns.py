"""Network namespaces: made by name, entered by threads, written to by `ip`, `ipset` and `iptables-restore`.

A thread that has entered a namespace makes sockets and starts processes there, so nothing needs `ip netns exec`
(redirection d.5). All this happens inside the lab's own mount namespace, where /run is empty: names are ours alone.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lab_py.errors import LabError, Missing
from lab_py.redirect.base import ip_lines, rule_lines, set_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lab_py.redirect.base import Redirection

NAMES = Path("/run/netns")
COMMAND_SECONDS = 20.0
"""How long any one tool may take."""
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_SBIN = "/usr/sbin:/sbin:/usr/local/sbin"

Result = TypeVar("Result")


def find_tool(name: str) -> str | None:
    """The path of a command, in the places of system tools too."""
    return shutil.which(name) or shutil.which(name, path=_SBIN)


def need_tool(*names: str) -> str:
    """The path of the first of these commands that is there. Raises Missing."""
    for name in names:
        if (path := find_tool(name)) is not None:
            return path
    raise Missing(f"no command {names[0]!r}: `make system-deps` installs it, `python -m lab_py doctor` tells more")


class Namespaces:
    """The lab's namespaces and the tools that fill them."""

    def __init__(self) -> None:
        """Raises Missing: a tool is not there."""
        self._ip = need_tool("ip")
        self._restore = need_tool("iptables-nft-restore", "iptables-restore")
        self._save = need_tool("iptables-nft-save", "iptables-save")
        self._ipset = need_tool("ipset")

    def make(self, names: Iterable[str]) -> None:
        """Make them, empty but for a loopback device. Raises LabError."""
        NAMES.mkdir(exist_ok=True)
        run([self._ip, "-batch", "-"], "".join(f"netns add {name}\n" for name in names))

    def ip(self, namespace: str, lines: Iterable[str]) -> None:
        """Run lines of `ip -batch` in a namespace. Raises LabError with the line that failed."""
        text = "".join(f"{line}\n" for line in lines)
        if text:
            run([self._ip, "-n", namespace, "-batch", "-"], text)

    def sysctls(self, namespace: str, values: Mapping[str, str]) -> None:
        """Write kernel settings of a namespace, by dotted name. Raises LabError."""
        try:
            self.inside(namespace, lambda: _write_sysctls(values))
        except OSError as error:
            raise LabError(f"{namespace}: {error.filename}: {error.strerror}") from None

    def install(self, redirection: Redirection) -> None:
        """Put a redirection in its place. Raises LabError."""
        namespace = redirection.namespace
        self.sysctls(namespace, redirection.sysctls)
        self.ip(namespace, ip_lines(redirection).splitlines())
        if redirection.sets:
            self.run(namespace, [self._ipset, "restore"], set_lines(redirection))
        if redirection.rules:
            self.restore(namespace, rule_lines(redirection))

    def restore(self, namespace: str, text: str) -> None:
        """Hand text to `iptables-restore --noflush` in a namespace. Raises LabError."""
        self.run(namespace, [self._restore, "--noflush"], text)

    def rules(self, namespace: str) -> str:
        """What `iptables-save -c` says of a namespace. Raises LabError."""
        return self.run(namespace, [self._save, "-c"])

    def cut_connections(self, namespace: str, but_of: str) -> None:
        """Reset every TCP connection that has an end in a namespace, but for those of one address. Raises LabError."""
        self.run(namespace, [need_tool("ss"), "-tK", "state", "connected", f"not src {but_of} and not dst {but_of}"])

    def run(self, namespace: str, command: Sequence[str], text: str = "") -> str:
        """Run a command to its end in a namespace, with `text` for its input; what it writes. Raises LabError."""
        return self.inside(namespace, lambda: run(command, text))

    def inside(self, namespace: str, act: Callable[[], Result]) -> Result:
        """Call a function in a thread of its own that has entered the namespace; its result, or what it raises."""
        outcome: list[Result] = []
        failures: list[BaseException] = []

        def enter() -> None:
            try:
                _enter(namespace)
                outcome.append(act())
            except BaseException as error:  # handed to the caller's thread
                failures.append(error)

        thread = threading.Thread(target=enter, name=f"in {namespace}")
        thread.start()
        thread.join()
        if failures:
            raise failures[0]
        return outcome[0]


def _enter(namespace: str) -> None:
    descriptor = os.open(NAMES / namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), namespace)
    finally:
        os.close(descriptor)


def _write_sysctls(values: Mapping[str, str]) -> None:
    for name, value in values.items():
        Path("/proc/sys", *name.split(".")).write_text(value)


def run(command: Sequence[str], text: str) -> str:
    """Run a command where the calling thread is, with `text` for its input; what it writes. Raises LabError."""
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(command)}: no end after {COMMAND_SECONDS:.0f} s") from None
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"status {done.returncode}"
        raise LabError(f"{' '.join(command)}: {said}{_failed_line(done.stderr, text)}")
    return done.stdout


def _failed_line(complaint: str, text: str) -> str:
    """The input's line that a tool complains of by number (`-:7`, `line 7 failed`)."""
    numbers = [int(word) for word in complaint.replace(":", " ").split() if word.isdigit()]
    lines = text.splitlines()
    found = [number for number in numbers if 1 <= number <= len(lines)]
    return f": {lines[found[-1] - 1]!r}" if found else ""
