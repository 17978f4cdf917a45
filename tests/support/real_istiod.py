"""Istio's own control plane over a folder of manifests, without a cluster: tests/peers/istiod, built.

It signs with an authority that our control plane could have made, so that both can serve one mesh, one after the other.
"""

from __future__ import annotations

import contextlib
import datetime
import urllib.request
from typing import TYPE_CHECKING

from mesh_py.identity.local_ca import LocalCa
from tests.support.istiod import Istiod
from tests.support.processes import PeerProcess
from tests.support.require import real_istiod

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class RealIstiod(Istiod):
    """The same ports and names of metrics as ours."""

    def count(self, metric: str, *labels: str) -> float:
        """All series of a metric that carry these values, together."""
        series = (line.rpartition(" ") for line in self.get("/metrics").splitlines())
        found = (value for name, _, value in series if name.partition("{")[0] == metric and _has(name, labels))
        return sum(map(float, found))

    def is_ready(self) -> bool:
        url = f"http://{self.address}:8080/ready"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return True
        return False


def _has(series: str, labels: tuple[str, ...]) -> bool:
    return all(f'"{label}"' in series for label in labels)


def plug_in_authority(state: Path) -> Path:
    """The folder of our authority, with the one file more that Istio asks of an operator: the chain."""
    folder = state / "ca"
    LocalCa.open(folder, datetime.datetime.now(datetime.UTC), intermediate=True)
    (folder / "cert-chain.pem").write_bytes((folder / "ca-cert.pem").read_bytes())
    return folder


@contextlib.contextmanager
def start_real_istiod(folder: Path, state: Path, address: str, log: str = "real-istiod.log") -> Iterator[RealIstiod]:
    """Run it on `address` over `folder` until the block ends; see `wait_ready`."""
    program = real_istiod()
    state.mkdir(exist_ok=True)
    environment = {"ROOT_CA_DIR": str(plug_in_authority(state))}
    process = PeerProcess([str(program), str(folder), address], state / log, environment)
    try:
        yield RealIstiod(address, folder, state, process)
    finally:
        process.stop()
