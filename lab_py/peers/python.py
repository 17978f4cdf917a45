"""Our own proxies and the applications as the lab's processes [pure]."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab_py.control_plane import SYSTEM, ControlPlane, istiod, joining
from lab_py.mesh_file import NAMESPACE, uid_of
from lab_py.netns import NAMES
from lab_py.peers.base import Peer
from lab_py.peers.envoy import envoy, proxy_name
from lab_py.redirect.names import PROXY_ID
from lab_py.topology import Design, Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from lab_py.topology import Node, Pod, Topology
    from lab_py.world import WorldFiles

READY = (15021, "/healthz/ready")
RUN = Path("/run")
"""The lab's own, empty at first, and nobody else's: sockets there may have short names."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays which part, where there is a choice."""

    by_uid: bool = True
    """Sidecars run as uid 1337, else their sockets carry it as a mark."""
    control_plane: ControlPlane = ControlPlane.ISTIOD
    envoys: Collection[Kind] = ()
    """The kinds of pods whose proxy is the real Envoy."""

    def __str__(self) -> str:
        told = "istiod_py" if self.control_plane is ControlPlane.ISTIOD else "files"
        real = " and ".join(sorted(kind.value for kind in self.envoys))
        return f"told by {told}{f', the real Envoy as {real}' if real else ''}"


def peers(topology: Topology, files: WorldFiles, cast: Cast) -> Iterator[Peer]:
    """Every process of a topology; those that others need come first. Raises Missing: there is no Envoy.

    A node's ztunnel runs where it has pods to serve.
    """
    if cast.control_plane is ControlPlane.ISTIOD:
        yield istiod(files)
    for pod in topology.pods:
        if pod.port is not None:
            yield application(pod, pod.port)
    for node in topology.nodes:
        yield from _of_node(topology, node, files, cast.control_plane)
    for pod in topology.pods:
        if pod.kind in cast.envoys:
            yield envoy(pod, files)
        elif pod.kind is Kind.SIDECAR:
            yield sidecar(pod, files, topology.design, cast)
        elif pod.kind is Kind.WAYPOINT:
            yield waypoint(pod, files, cast.control_plane)


def application(pod: Pod, port: int) -> Peer:
    """An httpbin on all of the pod's addresses."""
    arguments = ["--host", "0.0.0.0", "--port", str(port), "--name", pod.name]
    return Peer(f"app-{pod.name}", pod.name, _python("lab_py.apps.httpbin", *arguments), (port, "/healthz"))


def _of_node(topology: Topology, node: Node, files: WorldFiles, control_plane: ControlPlane) -> Iterator[Peer]:
    if not any(topology.enrolled_on(node)):
        return
    if topology.design is Design.IN_POD:
        yield agent(node, topology.enrolled_on(node))
    yield ztunnel(node, files, topology.design, control_plane)


def agent_socket(node: str) -> Path:
    """Where a node's agent announces pods to its ztunnel."""
    return RUN / f"{node}.zds"


def control_socket(node: str) -> Path:
    """Where a node's agent is told of pods that come and go."""
    return RUN / f"{node}.control"


def announcement(pod: str) -> str:
    """A pod as its node's agent is told of it: whose it is, and its namespace."""
    return f"{uid_of(pod)}={NAMESPACE}/{pod}/{pod}@{NAMES / pod}"


def agent(node: Node, pods: Iterable[Pod]) -> Peer:
    """Who hands the pods' namespaces to the node's ztunnel, where that serves pods in their own."""
    where, control = agent_socket(node.name), control_socket(node.name)
    arguments = ["--socket", str(where), "--control", str(control), *(announcement(pod.name) for pod in pods)]
    return Peer(f"agent-{node.name}", node.name, _python("lab_py.agent", *arguments), control)


def ztunnel(node: Node, files: WorldFiles, design: Design, control_plane: ControlPlane) -> Peer:
    """A node's proxy, in the node's ztunnel pod; in today's design its sockets are in the pods that it serves."""
    told = {"NODE_NAME": node.name, "DNS_CAPTURE": "false", "POD_NAME": node.ztunnel, "POD_NAMESPACE": SYSTEM}
    if design is Design.IN_POD:
        told |= {"PROXY_MODE": "shared", "INPOD_UDS": str(agent_socket(node.name))}
    else:
        told |= {"PROXY_MODE": "node", "SAME_NODE_INSIDE": "true"}
    return _proxy(node.ztunnel, node.ztunnel, "ztunnel_py", _common(files, node.ztunnel, control_plane) | told)


def sidecar(pod: Pod, files: WorldFiles, design: Design, cast: Cast) -> Peer:
    """The proxy in a pod's own namespace; today's skips waypoints."""
    told = {"PROXY_WORKLOAD_INFO": f"{NAMESPACE}/{pod.name}/{pod.name}"}
    if design is Design.IN_POD:
        told["WAYPOINT_FORM"] = "today"
    if not cast.by_uid:
        told["PACKET_MARK"] = str(PROXY_ID)
    name = proxy_name(pod)
    environment = _common(files, name, cast.control_plane) | told
    return _proxy(name, pod.name, "sidecar_py", environment, PROXY_ID if cast.by_uid else None)


def waypoint(pod: Pod, files: WorldFiles, control_plane: ControlPlane) -> Peer:
    """The layer 7 gateway that is the pod."""
    told = {"PROXY_WORKLOAD_INFO": f"{NAMESPACE}/{pod.name}/{pod.name}"}
    name = proxy_name(pod)
    return _proxy(name, pod.name, "waypoint_py", _common(files, name, control_plane) | told)


def _proxy(name: str, namespace: str, module: str, environment: dict[str, str], uid: int | None = None) -> Peer:
    return Peer(name, namespace, _python(module), READY, environment, uid, is_proxy=True)


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _common(files: WorldFiles, name: str, control_plane: ControlPlane) -> dict[str, str]:
    logs = {"LOG_FORMAT": "json", "RUST_LOG": "info,access=debug"}
    if control_plane is ControlPlane.ISTIOD:
        return logs | joining(files, name)
    from_files = {"LOCAL_XDS_PATH": str(files.mesh), "WORKLOAD_CERT_DIR": str(files.certificates)}
    return logs | from_files | {"XDS_ADDRESS": ""}
