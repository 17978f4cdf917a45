"""Our own proxies and the applications as the lab's processes [pure]."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lab_py.mesh_file import NAMESPACE
from lab_py.peers.base import Peer
from lab_py.redirect.names import PROXY_ID
from lab_py.topology import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab_py.topology import Node, Pod, Topology
    from lab_py.world import WorldFiles

READY = (15021, "/healthz/ready")


def peers(topology: Topology, files: WorldFiles, *, by_uid: bool) -> Iterator[Peer]:
    """Every process of a topology; those that others need come first.

    A node's ztunnel runs where it has pods to serve.

    Args:
        by_uid: sidecars run as uid 1337, else their sockets carry it as a mark.
    """
    for pod in topology.pods:
        if pod.port is not None:
            yield application(pod, pod.port)
    for node in topology.nodes:
        if any(topology.enrolled_on(node)):
            yield ztunnel(node, files)
    for pod in topology.pods:
        if pod.kind is Kind.SIDECAR:
            yield sidecar(pod, files, by_uid=by_uid)
        if pod.kind is Kind.WAYPOINT:
            yield waypoint(pod, files)


def application(pod: Pod, port: int) -> Peer:
    """An httpbin on all of the pod's addresses."""
    arguments = ["--host", "0.0.0.0", "--port", str(port), "--name", pod.name]
    return Peer(f"app-{pod.name}", pod.name, _python("lab_py.apps.httpbin", *arguments), (port, "/healthz"))


def ztunnel(node: Node, files: WorldFiles) -> Peer:
    """A node's proxy, in the node's ztunnel pod."""
    told = {"PROXY_MODE": "node", "NODE_NAME": node.name, "DNS_CAPTURE": "false", "SAME_NODE_INSIDE": "true"}
    return Peer(node.ztunnel, node.ztunnel, _python("ztunnel_py"), READY, _common(files) | told)


def sidecar(pod: Pod, files: WorldFiles, *, by_uid: bool) -> Peer:
    """The proxy in a pod's own namespace."""
    told = {"PROXY_WORKLOAD_INFO": f"{NAMESPACE}/{pod.name}/{pod.name}"}
    if not by_uid:
        told["PACKET_MARK"] = str(PROXY_ID)
    environment = _common(files) | told
    return Peer(
        f"sidecar-{pod.name}", pod.name, _python("sidecar_py"), READY, environment, PROXY_ID if by_uid else None
    )


def waypoint(pod: Pod, files: WorldFiles) -> Peer:
    """The layer 7 gateway that is the pod."""
    told = {"PROXY_WORKLOAD_INFO": f"{NAMESPACE}/{pod.name}/{pod.name}"}
    return Peer(f"waypoint-{pod.name}", pod.name, _python("waypoint_py"), READY, _common(files) | told)


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _common(files: WorldFiles) -> dict[str, str]:
    return {
        "LOCAL_XDS_PATH": str(files.mesh),
        "XDS_ADDRESS": "",
        "WORKLOAD_CERT_DIR": str(files.certificates),
        "LOG_FORMAT": "json",
        "RUST_LOG": "info,access=debug",
    }
