"""A sidecar as a pod has one: iptables brings traffic to 15001 and 15006, the kernel tells where it was going.

All in one network namespace of its own; who a process is to the rules is told by its group, as Istio does with 1337.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from istiod_py.envoy.resources import resources_of
from mesh_py.model.workload import Protocol
from tests.istiod_py.envoy import meshes
from tests.istiod_py.envoy.meshes import ECHO
from tests.support.certificates import TestRoot
from tests.support.envoy import FLAGS
from tests.support.envoy_static import static_bootstrap
from tests.support.processes import PeerProcess
from tests.support.require import require_envoy, require_netns, require_tool

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.interop, pytest.mark.lab, pytest.mark.privileged]

CLIENT, SERVER, VIP = "10.77.0.1", "10.77.0.2", "10.78.0.1"
SIDECAR_GROUP, APPLICATION_GROUP = "1337", "1000"
RULES = f"""*nat
-A OUTPUT -p tcp -m owner --gid-owner {SIDECAR_GROUP} -j RETURN
-A OUTPUT -p tcp -d {CLIENT} --dport 8080 -j REDIRECT --to-ports 15006
-A OUTPUT -p tcp -m owner --gid-owner {APPLICATION_GROUP} -j REDIRECT --to-ports 15001
COMMIT
"""


class Namespace:
    """A network namespace that lasts as long as the process that holds it."""

    def __init__(self, folder: Path, running: contextlib.ExitStack) -> None:
        self._folder = folder
        self._running = running
        self._holder = self._started([require_tool("unshare"), "--net", require_tool("sleep"), "120"], "holder")
        # Until it has left ours, everything done "in it" would be done to this machine.
        self._holder.wait_until(self._is_apart, "in a namespace of its own")
        for command in (
            ("ip", "link", "set", "lo", "up"),
            ("ip", "addr", "add", f"{CLIENT}/32", "dev", "lo"),
            ("ip", "addr", "add", f"{SERVER}/32", "dev", "lo"),
            ("ip", "route", "add", "default", "dev", "lo"),
        ):
            assert self.run(*command).returncode == 0
        assert self.run("iptables-restore", stdin=RULES).returncode == 0

    def run(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """A short command in it."""
        return subprocess.run(
            self.inside(*command), input=stdin, capture_output=True, text=True, timeout=20, check=False
        )

    def start(self, name: str, *command: str, group: str = "0") -> PeerProcess:
        """A process in it, of a group, until the test ends."""
        whole = self.inside("setpriv", "--regid", group, "--clear-groups", *command)
        return self._started(whole, name)

    def inside(self, *command: str) -> list[str]:
        """The command line that runs a command in it."""
        program = command[0] if "/" in command[0] else require_tool(command[0])
        return [require_tool("nsenter"), "-t", str(self._holder.pid), "-n", program, *command[1:]]

    def get(self, url: str, group: str) -> str:
        """The body of an answer to somebody of a group."""
        setpriv = ("setpriv", "--regid", group, "--clear-groups")
        return self.run(*setpriv, require_tool("curl"), "-s", "--max-time", "10", url).stdout

    def _is_apart(self) -> bool:
        own, its = (Path(f"/proc/{process}/ns/net").readlink() for process in ("self", self._holder.pid))
        return own != its

    def _started(self, command: list[str], name: str) -> PeerProcess:
        process = PeerProcess(command, self._folder / f"{name}.log")
        self._running.callback(process.stop)
        return process


@pytest.fixture
def namespace(tmp_path: Path) -> Iterator[Namespace]:
    require_netns()
    with contextlib.ExitStack() as running:
        yield Namespace(tmp_path, running)


def start_envoy(namespace: Namespace, folder: Path) -> None:
    """The sidecar of `client`, on all addresses, told of the service."""
    server = meshes.echo_pod(SERVER, "server", protocol=Protocol.TCP)
    told = meshes.mesh(meshes.echo_service(VIP), server, meshes.echo_pod(CLIENT, "client", services={}))
    config = folder / "envoy.json"
    files = TestRoot(folder / "root").issue("client", "default/client")
    resources = resources_of(told, meshes.sidecar(CLIENT))
    config.write_text(json.dumps(static_bootstrap(resources, files, "127.0.0.1")))
    envoy = namespace.start("envoy", str(require_envoy()), "-c", str(config), *FLAGS, group=SIDECAR_GROUP)
    ready = "http://127.0.0.1:15000/ready"
    envoy.wait_until(lambda: namespace.get(ready, SIDECAR_GROUP).strip() == "LIVE", "ready")


def says(process: PeerProcess, words: str) -> bool:
    return words in process.output


def test_the_kernel_tells_the_sidecar_where_connections_were_going(namespace: Namespace, tmp_path: Path) -> None:
    start_envoy(namespace, tmp_path)
    for name, ip in (("server", SERVER), ("client", CLIENT)):
        application = ("-m", "lab_py.apps.httpbin", "--host", ip, "--port", "8080", "--name", name)
        process = namespace.start(f"{name}-app", sys.executable, *application, group=APPLICATION_GROUP)
        process.wait_until(partial(says, process, "listening"), "listening", 30)

    for port in (80, 82):  # declared HTTP, and found out
        assert "server" in namespace.get(f"http://{VIP}:{port}/hostname", APPLICATION_GROUP)
    assert "client" in namespace.get(f"http://{CLIENT}:8080/hostname", "0")
    stats = namespace.get("http://127.0.0.1:15000/stats", SIDECAR_GROUP)
    assert f"cluster.outbound|80||{ECHO}.upstream_rq_200: 1" in stats
    assert f"cluster.outbound|82||{ECHO}.upstream_rq_200: 1" in stats
    assert "cluster.InboundPassthroughCluster.upstream_cx_total: 1" in stats
