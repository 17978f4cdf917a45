"""What a person reads who has started the control plane: how the first proxies join."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from hbone_py.address import format_address, is_loopback
from mesh_py.xds.wire_values import DEFAULT_CLUSTER

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from istiod_py.config import Settings
    from mesh_py.model.workload import Workload
    from mesh_py.process.console import Console

_UNNAMED = {"::": "localhost", "0.0.0.0": "localhost"}
MOST_NODES = 3
"""Nodes that are named; of more the others go the same way."""


def announce(
    settings: Settings,
    sockets: Mapping[str, socket.socket],
    roots: Path,
    workloads: Iterable[Workload],
    console: Console,
) -> None:
    """Print it."""
    addresses = {name: sock.getsockname()[:2] for name, sock in sockets.items()}
    for line in lines(settings, addresses, roots, nodes_of(workloads)):
        console.say(line)


def nodes_of(workloads: Iterable[Workload]) -> dict[str, str]:
    """Every node, and the address its proxy can stand on: that of its one pod if it is of this machine, else ""."""
    found: dict[str, list[str]] = {}
    for workload in workloads:
        if workload.node:
            found.setdefault(workload.node, []).extend(map(str, workload.workload_ips))
    return {node: ips[0] if len(ips) == 1 and is_loopback(ips[0]) else "" for node, ips in sorted(found.items())}


def lines(
    settings: Settings, addresses: Mapping[str, tuple[str, int]], roots: Path, nodes: Mapping[str, str]
) -> list[str]:
    """The environment of a node proxy, a command for each node, and where to look."""
    host, port = addresses["secure"]
    secure = format_address(_UNNAMED.get(host, host), port)
    state = shlex.quote(str(settings.state_folder))
    named = list((nodes or {"node-a": ""}).items())
    found = [
        f"serving {settings.folder} on https://{secure}",
        "a node's proxy joins with:",
        f"  export XDS_ADDRESS=https://{secure} CA_ADDRESS=https://{secure} PROXY_MODE=node{_cluster(settings)}",
        f"  export XDS_ROOT_CA={shlex.quote(str(roots))} CA_ROOT_CA={shlex.quote(str(roots))}",
        *(_join(node, address, state) for node, address in named[:MOST_NODES]),
        f"look at it: curl http://{format_address(*addresses['monitoring'])}/debug",
    ]
    if len(named) > MOST_NODES:
        found.insert(-1, f"  ... and so on for {len(named) - MOST_NODES} more nodes")
    if "plaintext" in addresses:
        found.append(f"plaintext, for this machine alone: {format_address(*addresses['plaintext'])}")
    return found


def _cluster(settings: Settings) -> str:
    """Proxies must say another one than the default, or they get no certificates for their pods."""
    cluster = settings.mesh.cluster_id
    return "" if cluster == DEFAULT_CLUSTER else f" CLUSTER_ID={shlex.quote(cluster)}"


def _join(node: str, address: str, state: str) -> str:
    token = f"python -m istiod_py token istio-system/ztunnel --node {shlex.quote(node)} --state-dir {state}"
    bind = f"PROXY_BIND_ADDRESS={address} " if address else ""
    who = f"NODE_NAME={shlex.quote(node)} POD_NAME={shlex.quote(f'ztunnel-{node}')} POD_NAMESPACE=istio-system"
    return f"  {who} {bind}AUTH_TOKEN=$({token}) python -m ztunnel_py"
