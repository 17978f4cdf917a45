"""Our node proxy as a pair: two processes, node-a and node-b, each with one worker.

Started with the real ztunnel's environment names wherever it has them; everything is switched on:
routing, policy lookup, metrics, and the log if it is asked for.
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from benchmarks.certificates import CLIENT, SERVER
from benchmarks.mesh_file import mesh_file
from benchmarks.peers.base import Leg, Running
from benchmarks.peers.our_process import await_ready, start_node
from benchmarks.world import Capture, pod_addresses

if TYPE_CHECKING:
    from benchmarks.peers.base import Surroundings

WINDOWS = "16 MiB a stream, 64 MiB a connection"


class Ours:
    """`python -m ztunnel_py` on both sides, with so many workers each."""

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers

    def start(self, given: Surroundings) -> Running:
        """Starts both node proxies and waits for their readiness endpoints."""
        world = given.world
        pods = pod_addresses(world) if given.is_cold else []
        (given.folder / "mesh.yaml").write_text(mesh_file(world.client_ip, world.server_ip, pods))
        environment = {**_environment(given), "ZTUNNEL_WORKER_THREADS": str(self._workers)}
        bind = "0.0.0.0" if given.is_cold else world.server_ip
        inbound = start_node(given, "node-b", SERVER, bind, world.server_namespace, more=environment)
        outbound = start_node(given, "node-a", CLIENT, world.client_ip, world.client_namespace, more=environment)
        await_ready(given, SERVER, world.server_ip, world.server_namespace, inbound)
        await_ready(given, CLIENT, world.client_ip, world.client_namespace, outbound)
        legs = (Leg("tunnel", pods[0] if pods else world.server_ip),)
        processes = {"outbound": outbound, "inbound": inbound}
        return Running(processes, metadata.version("hbone-mesh"), WINDOWS, legs)


def _environment(given: Surroundings) -> dict[str, str]:
    world = given.world
    return {
        "LOCAL_XDS_PATH": str(given.folder / "mesh.yaml"),
        # Of a pool that is to be cold, no connection outlives its tunnel for long.
        **({"POOL_UNUSED_RELEASE_TIMEOUT": "500ms"} if given.is_cold else {}),
        # Across a veth the application's answers to a client's own address would leave by the cable, past the proxy.
        **({"ENABLE_ORIG_SRC": "false"} if world.client_namespace != world.server_namespace else {}),
        "PROXY_PROTOCOL_CAPTURE": "true" if world.capture is Capture.PROXY else "false",
    }
