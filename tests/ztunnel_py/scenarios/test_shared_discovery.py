"""Our node proxy in shared mode with a control plane of ours: as a DaemonSet beside istiod, an agent on the node."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.namespace import NetworkNamespace
from lab_py.agent import Agent, AnnouncedPod
from mesh_py.settings.kinds import WorkloadInfo
from tests.istiod_py.joined import NAMESPACE, JoinedMesh
from tests.support.pod_networks import PodNetwork, two_pods
from tests.support.processes import PeerProcess, eventually, loopback_address
from tests.ztunnel_py.nodes import Node
from tests.ztunnel_py.worlds import COMMAND, START_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.interop, pytest.mark.lab, pytest.mark.privileged]

PORT = 8000
POD = """---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: default, labels: {{app: {name}}}}}
spec: {{serviceAccountName: {name}, nodeName: here, containers: [{{name: app}}]}}
status: {{podIP: {ip}, phase: Running}}
"""


@dataclass(slots=True)
class SharedMesh:
    """Two pods of one node, of which the control plane knows what is in its folder."""

    mesh: JoinedMesh
    proxy: Node
    a: PodNetwork
    b: PodNetwork

    def tell_of(self, pod: PodNetwork) -> None:
        """A manifest for the control plane."""
        self.mesh.write(f"{pod.name}.yaml", POD.format(name=pod.name, ip=pod.ip))

    def agent(self) -> Agent:
        """One that knows both pods."""
        agent = Agent()
        for pod in (self.a, self.b):
            info = WorkloadInfo("default", pod.name, pod.name)
            agent.pods[pod.name] = AnnouncedPod(pod.name, info, NetworkNamespace.open(pod.path))
        return agent

    async def origin(self) -> str:
        """Whom the application in `b` sees when `a` calls."""
        done = await asyncio.to_thread(self.a.run, "curl", "-s", "--max-time", "15", f"http://{self.b.ip}:{PORT}/ip")
        assert done.returncode == 0, self.proxy.log
        return str(json.loads(done.stdout)["origin"])

    def certificates(self) -> dict[str, str]:
        """Service accounts, and the state of their certificates."""
        shown = json.loads(self.proxy.get("/config_dump"))["certificates"]
        return {one["identity"].rpartition("/")[2]: one["state"] for one in shown}


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[SharedMesh]:
    """The control plane, the proxy, and an application in `b`."""
    for folder in ("mesh", "state"):
        (tmp_path / folder).mkdir()
    mesh = JoinedMesh(tmp_path / "mesh", tmp_path / "state", loopback_address())
    mesh.write("mesh.yaml", NAMESPACE)
    proxy = Node("ztunnel", loopback_address(), [*COMMAND], {}, tmp_path / "ztunnel.log")
    with two_pods(tmp_path) as (a, b), mesh.controlled():
        command = [sys.executable, "-m", "lab_py.apps.httpbin", "--host", "0.0.0.0", "--port", str(PORT)]
        application = PeerProcess(b.inside(*command), tmp_path / "httpbin.log")
        socket = tmp_path / "z.sock"
        mesh.start_node(proxy, on="here", PROXY_MODE="", INPOD_UDS=str(socket), PROXY_PROTOCOL_CAPTURE="")
        try:
            application.wait_until(lambda: bool(b.sockets(f"sport = :{PORT}")), "listening")
            yield SharedMesh(mesh, proxy, a, b)
        finally:
            application.kill()
            proxy.stop()


async def test_pods_that_discovery_learns_of_later(shared: SharedMesh, tmp_path: Path) -> None:
    """Certificates come ahead of calls, calls wait for their workload, and with a workload goes its certificate."""
    async with shared.agent().listening(tmp_path / "z.sock"):
        await eventually(shared.proxy.is_ready, "ready", START_SECONDS)
        assert shared.certificates() == {}
        shared.tell_of(shared.a)
        await eventually(lambda: shared.certificates() == {"a": "Available"}, "a's fetched")
        async with asyncio.TaskGroup() as group:
            early = group.create_task(shared.origin())
            waiting = ("state", "established", f"( src {shared.b.ip} and dst {shared.a.ip} )")
            await eventually(lambda: bool(shared.b.sockets(*waiting)), "waiting at b")
            shared.tell_of(shared.b)
            assert await early == shared.a.ip
        await eventually(lambda: shared.certificates() == {"a": "Available", "b": "Available"}, "b's fetched")
        assert await shared.origin() == shared.a.ip
        assert shared.b.sockets("state", "established", "( sport = :15008 )") != []
        shared.mesh.remove("b.yaml")
        await eventually(lambda: shared.certificates() == {"a": "Available"}, "b's forgotten")
