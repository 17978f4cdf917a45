"""Labs for real: the command line as a person runs it, in a state folder of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.processes import PeerProcess
from tests.support.require import NOBODY, require_netns, require_nobody, require_tool
from tests.support.source_tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator


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


def lab(folder: Path, *arguments: str, seconds: float = 55) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        command(*arguments), cwd=ROOT, env=environment(folder), capture_output=True, text=True, timeout=seconds,
        check=False,
    )  # fmt: skip


class Machine:
    """A machine for a lab to stand on, with a network of its own: other tests change this one's while we look.

    It has a link, a rule, a set and a named namespace, so that there is something to be touched.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        unshare = ["unshare", "--net", "--mount", "--fork", "--kill-child", "sh", "-c"]
        self._process = PeerProcess(
            [*unshare, f"{_FURNISH} && echo furnished && exec sleep 300"], folder / "machine.log"
        )
        self._process.wait_until(lambda: "furnished" in self._process.output, "furnished")
        [inside] = children_of(self._process.pid)
        self._enter = ["nsenter", "--target", str(inside), "--net", "--mount", "--"]

    def lab(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the lab's command line on it."""
        return self._run(self.command(*arguments))

    def command(self, *arguments: str) -> list[str]:
        """What runs the lab's command line on it; the process that this starts is the lab's."""
        return [*self._enter, *command(*arguments)]

    def network(self) -> dict[str, str]:
        """All that a lab could touch of it."""
        said = {what: self._run([*self._enter, *look]).stdout.splitlines() for what, look in _LOOKS.items()}
        assert all(said.values())
        return {what: "\n".join(line for line in lines if not line.startswith("#")) for what, lines in said.items()}

    def stop(self) -> None:
        """It goes away."""
        self._process.kill()

    def _run(self, whole: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            whole, cwd=ROOT, env=environment(self._folder), capture_output=True, text=True, timeout=55, check=False
        )


class Nobody:
    """A user without any right, who sees our Python, packages and source in a mount namespace of its own.

    So it does not matter where those lie, and whether others may go there.
    """

    def __init__(self) -> None:
        self._as_nobody = require_nobody()
        self.home = Path(tempfile.mkdtemp(prefix="nobody-"))
        os.chown(self.home, NOBODY, NOBODY)
        self._places = {name: self.home / name for name in ("source", "packages", "python")}
        for place in self._places.values():
            place.mkdir(mode=0o755)

    def lab(self, *arguments: str, seconds: float = 55) -> subprocess.CompletedProcess[str]:
        """Run the lab's command line as that user."""
        known = {"PATH": "/usr/bin:/bin", "HOME": self.home, "TMPDIR": self.home, "PYTHONDONTWRITEBYTECODE": "1"}
        known["PYTHONPATH"] = self._places["packages"]
        given = [f"{name}={value}" for name, value in known.items()]
        command = [*self._as_nobody, "env", "-i", *given, os.path.realpath(sys.executable), "-m", "lab_py", *arguments]
        enter = " && ".join([*self._mounts(), f'cd "{self._places["source"]}"', 'exec "$@"'])
        unshare = ["unshare", "--mount", "--propagation", "private", "sh", "-c", enter, "sh"]
        return subprocess.run([*unshare, *command], capture_output=True, text=True, timeout=seconds, check=False)

    def _mounts(self) -> Iterator[str]:
        """Everything in the user's home; Python where it was too, by folders that others may go through."""
        python = Path(sys.base_prefix)
        shown = dict(zip(self._places, (ROOT, sysconfig.get_path("purelib"), python), strict=True))
        yield from (f'mount --bind "{shown[name]}" "{place}"' for name, place in self._places.items())
        closed = [folder for folder in reversed(python.parents) if not folder.stat().st_mode & 0o001]
        if closed:
            yield f'mount -t tmpfs -o mode=755 tmpfs "{closed[0]}" && mkdir -p "{python}"'
            yield f'mount --bind "{self._places["python"]}" "{python}"'

    @property
    def left(self) -> list[str]:
        """Labs that are still there."""
        return [file.name for file in (self.home / f"hbone-lab-{NOBODY}").iterdir()]

    def leave(self) -> None:
        """Its home goes away."""
        shutil.rmtree(self.home)


_FURNISH = " && ".join(
    (
        "mount -t tmpfs tmpfs /run",
        "ip link set lo up",
        "ip link add one type veth peer name two",
        "ip addr add 192.0.2.1/24 dev one",
        "ip link set one up",
        "ip netns add somebody",
        "iptables -A INPUT -s 192.0.2.9 -j DROP",
        "ipset create somebodys hash:ip",
        "echo furnished",
        "exec sleep 300",
    )
)
_LOOKS = {
    "links": ["ip", "-o", "link"],
    "addresses": ["ip", "-o", "addr"],
    "routes": ["ip", "route", "show", "table", "all"],
    "policy rules": ["ip", "rule"],
    "namespaces": ["ip", "netns"],
    "iptables": ["iptables-save"],
    "sets": ["ipset", "list"],
    "mounts": ["cat", "/proc/self/mounts"],
    "hosts": ["cat", "/etc/hosts"],
    "settings": ["sysctl", "-a", "--pattern", r"^net\.ipv4\.(ip_forward|conf)"],
}


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
