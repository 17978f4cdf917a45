"""Our control plane as an operator runs it: a process of its own over a folder of manifests."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mesh_py.identity.tokens import Caller, TokenKey
from tests.support.processes import PeerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Istiod:
    """A running control plane; all its ports are on `address`, the real ones."""

    address: str
    folder: Path
    state: Path
    process: PeerProcess

    @property
    def url(self) -> str:
        """Discovery and certificates."""
        return f"https://{self.address}:15012"

    @property
    def roots(self) -> Path:
        return self.state / "ca" / "root-cert.pem"

    def get(self, path: str) -> str:
        """A page of 15014."""
        with urllib.request.urlopen(f"http://{self.address}:15014{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def page(self, name: str) -> Any:
        """A debug page."""
        return json.loads(self.get(f"/debug/{name}"))

    def count(self, metric: str, *labels: str) -> float:
        """What a metric shows; 0 before it has counted anything."""
        wanted = f"{metric}{{" if labels else f"{metric} "
        for line in self.get("/metrics").splitlines():
            if line.startswith(wanted) and all(f'"{label}"' in line for label in labels):
                return float(line.rpartition(" ")[2])
        return 0.0

    def token(self, account: str, node: str = "") -> str:
        """A token of a service account (`namespace/name`), signed here with the key that `istiod_py token` uses."""
        namespace, _, name = account.partition("/")
        return TokenKey.open(self.state).mint(Caller(namespace, name, node=node), time.time())

    def token_by_command(self, account: str, *more: str) -> str:
        """The same by the command that people use, a process of its own."""
        command = [sys.executable, "-m", "istiod_py", "token", account, "--state-dir", str(self.state), *more]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError, urllib.error.HTTPError):
            return self.get("/ready") == "ready\n"
        return False

    def wait_ready(self) -> None:
        self.process.wait_until(self.is_ready, "ready", START_SECONDS)


@contextlib.contextmanager
def start_istiod(folder: Path, state: Path, address: str, *flags: str, log: str = "istiod.log") -> Iterator[Istiod]:
    """Run it on `address` over `folder` until the block ends; see `wait_ready`."""
    state.mkdir(exist_ok=True)
    command = [sys.executable, "-W", "error", "-m", "istiod_py", "--config", str(folder), "--state-dir", str(state)]
    process = PeerProcess([*command, "--bind", address, *flags], state / log)
    try:
        yield Istiod(address, folder, state, process)
    finally:
        process.stop()
