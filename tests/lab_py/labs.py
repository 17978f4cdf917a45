"""Labs for real: the command line as a person runs it, in a state folder of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import POLL_SECONDS
from tests.support.require import require_netns, require_tool
from tests.support.source_tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable


def require_lab() -> None:
    """Everything a lab needs of the machine."""
    require_netns()
    for tool in ("iptables-restore", "ipset", "nsenter", "setpriv"):
        require_tool(tool)


def command(*arguments: str) -> list[str]:
    """`python -m lab_py ARGUMENTS`."""
    return [sys.executable, "-m", "lab_py", *arguments]


def environment(folder: Path) -> dict[str, str]:
    """With `folder` for temporary files, so that labs of others are not ours."""
    return {**os.environ, "TMPDIR": str(folder)}


def lab(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        command(*arguments), cwd=ROOT, env=environment(folder), capture_output=True, text=True, timeout=55, check=False
    )


def machine_network() -> dict[str, str]:
    """All of this machine's own network that a lab could have touched."""
    looks = {
        "links": ["ip", "-o", "link"],
        "addresses": ["ip", "-o", "addr"],
        "routes": ["ip", "route", "show", "table", "all"],
        "policy rules": ["ip", "rule"],
        "namespaces": ["ip", "netns"],
        "iptables": ["iptables-save"],
        "sets": ["ipset", "list"],
        "mounts": ["cat", "/proc/self/mounts"],
        "settings": ["sysctl", "-a", "--pattern", r"^net\.ipv4\.(ip_forward|conf)"],
    }
    return {what: _said(look) for what, look in looks.items()}


def children_of(process: int) -> list[int]:
    """All descendants that a process has now."""
    found: list[int] = []
    for child in _children(process):
        found += [child, *children_of(child)]
    return found


def _children(process: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def poll(condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    """Return once it holds; AssertionError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not {what} after {seconds} s"
        time.sleep(POLL_SECONDS)


def _said(look: list[str]) -> str:
    text = subprocess.run(look, capture_output=True, text=True, check=False).stdout
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))
