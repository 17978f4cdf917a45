"""The real Envoy as an HBONE peer: started from a template of ours, asked for its own counters.

Every process has its own 127.x.y.z, so each keeps the real ports. Facts of the program itself: it must be
started from the main thread (processes.py), refuses a second copy with its base id, logs late unless told.
"""

from __future__ import annotations

import contextlib
import json
import re
import string
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.support.certificates import TRUST_DOMAIN
from tests.support.processes import PeerProcess, eventually, loopback_address
from tests.support.require import require_envoy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.certificates import CertificateFiles

Role = Literal["server", "client", "http", "mesh", "sidecar_outbound", "sidecar_inbound", "by_waypoint"]
"""Templates of ours; `mesh` is whatever configuration the control plane gives."""
TEMPLATES = Path(__file__).parent / "envoy"
DEFAULTS = {
    "TRUST_DOMAIN": TRUST_DOMAIN,
    "HBONE_PORT": "15008",
    "PROXY_PORT": "15002",
    "ADMIN_PORT": "15000",
    "DRAIN_TIMEOUT": "5s",
    # Envoy's own defaults, written out so that a test changes one of them and nothing else.
    "STREAM_WINDOW": str(16 << 20),
    "CONNECTION_WINDOW": str(24 << 20),
    "MAX_STREAMS": "1024",
    # Istio sidecars.
    "HTTP_PORT": "15101",
    "H2_PORT": "15102",
    "TCP_PORT": "15103",
    "POD_PORT": "8080",
    "PEER_PORT": "8080",
    "HOST": "httpbin.default.svc.cluster.local",
}
FLAGS = ["--use-dynamic-base-id", "--concurrency", "1", "-l", "warning", "--file-flush-interval-msec", "20"]


@dataclass(frozen=True, slots=True)
class Envoy:
    """A running Envoy; `address` is the one all its ports are on."""

    role: Role
    address: str
    process: PeerProcess
    keys: dict[str, str]

    @property
    def proxy_port(self) -> int:
        return int(self.keys["PROXY_PORT"])

    def stat(self, name: str) -> int:
        """The counter or gauge of this full name; if there is none, the sum of those whose name ends in it.

        Envoy makes many counters at first use only, so one that is not there yet is 0.
        """
        stats = self.stats()
        if name in stats:
            return stats[name]
        return sum(value for full, value in stats.items() if full.endswith(f".{name}"))

    def stats(self) -> dict[str, int]:
        """Every counter and gauge by its full name."""
        answer = json.loads(self.admin("/stats?format=json&type=Counters"))
        gauges = json.loads(self.admin("/stats?format=json&type=Gauges"))
        return {row["name"]: row["value"] for row in answer["stats"] + gauges["stats"] if "name" in row}

    def captured_connections(self) -> int:
        """How many connections the client role has taken over since it started."""
        return int(self.admin("/stats?filter=^tcp.captured.downstream_cx_total$").rpartition(": ")[2])

    def admin(self, path: str, method: str = "GET") -> str:
        """Ask the administration port; raises URLError when nobody listens there."""
        request = urllib.request.Request(f"http://{self.address}:{self.keys['ADMIN_PORT']}{path}", method=method)
        with urllib.request.urlopen(request, timeout=5) as answer:
            text: str = answer.read().decode()
        return text

    def access_log(self) -> list[str]:
        """The lines of tunnels that have ended, oldest first."""
        return re.findall(r"^(?:tunnel|captured|inbound|outbound) .*$", self.process.output, re.MULTILINE)

    async def logged(self, words: str) -> str:
        """The first line of an ended tunnel with `words` in it, awaited: lines are written a little late.

        An Envoy that outlives a test has lines of earlier ones, and ports come again: ask for what only yours has.
        """
        await eventually(lambda: any(words in line for line in self.access_log()), f"{words} logged")
        return next(line for line in self.access_log() if words in line)

    def is_serving(self) -> bool:
        """Whether it has all that its listeners need, from a control plane say, and takes connections."""
        return self.stat("listener_manager.workers_started") == 1

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            return self.admin("/ready").strip() == "LIVE"
        return False


def render(role: Role, keys: dict[str, str]) -> str:
    """The template of `role` filled in; KeyError for a missing key, ValueError for one it does not know."""
    text = (TEMPLATES / f"{role}.yaml").read_text()
    known = set(re.findall(r"\$\{([A-Z_]+)\}", text)) | DEFAULTS.keys()
    if unknown := sorted(keys.keys() - known):
        raise ValueError(f"{role}.yaml does not know {unknown}")
    return string.Template(text).substitute(keys)


@contextlib.contextmanager
def start_envoy(
    role: Role,
    folder: Path,
    certificate: CertificateFiles | None,
    *,
    roots: Path | None = None,
    flags: tuple[str, ...] = (),
    **keys: str | int,
) -> Iterator[Envoy]:
    """Run Envoy until the block ends; ready when entered.

    `certificate` None makes a client that has none to show; then `roots` says whom it trusts.
    """
    address = str(keys.pop("ADDRESS", "") or loopback_address())
    trusted = roots or (certificate and certificate.roots)
    filled = {
        **DEFAULTS,
        "ADDRESS": address,
        "CERTIFICATES": _tls_certificates(certificate),
        "ROOTS": str(trusted),
        **{key: str(value) for key, value in keys.items()},
    }
    config = folder / f"envoy-{role}-{address}.yaml"
    config.write_text(render(role, filled))
    with run_envoy(role, address, config, filled, flags) as envoy:
        yield envoy


@contextlib.contextmanager
def run_envoy(
    role: Role, address: str, config: Path, keys: dict[str, str], flags: tuple[str, ...] = ()
) -> Iterator[Envoy]:
    """Run Envoy with a configuration file until the block ends; ready when entered."""
    command = [str(require_envoy()), "-c", str(config), *FLAGS, *flags]
    process = PeerProcess(command, config.with_suffix(".log"))
    envoy = Envoy(role, address, process, keys)
    try:
        process.wait_until(envoy.is_ready, "ready")
        yield envoy
    finally:
        process.stop()


def _tls_certificates(files: CertificateFiles | None) -> str:
    if files is None:
        return "[]"
    return f'[{{certificate_chain: {{filename: "{files.chain}"}}, private_key: {{filename: "{files.key}"}}}}]'
