"""What this machine lets a lab do, found out by trying, inside the lab's own namespaces."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab_py.netns import find_tool
from lab_py.overlay import TUN
from lab_py.redirect.names import PROXY_ID
from lab_py.topology import Design

Tunnel = Literal["kernel", "tap", "packet"]


@dataclass(frozen=True, slots=True)
class Machine:
    """The choices that follow from rights and features (redirection d.7)."""

    tunnel: Tunnel
    """Who serves the tunnels: the kernel's driver, or we on a TAP or on a packet socket."""
    has_sidecar_uid: bool
    """Sidecars run as uid 1337, and rules know them by it; else by a mark."""

    def described(self, design: Design) -> str:
        """What of it a lab of that design makes use of."""
        tunnels = f"tunnels by {self.tunnel}" if design is Design.TUNNELS else "no tunnels"
        sidecars = f"uid {PROXY_ID}" if self.has_sidecar_uid else f"mark {PROXY_ID}"
        return f"{tunnels}, sidecars known by {sidecars}"


def look_at(tunnel: Tunnel | None = None) -> Machine:
    """The machine as it is for this process; `tunnel` insists on one kind."""
    return Machine(tunnel or _tunnel(), _maps_sidecar_uid())


def _tunnel() -> Tunnel:
    if has_geneve():
        return "kernel"
    return "tap" if can_tap() else "packet"


def has_geneve() -> bool:
    """Whether the kernel makes Geneve devices; tried in the caller's network namespace, which must be its own."""
    ip = find_tool("ip")
    if ip is None:
        return False
    name = "lab-probe"
    made = subprocess.run(
        [ip, "link", "add", name, "type", "geneve", "id", "1", "remote", "192.0.2.1"], capture_output=True, check=False
    )
    if made.returncode != 0:
        return False
    subprocess.run([ip, "link", "del", name], capture_output=True, check=False)
    return True


def can_tap() -> bool:
    """Whether TAP devices can be made."""
    return os.access(TUN, os.R_OK | os.W_OK)


def _maps_sidecar_uid() -> bool:
    """Whether uid and gid 1337 exist in our user namespace."""
    return all(maps(Path(f"/proc/self/{kind}_map").read_text()) for kind in ("uid", "gid"))


def maps(text: str) -> bool:
    """Whether a `uid_map` or `gid_map` has the sidecars' id."""
    rows = [[int(word) for word in line.split()] for line in text.splitlines()]
    return any(first <= PROXY_ID < first + count for first, _, count in rows)
