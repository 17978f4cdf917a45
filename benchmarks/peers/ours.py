"""Our node proxy as a pair: two processes, node-a and node-b, each with one worker.

Started with the real ztunnel's environment names wherever it has them; everything is switched on:
routing, policy lookup, metrics, and the log if it is asked for.
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from benchmarks import interpreter
from benchmarks.certificates import CLIENT, SERVER
from benchmarks.mesh_file import mesh_file
from benchmarks.peers.base import Pair, Surroundings, answers_ok
from benchmarks.plan import Logging
from benchmarks.processes import wait_until
from benchmarks.world import Capture, inside

if TYPE_CHECKING:
    import subprocess

_READINESS_PORT = 15021
_WINDOWS = "16 MiB a stream, 64 MiB a connection"


class Ours:
    """`python -m ztunnel_py` on both sides."""

    def start(self, given: Surroundings) -> Pair:
        """Starts both node proxies and waits for their readiness endpoints."""
        world = given.world
        mesh = given.folder / "mesh.yaml"
        mesh.write_text(mesh_file(world.client_ip, world.server_ip))
        inbound = self._start(given, SERVER, world.server_ip, "node-b", world.server_namespace)
        outbound = self._start(given, CLIENT, world.client_ip, "node-a", world.client_namespace)
        _await_ready(given, SERVER, world.server_namespace, world.server_ip, inbound)
        _await_ready(given, CLIENT, world.client_namespace, world.client_ip, outbound)
        return Pair(outbound, inbound, metadata.version("hbone-mesh"), _WINDOWS)

    def _start(
        self, given: Surroundings, account: str, address: str, node: str, namespace: int | None
    ) -> subprocess.Popen[bytes]:
        command = [interpreter.command(), "-m", "ztunnel_py", "--bind", address, "--node", node]
        with inside(namespace):
            return given.processes.start(command, environment=_environment(given), log=given.folder / f"{account}.log")


def _environment(given: Surroundings) -> dict[str, str]:
    world = given.world
    return {
        **interpreter.environment(),
        "PROXY_MODE": "node",
        "LOCAL_XDS_PATH": str(given.folder / "mesh.yaml"),
        "XDS_ADDRESS": "",
        "WORKLOAD_CERT_DIR": str(given.certificates),
        "RUST_LOG": "info" if given.logging is Logging.TUNNEL else "warn",
        # Across a veth the application's answers to a client's own address would leave by the cable, past the proxy.
        **({"ENABLE_ORIG_SRC": "false"} if world.client_namespace != world.server_namespace else {}),
        "PROXY_PROTOCOL_CAPTURE": "true" if world.capture is Capture.PROXY else "false",
    }


def _await_ready(
    given: Surroundings, account: str, namespace: int | None, address: str, process: subprocess.Popen[bytes]
) -> None:
    def ready() -> bool:
        return answers_ok(namespace, address, _READINESS_PORT, "/healthz/ready")

    wait_until(ready, "ztunnel_py's readiness", 20, process, given.folder / f"{account}.log")
