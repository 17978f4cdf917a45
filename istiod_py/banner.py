"""What a person reads who has started the control plane: how the first proxy joins."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from pathlib import Path

    from istiod_py.config import Settings
    from mesh_py.process.console import Console

_UNNAMED = {"::": "localhost", "0.0.0.0": "localhost"}


def announce(settings: Settings, sockets: Mapping[str, socket.socket], roots: Path, console: Console) -> None:
    """Print it."""
    for line in lines(settings, {name: sock.getsockname()[:2] for name, sock in sockets.items()}, roots):
        console.say(line)


def lines(settings: Settings, addresses: Mapping[str, tuple[str, int]], roots: Path) -> list[str]:
    """The environment of a node proxy, and where to look."""
    host, port = addresses["secure"]
    secure = _authority(_UNNAMED.get(host, host), port)
    state = f" --state-dir {shlex.quote(str(settings.state_folder))}"
    found = [
        f"serving {settings.folder} on https://{secure}",
        "a node proxy joins with:",
        f"  export XDS_ADDRESS=https://{secure} CA_ADDRESS=https://{secure}",
        f"  export XDS_ROOT_CA={shlex.quote(str(roots))} CA_ROOT_CA={shlex.quote(str(roots))}",
        f"  export AUTH_TOKEN=$(python -m istiod_py token istio-system/ztunnel --node node-a{state})",
        "  PROXY_MODE=node NODE_NAME=node-a POD_NAME=ztunnel-a POD_NAMESPACE=istio-system python -m ztunnel_py",
        f"look at it: curl http://{_authority(*addresses['monitoring'])}/debug",
    ]
    if "plaintext" in addresses:
        found.append(f"plaintext, for this machine alone: {_authority(*addresses['plaintext'])}")
    return found


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
