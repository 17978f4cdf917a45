"""Any other HBONE proxy, named by BENCH_PEER_CMD and started with the real ztunnel's environment names.

Each side runs in dedicated mode in a namespace of its own, where it may bind every address. Without a CA in
the run, the proxy is asked for its test CA (FAKE_CA); the certificate files of the run are offered as well.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.certificates import CLIENT, NAMESPACE, SERVER
from benchmarks.mesh_file import mesh_file
from benchmarks.peers.base import Leg, Running, Surroundings, answers_ok
from benchmarks.processes import BenchmarkError, wait_until
from benchmarks.world import Capture, inside

if TYPE_CHECKING:
    import subprocess

COMMAND_VARIABLE = "BENCH_PEER_CMD"
_READINESS_PORT = 15021


class Foreign:
    """The proxy that BENCH_PEER_CMD starts; the same command serves both sides."""

    def start(self, given: Surroundings) -> Running:
        """Starts both sides and waits for their readiness endpoints."""
        world = given.world
        if world.capture is not Capture.REDIRECT or world.client_namespace == world.server_namespace:
            raise BenchmarkError(f"{COMMAND_VARIABLE} needs root, `--topology veth` and `--capture redirect`")
        (given.folder / "mesh.yaml").write_text(mesh_file(world.client_ip, world.server_ip))
        inbound = self._start(given, SERVER, "node-b", world.server_ip, world.server_namespace)
        outbound = self._start(given, CLIENT, "node-a", world.client_ip, world.client_namespace)
        _await_ready(given, SERVER, world.server_namespace, inbound)
        _await_ready(given, CLIENT, world.client_namespace, outbound)
        legs = (Leg("tunnel", world.server_ip),)
        return Running({"outbound": outbound, "inbound": inbound}, Path(_command()[0]).name, "its own", legs)

    def _start(
        self, given: Surroundings, account: str, node: str, address: str, namespace: int | None
    ) -> subprocess.Popen[bytes]:
        with inside(namespace):
            return given.processes.start(
                _command(),
                environment=_environment(given, account, node, address),
                log=given.folder / f"{account}.log",
            )


def _command() -> list[str]:
    return shlex.split(os.environ.get(COMMAND_VARIABLE, ""))


def _environment(given: Surroundings, account: str, node: str, address: str) -> dict[str, str]:
    files = given.certificates / NAMESPACE / account
    return {
        "PROXY_MODE": "dedicated",
        "PROXY_WORKLOAD_INFO": f"{NAMESPACE}/{account}/{account}",
        "LOCAL_XDS_PATH": str(given.folder / "mesh.yaml"),
        "XDS_ADDRESS": "",
        "NODE_NAME": node,
        "INSTANCE_IP": address,
        "FAKE_CA": "true",
        "WORKLOAD_CERT_CHAIN": str(files / "cert-chain.pem"),
        "WORKLOAD_KEY": str(files / "key.pem"),
        "WORKLOAD_ROOT_CERT": str(files / "root-cert.pem"),
        # Without a CNI's routes, answers to a client's own address would leave by the cable, past the proxy.
        "ENABLE_ORIG_SRC": "false",
        "ZTUNNEL_WORKER_THREADS": "1",
        "RUST_LOG": "info" if given.has_log else "warn",
    }


def _await_ready(given: Surroundings, account: str, namespace: int | None, process: subprocess.Popen[bytes]) -> None:
    def ready() -> bool:
        return answers_ok(namespace, "127.0.0.1", _READINESS_PORT, "/healthz/ready")

    wait_until(ready, f"the readiness of {COMMAND_VARIABLE}", 20, process, given.folder / f"{account}.log")
