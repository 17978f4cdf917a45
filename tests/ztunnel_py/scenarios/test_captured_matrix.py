"""Client and server captured or not, on one node or two, one proxy a node or one a pod: what is carried and told.

Real namespaces with real rules; client and application are sockets of this test inside of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.namespace import NetworkNamespace
from lab_py.agent import Agent, AnnouncedPod
from mesh_py.settings.kinds import WorkloadInfo
from tests.support.pod_networks import PodNetwork, two_pods
from tests.support.pods import fields_of
from tests.support.processes import eventually, loopback_address
from tests.support.ztunnel import lay_out_certificates
from tests.ztunnel_py.worlds import CLEAN, COMMAND, START_SECONDS, ProxyProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.support.certificates import TestRoot

pytestmark = [pytest.mark.lab, pytest.mark.privileged]

PORT = 8000
QUESTION, ANSWER = b"q" * 11, b"a" * 22
MESH = """\
workloads:
- {{uid: "c//Pod/default/a", name: a, namespace: default, serviceAccount: a, trustDomain: cluster.local,
    workloadIps: ["{a}"], protocol: {a_protocol}, node: {a_node}, services: {{}}}}
- {{uid: "c//Pod/default/b", name: b, namespace: default, serviceAccount: b, trustDomain: cluster.local,
    workloadIps: ["{b}"], protocol: {b_protocol}, node: {b_node}, services: {{}}}}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """Which pods are captured, and by how many proxies."""

    captured: str = "ab"
    nodes: int = 1
    is_dedicated: bool = False

    def node_of(self, name: str) -> str:
        return "one" if self.nodes == 1 or name == "a" else "two"

    def groups(self) -> list[str]:
        """The pods of each proxy."""
        if self.is_dedicated or self.nodes == 2:
            return list(self.captured)
        return [self.captured]


@dataclass(frozen=True, slots=True)
class Place:
    """What all cases share."""

    folder: Path
    pods: dict[str, PodNetwork]
    environment: dict[str, str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, mesh_root: TestRoot) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("matrix")
    accounts = {name: mesh_root.issue(f"matrix-{name}", f"default/{name}") for name in "ab"}
    environment = CLEAN | {
        "LOCAL_XDS_PATH": str(folder / "mesh.yaml"),
        "XDS_ADDRESS": "",
        "WORKLOAD_CERT_DIR": str(lay_out_certificates(folder / "certs", accounts)),
        "DNS_CAPTURE": "false",
    }
    with two_pods(folder) as (a, b):
        yield Place(folder, {"a": a, "b": b}, environment)


class Proxy:
    """One proxy process, of one pod or several."""

    def __init__(self, place: Place, case: Case, pods: str) -> None:
        self._pods = [place.pods[name] for name in pods]
        self.agent = Agent()
        self.socket = place.folder / f"{pods}.sock"
        self.address = loopback_address()
        self._log = place.folder / f"{self.address}.log"
        environment = place.environment | {"NODE_NAME": case.node_of(pods[0])}
        if case.is_dedicated:
            files = place.folder / "certs" / "default" / pods
            environment |= {
                "PROXY_MODE": "dedicated",
                "PROXY_WORKLOAD_INFO": f"default/{pods}/{pods}",
                "PACKET_MARK": "1337",
                "WORKLOAD_CERT_DIR": "",
                "WORKLOAD_CERT_CHAIN": str(files / "cert-chain.pem"),
                "WORKLOAD_KEY": str(files / "key.pem"),
                "WORKLOAD_ROOT_CERT": str(files / "root-cert.pem"),
            }
            self.process = ProxyProcess(self._pods[0].inside(*COMMAND), self._log, environment)
        else:
            environment |= {"INPOD_UDS": str(self.socket), "PROXY_BIND_ADDRESS": self.address}
            self.process = ProxyProcess(COMMAND, self._log, environment)

    @contextlib.asynccontextmanager
    async def serving(self, case: Case) -> AsyncIterator[None]:
        """Its pods are served."""
        try:
            async with contextlib.AsyncExitStack() as stack:
                if not case.is_dedicated:
                    self.agent.pods = {pod.name: announced(pod) for pod in self._pods}
                    await stack.enter_async_context(self.agent.listening(self.socket))
                await eventually(self._serves, "serving", START_SECONDS)
                yield
        finally:
            self.process.stop()

    def _serves(self) -> bool:
        said = self.process.output
        return said.count(" is served\n") == len(self._pods) or 'component="outbound"' in said

    def lines(self) -> list[dict[str, str]]:
        """Of connections that are over."""
        every = self.process.output.splitlines()
        return [fields_of(line) for line in every if "\taccess\tconnection complete\t" in line]

    async def metrics(self, case: Case) -> str:
        """Its metrics page."""
        if case.is_dedicated:
            pod = self._pods[0]
            command = ("curl", "-s", "http://127.0.0.1:15020/metrics")
            return (await asyncio.to_thread(pod.run, *command)).stdout
        url = f"http://{self.address}:15020/metrics"
        return await asyncio.to_thread(lambda: str(urllib.request.urlopen(url, timeout=5).read(), "utf-8"))


def announced(pod: PodNetwork) -> AnnouncedPod:
    return AnnouncedPod(pod.name, WorkloadInfo("default", pod.name, pod.name), NetworkNamespace.open(pod.path))


@contextlib.contextmanager
def laid_out(place: Place, case: Case) -> Iterator[None]:
    """The mesh says what the case says, and only captured pods have rules."""
    values: dict[str, str] = {}
    for name, pod in place.pods.items():
        protocol = "HBONE" if name in case.captured else "TCP"
        values |= {name: pod.ip, f"{name}_protocol": protocol, f"{name}_node": case.node_of(name)}
    (place.folder / "mesh.yaml").write_text(MESH.format(**values))
    bare = [pod for name, pod in place.pods.items() if name not in case.captured]
    for pod in bare:
        pod.forget_rules()
    try:
        yield
    finally:
        for pod in bare:
            pod.restore_rules()


async def call(place: Place) -> tuple[bytes, list[str]]:
    """What `a` hears from the application in `b`, and whom that sees."""
    loop, callers = asyncio.get_running_loop(), []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(QUESTION))
        writer.write(ANSWER)
        callers.append(writer.get_extra_info("peername")[0])
        writer.close()

    with entered(place.pods["b"]):
        listener = socket.create_server((place.pods["b"].ip, PORT))
    with entered(place.pods["a"]):
        caller = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    async with asyncio.timeout(10), await asyncio.start_server(answer, sock=listener):
        with caller:
            await loop.sock_connect(caller, (place.pods["b"].ip, PORT))
            await loop.sock_sendall(caller, QUESTION)
            heard = b""
            while data := await loop.sock_recv(caller, 100):
                heard += data
    return heard, callers


@contextlib.contextmanager
def entered(pod: PodNetwork) -> Iterator[None]:
    namespace = NetworkNamespace.open(pod.path)
    with namespace:
        yield
    namespace.close()


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Case(), id="both, one node"),
        pytest.param(Case(nodes=2), id="both, two nodes"),
        pytest.param(Case(is_dedicated=True), id="both, a proxy each"),
        pytest.param(Case(captured="a"), id="the client only"),
        pytest.param(Case(captured="b"), id="the server only"),
    ],
)
async def test_who_is_captured(place: Place, case: Case) -> None:
    with laid_out(place, case):
        proxies = {group: Proxy(place, case, group) for group in case.groups()}
        async with contextlib.AsyncExitStack() as stack:
            for proxy in proxies.values():
                await stack.enter_async_context(proxy.serving(case))
            assert await call(place) == (ANSWER, [place.pods["a"].ip])
            for group, proxy in proxies.items():
                if "a" in group:
                    await shown(proxy, case, "outbound", "source")
                if "b" in group:
                    await shown(proxy, case, "inbound", "destination")


async def shown(proxy: Proxy, case: Case, direction: str, reporter: str) -> None:
    """One line with both workloads and the bytes, identities where both are captured; the same bytes in metrics."""

    def found() -> list[dict[str, str]]:
        return [line for line in proxy.lines() if line["direction"] == direction]

    await eventually(lambda: len(found()) == 1, f"{direction} logged")
    [line] = found()
    is_mutual = case.captured == "ab"
    spiffe = "spiffe://cluster.local/ns/default/sa/"
    assert (line["src.workload"], line["dst.workload"]) == ("a", "b")
    assert (line.get("src.identity"), line.get("dst.identity")) == (
        (f"{spiffe}a", f"{spiffe}b") if is_mutual else (None, None)
    )
    assert {line["bytes_sent"], line["bytes_recv"]} == {"11", "22"}
    assert "error" not in line
    page = await proxy.metrics(case)
    security = "mutual_tls" if is_mutual else "unknown"
    for family, value in (("istio_tcp_sent_bytes_total", 22), ("istio_tcp_received_bytes_total", 11)):
        [sample] = [one for one in page.splitlines() if one.startswith(family) and f'reporter="{reporter}"' in one]
        assert f'connection_security_policy="{security}"' in sample
        assert float(sample.split()[-1]) == value
