"""The ambient example as its README says: served, joined by two node proxies, called through them, edited meanwhile."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.istiod_py.test_examples import EXAMPLES
from tests.support.istiod import Istiod, start_istiod
from tests.support.processes import PeerProcess
from tests.support.ztunnel import Ztunnel
from tests.ztunnel_py.worlds import CLEAN, world_net

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.interop

HTTPBIN = "http://httpbin.default.svc.cluster.local:8000"
START_SECONDS = 30.0
DONE = "connection complete"
REFUSED = "allow policies exist, but none allowed"


@dataclass(frozen=True, slots=True)
class World:
    """Everything of the example, on a network of its own."""

    net: str
    istiod: Istiod
    node_a: Ztunnel
    node_b: Ztunnel

    def get(self, path: str) -> httpx.Response:
        """A request of sleep's."""
        with httpx.Client(proxy=f"socks5h://{self.net}.0.1:15080", timeout=10) as client:
            return client.get(HTTPBIN + path)

    def is_refused(self) -> bool:
        """Whether sleep's requests are cut."""
        with contextlib.suppress(httpx.TransportError):
            self.get("/get")
            return False
        return True

    def edit(self, file: str, old: str, new: str) -> None:
        """Change a manifest."""
        path = self.istiod.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


def copied(example: str, folder: Path, net: str) -> Path:
    """An example with addresses that no world beside the tests has."""
    folder.mkdir()
    for file in (EXAMPLES / example).glob("*.yaml"):
        (folder / file.name).write_text(file.read_text().replace("127.0.", f"{net}."))
    return folder


@contextlib.contextmanager
def node_proxy(istiod: Istiod, node: str, address: str, **more: str) -> Iterator[Ztunnel]:
    """A node's proxy, told what the banner says and where to listen."""
    environment = {
        **CLEAN,
        "XDS_ADDRESS": istiod.url,
        "CA_ADDRESS": istiod.url,
        "XDS_ROOT_CA": str(istiod.roots),
        "CA_ROOT_CA": str(istiod.roots),
        "AUTH_TOKEN": istiod.token_by_command("istio-system/ztunnel", "--node", node),
        "PROXY_MODE": "node",
        "NODE_NAME": node,
        "POD_NAME": f"ztunnel-{node}",
        "POD_NAMESPACE": "istio-system",
        "PROXY_BIND_ADDRESS": address,
        **more,
    }
    command = [sys.executable, "-W", "error", "-m", "ztunnel_py"]
    process = PeerProcess(command, istiod.state / f"{node}.log", environment)
    try:
        yield Ztunnel(address, process)
    finally:
        process.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    base = tmp_path_factory.mktemp("example")
    net = world_net()
    folder = copied("ambient", base / "mesh", net)
    application = [sys.executable, "-m", "lab_py.apps.httpbin", "--host", f"{net}.2.1", "--port", "8080"]
    with contextlib.ExitStack() as running:
        httpbin = PeerProcess(application, base / "httpbin.log")
        running.callback(httpbin.stop)
        istiod = running.enter_context(start_istiod(folder, base / "state", f"{net}.255.1"))
        istiod.wait_ready()
        capture = {"UNSTABLE_ENABLE_SOCKS5": "true", "SOCKS5_SOURCE_WORKLOAD": "default/sleep"}
        node_a = running.enter_context(node_proxy(istiod, "node-a", f"{net}.0.1", **capture))
        node_b = running.enter_context(node_proxy(istiod, "node-b", f"{net}.2.1"))
        for node in (node_a, node_b):
            node.process.wait_until(node.is_ready, "ready", START_SECONDS)
        yield World(net, istiod, node_a, node_b)


def test_sleep_reaches_httpbin_by_its_name_through_both_proxies(world: World) -> None:
    answer = world.get("/ip")
    assert answer.status_code == 200
    assert answer.json()["origin"] == f"{world.net}.1.1"
    sleep, httpbin = "spiffe://cluster.local/ns/default/sa/sleep", "spiffe://cluster.local/ns/default/sa/httpbin"
    for node, direction in ((world.node_a, "outbound"), (world.node_b, "inbound")):
        node.process.wait_until(lambda: len(carried(node)) > 0, "a line", 10)  # noqa: B023
        for line in carried(node):
            assert f'direction="{direction}"' in line
            assert f'src.identity="{sleep}"' in line
            assert f'dst.identity="{httpbin}"' in line


def carried(node: Ztunnel) -> list[str]:
    """Its lines of connections that nothing cut."""
    return [line for line in node.process.output.splitlines() if DONE in line and "error=" not in line]


def test_an_edit_of_a_policy_reaches_the_proxies(world: World) -> None:
    assert world.get("/get").status_code == 200
    world.edit("policies.yaml", "sa/sleep", "sa/nobody")
    node_b = world.node_b.process
    # A request that is under way is cut by the change; one that comes later is refused.
    node_b.wait_until(lambda: world.is_refused() and REFUSED in node_b.output, "sleep refused", 20)
    world.edit("policies.yaml", "sa/nobody", "sa/sleep")
    node_b.wait_until(lambda: not world.is_refused(), "sleep let in again", 20)
