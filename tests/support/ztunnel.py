"""Our node proxy as an operator runs it: a process of its own, configured by files and the environment.

It takes the place of either Envoy of a pair: captured connections come with a PROXY protocol header, and the pods it
serves are loopback addresses of their own.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tests.support.processes import PeerProcess

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from tests.support.certificates import CertificateFiles

READINESS_PORT = 15021
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Ztunnel:
    """A running node proxy; all its ports are on `address`."""

    address: str
    process: PeerProcess

    @property
    def capture_port(self) -> int:
        return 15001

    def is_ready(self) -> bool:
        """Whether it says so itself."""
        url = f"http://{self.address}:{READINESS_PORT}/healthz/ready"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return True
        return False

    def wait_ready(self) -> None:
        """Block until it is; several can start side by side."""
        self.process.wait_until(self.is_ready, "ready", START_SECONDS)


class Pod(NamedTuple):
    """A workload of the mesh, in namespace `default`."""

    name: str
    account: str
    address: str
    node: str


def mesh_yaml(pods: Iterable[Pod]) -> str:
    """A mesh file in which every pod is reached by HBONE (hbone-controlplane 5)."""
    rows = [
        f'- {{uid: "cluster//Pod/default/{pod.name}", name: {pod.name}, namespace: default, '
        f"serviceAccount: {pod.account}, trustDomain: cluster.local, "
        f'workloadIps: ["{pod.address}"], protocol: HBONE, node: {pod.node}, services: {{}}}}\n'
        for pod in pods
    ]
    return "workloads:\n" + "".join(rows)


def lay_out_certificates(folder: Path, accounts: Mapping[str, CertificateFiles]) -> Path:
    """Copy certificates to where a node proxy looks for those of `default`'s service accounts."""
    for account, files in accounts.items():
        target = folder / "default" / account
        target.mkdir(parents=True)
        shutil.copy(files.chain, target / "cert-chain.pem")
        shutil.copy(files.key, target / "key.pem")
        shutil.copy(files.roots, target / "root-cert.pem")
    return folder


@contextlib.contextmanager
def start_ztunnel(
    folder: Path, address: str, node: str, *, mesh: Path, certificates: Path, loop: str
) -> Iterator[Ztunnel]:
    """Run a node proxy on `address` for the pods of `node` until the block ends; see `wait_ready`."""
    environment = {
        "PROXY_MODE": "node",
        "NODE_NAME": node,
        "PROXY_BIND_ADDRESS": address,
        "LOCAL_XDS_PATH": str(mesh),
        "XDS_ADDRESS": "",
        "WORKLOAD_CERT_DIR": str(certificates),
        "PROXY_PROTOCOL_CAPTURE": "true",
    }
    command = [sys.executable, "-W", "error", "-m", "ztunnel_py", "--loop", loop]
    process = PeerProcess(command, folder / f"ztunnel-{address}.log", environment)
    try:
        yield Ztunnel(address, process)
    finally:
        process.stop()
