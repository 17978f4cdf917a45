"""Two of our node proxies on one control plane, all of them processes: a folder is edited, and the control plane killed
and started again, while traffic flows. Discovery and certificates both come from it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.interop.callers import BROKEN, read_to_end, talk
from tests.support.control_worlds import pod, service
from tests.support.istiod import Istiod, start_istiod
from tests.support.pods import captured
from tests.support.processes import eventually, loopback_address
from tests.support.tcp_apps import TcpApp, echo
from tests.ztunnel_py.nodes import Node
from tests.ztunnel_py.worlds import CLEAN, COMMAND, START_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.interop.callers import TcpCaller

pytestmark = pytest.mark.interop

NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio.io/dataplane-mode: ambient}}
"""
DENY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-sleep, namespace: shop}
spec:
  action: DENY
  rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/sleep]}}]}]
"""
NAMES = ("sleep", "server")


@dataclass
class Joined:
    """The control plane's folder, its proxies, and an application of `server` behind a service."""

    folder: Path
    state: Path
    address: str
    vip: str
    istiod: Istiod
    stack: contextlib.ExitStack
    """Ends what was started."""
    nodes: dict[str, Node] = field(default_factory=dict)

    def start_again(self) -> None:
        """The control plane, after it was killed; on the same address, with the same keys."""
        again = start_istiod(self.folder, self.state, self.address, log="again.log")
        self.istiod = self.stack.enter_context(again)
        self.istiod.wait_ready()

    def write(self, name: str, text: str) -> None:
        """Add a manifest, or change it."""
        (self.folder / f"{name}.yaml").write_text(text)

    def remove(self, name: str) -> None:
        (self.folder / f"{name}.yaml").unlink()

    def call(self) -> contextlib.AbstractAsyncContextManager[TcpCaller]:
        """A captured connection of sleep's application to the service."""
        sleep = self.nodes["sleep"]
        return captured((sleep.address, 15001), sleep.address, f"{self.vip}:80")

    async def dump(self, name: str) -> dict[str, Any]:
        """What a proxy shows."""
        shown: dict[str, Any] = json.loads(await asyncio.to_thread(self.nodes[name].get, "/config_dump"))
        return shown

    async def knows(self, key: str, name: str) -> None:
        """Both proxies show an object of that name in that list."""
        for node in self.nodes.values():
            await eventually(
                lambda: any(one["name"] == name for one in json.loads(node.get("/config_dump"))[key]),  # noqa: B023
                f"{node.name} knows {name}",
            )

    async def forgot(self, key: str, name: str) -> None:
        for node in self.nodes.values():
            await eventually(
                lambda: all(one["name"] != name for one in json.loads(node.get("/config_dump"))[key]),  # noqa: B023
                f"{node.name} forgot {name}",
            )


def started(joined: Joined, name: str, base: Path, account: str = "istio-system/ztunnel", **own: str) -> Node:
    """A proxy that knows nothing but who it is and where its control plane is; by default that of a node."""
    token = base / f"{name}.token"
    token.write_text(joined.istiod.token(account, "--node", name))
    address = loopback_address()
    environment = {
        **CLEAN,
        "PROXY_MODE": "node",
        "NODE_NAME": name,
        "PROXY_BIND_ADDRESS": address,
        "PROXY_PROTOCOL_CAPTURE": "true",
        "POD_NAME": f"ztunnel-{name}",
        "POD_NAMESPACE": account.partition("/")[0],
        "INSTANCE_IP": address,
        "XDS_ADDRESS": joined.istiod.url,
        "XDS_ROOT_CA": str(joined.istiod.roots),
        "CA_ADDRESS": joined.istiod.url,
        "CA_ROOT_CA": str(joined.istiod.roots),
        "AUTH_TOKEN": str(token),
        **own,
    }
    node = Node(name, address, [*COMMAND], environment, base / f"{name}.log")
    node.start()
    return node


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Joined]:
    """Both proxies, ready."""
    base = tmp_path_factory.mktemp("joined")
    folder = base / "mesh"
    folder.mkdir()
    (folder / "namespace.yaml").write_text(NAMESPACE)
    address = loopback_address()
    with contextlib.ExitStack() as stack:
        istiod = stack.enter_context(start_istiod(folder, base / "state", address))
        istiod.wait_ready()
        joined = Joined(folder, base / "state", address, loopback_address(), istiod, stack)
        for name in NAMES:
            joined.nodes[name] = started(joined, name, base)
            stack.callback(joined.nodes[name].stop)
        for node in joined.nodes.values():
            node.process.wait_until(node.is_ready, "ready", START_SECONDS)
        yield joined


@pytest.fixture
async def app(joined: Joined) -> AsyncIterator[TcpApp]:
    """An echo, and the manifests that make it the service's only endpoint."""
    async with TcpApp(echo, joined.nodes["server"].address) as app:
        for name, node in joined.nodes.items():
            joined.write(name, pod(name, node.address, node=name, app=name))
        joined.write("service", service("server", joined.vip, target=app.port))
        await joined.knows("services", "server")
        await eventually(lambda: serves(joined, app.port), "the service leads to the application")
        yield app


def serves(joined: Joined, port: int) -> bool:
    shown = json.loads(joined.nodes["sleep"].get("/config_dump"))["services"]
    return any(one["ports"] == {"80": port} and one["endpoints"] for one in shown)


@dataclass
class Traffic:
    """Callers that talk without end, each on one connection and then on the next."""

    joined: Joined
    talked: int = 0
    failures: list[str] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def flowing(self) -> AsyncIterator[Traffic]:
        """While the block runs; at its end nothing may have failed."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._keep_calling()) for _ in range(4)]
            await self.more()
            yield self
            await self.more()
            for task in tasks:
                task.cancel()
        assert self.failures == []

    async def more(self) -> None:
        """Some traffic has flowed that had not begun before."""
        wanted = self.talked + 20
        await eventually(lambda: self.talked >= wanted or bool(self.failures), "traffic flows")

    async def _keep_calling(self) -> None:
        while True:
            try:
                async with self.joined.call() as caller:
                    for _ in range(3):
                        await talk(caller, b"hello")
                        self.talked += 1
            except (*BROKEN, AssertionError, OSError) as error:
                self.failures.append(repr(error))
                return


async def test_a_call_by_the_services_address_goes_through_a_tunnel(joined: Joined, app: TcpApp) -> None:
    async with joined.call() as caller:
        await talk(caller, b"hello")
        [connection] = (await joined.dump("sleep"))["workloadState"]["Kubernetes//Pod/shop/sleep"]["connections"][
            "outbound"
        ]
        assert connection["protocol"] == "HBONE"
    held = (await joined.dump("server"))["certificates"]
    assert [(one["identity"], one["state"]) for one in held] == [
        ("spiffe://cluster.local/ns/shop/sa/server", "Available")
    ]


async def test_a_proxy_of_one_workload_joins_as_that_workload(joined: Joined, app: TcpApp, tmp_path: Path) -> None:
    own = {"PROXY_MODE": "dedicated", "PROXY_WORKLOAD_INFO": "shop/solo/solo", "POD_NAME": "solo"}
    solo = started(joined, "solo", tmp_path, "shop/solo", **own)
    try:
        joined.write("solo", pod("solo", solo.address, node="solo", app="solo"))
        await eventually(solo.is_ready, "ready", START_SECONDS)
        async with captured((solo.address, 15001), solo.address, f"{joined.vip}:80") as caller:
            await talk(caller, b"hello")
        await eventually(lambda: "spiffe://cluster.local/ns/shop/sa/solo" in joined.nodes["server"].log, "logged")
    finally:
        solo.stop()
        joined.remove("solo")


async def test_a_proxy_that_asks_knows_what_it_has_needed(joined: Joined, app: TcpApp, tmp_path: Path) -> None:
    asker = started(joined, "asker", tmp_path, XDS_ON_DEMAND="true")
    try:
        joined.write("asker", pod("asker", asker.address, node="asker", app="asker"))
        await eventually(asker.is_ready, "ready", START_SECONDS)
        for _ in range(2):
            async with captured((asker.address, 15001), asker.address, f"{joined.vip}:80") as caller:
                await talk(caller, b"hello")
        await eventually(lambda: "spiffe://cluster.local/ns/shop/sa/asker" in joined.nodes["server"].log, "logged")
        async with (
            TcpApp(echo, loopback_address()) as stranger,
            captured((asker.address, 15001), asker.address, stranger.authority) as caller,
        ):
            await talk(caller, b"hello, stranger")
        known = json.loads(await asyncio.to_thread(asker.get, "/config_dump"))
        assert {one["name"] for one in known["workloads"]} == {"asker", "server"}
        assert {one["name"] for one in known["services"]} == {"server"}
    finally:
        asker.stop()
        joined.remove("asker")


async def test_the_folder_is_edited_while_traffic_flows(joined: Joined, app: TcpApp) -> None:
    before = joined.istiod.page("problems")
    async with Traffic(joined).flowing() as traffic, joined.call() as steady:
        await talk(steady, b"before")
        for round in range(3):
            joined.write("other", service("other", loopback_address(), port=90 + round))
            await joined.knows("services", "other")
            await traffic.more()
            joined.remove("other")
            await joined.forgot("services", "other")
        joined.write("broken", "apiVersion: v1\nkind: [nonsense\n")
        await eventually(lambda: joined.istiod.page("problems") != before, "the fault is reported")
        await traffic.more()
        joined.remove("broken")
        await talk(steady, b"after")


async def test_a_policy_ends_what_it_forbids_and_only_that_long(joined: Joined, app: TcpApp) -> None:
    async with joined.call() as caller:
        await talk(caller, b"hello")
        joined.write("deny", DENY)
        assert await read_to_end(caller) == (b"", "reset")
    async with joined.call() as refused:
        assert (await read_to_end(refused)).data == b""
    joined.remove("deny")
    await joined.forgot("policies", "no-sleep")
    async with joined.call() as caller:
        await talk(caller, b"hello again")


async def test_it_is_killed_and_started_again_while_traffic_flows(joined: Joined, app: TcpApp) -> None:
    async with Traffic(joined).flowing() as traffic, joined.call() as steady:
        await talk(steady, b"before")
        joined.istiod.process.kill()
        await eventually(
            lambda: all("discovery stream ended" in node.log for node in joined.nodes.values()), "both have noticed"
        )
        joined.write("meanwhile", service("meanwhile", loopback_address()))
        await traffic.more()
        assert all(node.is_ready() for node in joined.nodes.values())
        joined.start_again()
        await joined.knows("services", "meanwhile")
        await traffic.more()
        joined.remove("meanwhile")
        await joined.forgot("services", "meanwhile")
        await talk(steady, b"after")
