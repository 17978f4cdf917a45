"""Where the lab's proxies have mesh and certificates from: files, or istiod_py, which is a process of the lab.

istiod_py stands on the fabric, beside the nodes, in the namespace of the bridge. Nothing captures what is between it
and the proxies, and no hop is proved by it (`is_labs_own`).
"""

from __future__ import annotations

import sys
from enum import Enum
from typing import TYPE_CHECKING

from lab_py.mesh_file import CLUSTER, NAMESPACE, TRUST_DOMAIN
from lab_py.peers.base import Peer
from lab_py.topology import CONTROL_PLANE_IP, FABRIC, Kind
from mesh_py.identity.key_files import PRIVATE, write_file
from mesh_py.identity.tokens import Caller, TokenKey

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator

    from lab_py.topology import Topology
    from lab_py.world import WorldFiles

NAME = "istiod"
PORT, MONITORING_PORT = 15012, 15014
SYSTEM = "istio-system"
"""The namespace of who belongs to nodes and not to pods."""
TOKEN_SECONDS = 30 * 86_400.0
"""A lab may stay up for long, and nobody renews its tokens."""


class ControlPlane(Enum):
    """Who tells the proxies."""

    ISTIOD = "istiod"
    FILE = "file"


def istiod(files: WorldFiles) -> Peer:
    """The control plane as a process."""
    arguments = ["--config", str(files.manifests.parent), "--state-dir", str(files.istiod), "--bind", CONTROL_PLANE_IP]
    names = ["--cluster-id", CLUSTER, "--trust-domain", TRUST_DOMAIN, "--no-plaintext-xds"]
    command = [sys.executable, "-m", "istiod_py", *arguments, *names]
    return Peer(NAME, FABRIC, command, (MONITORING_PORT, "/ready"), {"LOG_FORMAT": "json"})


def joining(files: WorldFiles, proxy: str) -> dict[str, str]:
    """What a proxy is told in order to join istiod_py.

    Args:
        proxy: what its process is called.
    """
    where, roots = f"https://{CONTROL_PLANE_IP}:{PORT}", str(files.authority / "root-cert.pem")
    return {
        "XDS_ADDRESS": where,
        "XDS_ROOT_CA": roots,
        "CA_ADDRESS": where,
        "CA_ROOT_CA": roots,
        "AUTH_TOKEN": str(files.token(proxy)),
    }


def write_tokens(topology: Topology, files: WorldFiles, now: datetime.datetime) -> None:
    """A token for every proxy, in a file that is its own. Raises OSError, TokenError."""
    key = TokenKey.open(files.istiod)
    files.tokens.mkdir(mode=0o700)
    for proxy, caller in _callers(topology):
        token = key.mint(caller, now.timestamp(), TOKEN_SECONDS)
        write_file(files.token(proxy), token.encode(), PRIVATE)


def _callers(topology: Topology) -> Iterator[tuple[str, Caller]]:
    """Every proxy by its process's name, and who it says that it is."""
    for node in topology.nodes:
        yield node.ztunnel, Caller(SYSTEM, "ztunnel", node.ztunnel, node=node.name)
    for pod in topology.pods:
        if pod.kind in (Kind.SIDECAR, Kind.WAYPOINT):
            yield f"{pod.kind.value}-{pod.name}", Caller(NAMESPACE, pod.name, pod.name, node=pod.node.name)
