"""Shared mode as a DaemonSet runs it: one process, two pods with networks of their own, an agent that tells of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

import hbone_py
from hbone_py import Credentials, SpiffeId
from hbone_py.aio.namespace import NetworkNamespace
from lab_py.agent import Agent, AnnouncedPod
from mesh_py.settings.kinds import WorkloadInfo
from mesh_py.zds.messages import SnapshotSent
from tests.interop.callers import read_to_end
from tests.support.name_server import NameServer, addresses
from tests.support.pod_networks import MARK, PodNetwork, two_pods
from tests.support.processes import PeerProcess, answers, eventually, loopback_address
from tests.support.require import require_ipv6, require_root, require_tool
from tests.support.ztunnel import Pod, lay_out_certificates, mesh_yaml
from tests.ztunnel_py.worlds import CLEAN, COMMAND, START_SECONDS, ProxyProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.support.certificates import TestRoot

pytestmark = [pytest.mark.interop, pytest.mark.lab, pytest.mark.privileged]

APPLICATION_PORT = 8000
SERVICE = """\
services:
- {name: app, namespace: default, hostname: app.default.svc.cluster.local, vips: ["/10.78.0.1"], ports: {80: 8000}}
"""


@dataclass(slots=True)
class SharedNode:
    """A node: two pods, an application in `b`, and the proxy of both."""

    a: PodNetwork
    b: PodNetwork
    folder: Path
    environment: dict[str, str]
    proxy: ProxyProcess
    address: str

    def start(self) -> ProxyProcess:
        """One more proxy, which takes the place of the one before."""
        self.address = loopback_address()
        log = self.folder / f"ztunnel-{self.address}.log"
        self.proxy = ProxyProcess(COMMAND, log, self.environment | {"PROXY_BIND_ADDRESS": self.address})
        return self.proxy

    @property
    def application_record(self) -> str:
        """What the application has been asked."""
        file = self.folder / "calls.jsonl"
        return file.read_text() if file.exists() else ""

    @property
    def socket(self) -> Path:
        return self.folder / "z.sock"

    def announced(self, pod: PodNetwork) -> AnnouncedPod:
        """What an agent knows of a pod."""
        info = WorkloadInfo("default", pod.name, pod.name)
        return AnnouncedPod(f"uid-{pod.name}", info, NetworkNamespace.open(pod.path))

    def agent(self) -> Agent:
        """One that knows both pods."""
        agent = Agent()
        agent.pods = {pod.uid: pod for pod in map(self.announced, (self.a, self.b))}
        return agent

    async def get(self, path: str, port: int) -> str:
        """Ask a surface of the proxy; for readiness also what it says when it is not."""

        def ask() -> str:
            try:
                with urllib.request.urlopen(f"http://{self.address}:{port}{path}", timeout=10) as answer:
                    return str(answer.read(), "utf-8")
            except urllib.error.HTTPError as error:
                with error:
                    return str(error.read(), "utf-8")

        return await asyncio.to_thread(ask)

    async def is_ready(self) -> str:
        with contextlib.suppress(OSError):
            return await self.get("/healthz/ready", 15021)
        return ""

    async def until_ready(self, answer: str = "ready\n") -> None:
        def holds(said: str) -> bool:
            assert self.proxy.is_running, self.proxy.output
            return said == answer

        await answers(self.is_ready, holds, "ready", START_SECONDS)

    async def curl(self, url: str = "/ip", *more: str) -> tuple[int, str]:
        """What `a` gets from the application in `b`: curl's status and the body."""
        command = ("curl", "-s", "--max-time", "10", *more, f"http://{self.b.ip}:{APPLICATION_PORT}{url}")
        done = await asyncio.to_thread(self.a.run, *command)
        return done.returncode, done.stdout

    async def origin(self) -> str:
        """Whom the application sees when `a` calls it."""
        status, body = await self.curl()
        assert status == 0, f"{body}\n{self.proxy.output}"
        return str(json.loads(body)["origin"])

    async def metric(self, name: str) -> float:
        lines = (await self.get("/metrics", 15020)).splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, mesh_root: TestRoot) -> Iterator[SharedNode]:
    """Both pods are there, the proxy runs, and no agent has announced anything yet."""
    folder = tmp_path_factory.mktemp("shared")
    require_tool("iptables-restore")
    with two_pods(folder) as (a, b):
        (folder / "mesh.yaml").write_text(
            mesh_yaml(Pod(pod.name, pod.name, f'{pod.ip}", "{pod.ip6}', "here") for pod in (a, b)) + SERVICE
        )
        accounts = {name: mesh_root.issue(f"shared-{name}", f"default/{name}") for name in "ab"}
        environment = CLEAN | {
            "INPOD_UDS": str(folder / "z.sock"),
            "NODE_NAME": "here",
            "LOCAL_XDS_PATH": str(folder / "mesh.yaml"),
            "XDS_ADDRESS": "",
            "WORKLOAD_CERT_DIR": str(lay_out_certificates(folder / "certs", accounts)),
            "CONNECTION_TERMINATION_DEADLINE": "1s",
            "DNS_UPSTREAM": f"{b.ip}:53",
        }
        command = [sys.executable, "-m", "lab_py.apps.httpbin", "--host", "0.0.0.0", "--port", str(APPLICATION_PORT)]
        command += ["--record", str(folder / "calls.jsonl")]
        application = PeerProcess(b.inside(*command), folder / "httpbin.log")
        running = SharedNode(a, b, folder, environment, None, "")  # type: ignore[arg-type]  # started next
        try:
            running.start()
            application.wait_until(lambda: bool(b.sockets(f"sport = :{APPLICATION_PORT}")), "listening")
            yield running
        finally:
            application.kill()
            running.proxy.stop()


@contextlib.asynccontextmanager
async def served(node: SharedNode) -> AsyncIterator[Agent]:
    """Both pods are announced, and served."""
    agent = node.agent()
    async with agent.listening(node.socket):
        await node.until_ready()
        assert agent.problems == []
        yield agent


async def test_a_request_goes_from_pod_to_pod_and_shows_where_it_comes_from(node: SharedNode) -> None:
    captured = node.a.packets("nat", "--to-ports 15001")
    async with served(node):
        assert await node.origin() == node.a.ip
        tunnels = node.b.sockets("state", "established", f"( sport = :15008 and dst {node.a.ip} )")
        assert len(tunnels) == 1
    assert node.a.packets("nat", "--to-ports 15001") == captured + 1
    assert node.b.packets("mangle", "--set-xmark 0x111/0xfff") > 0
    caller = 'src.identity="spiffe://cluster.local/ns/default/sa/a"'
    await eventually(lambda: caller in node.proxy.output, "logged")


async def test_every_socket_in_a_pod_is_marked(node: SharedNode) -> None:
    """Listeners, tunnels, captured connections, and the one to the application, which carries the caller's address."""
    app = f":{APPLICATION_PORT}"
    async with served(node), asyncio.TaskGroup() as group:
        group.create_task(node.curl("/delay/1.5"))
        to_application = ("state", "established", f"( src {node.a.ip} and dport = {app} )")
        await eventually(lambda: bool(node.b.sockets(*to_application)), "at the application")
        theirs = {"a": f"( not dport = {app} )", "b": f"( not sport = {app} )"}  # curl's, the application's
        for pod in (node.a, node.b):
            ours = pod.sockets(theirs[pod.name])
            listening = {line.split()[3].rpartition(":")[2] for line in ours if line.startswith("LISTEN")}
            assert listening == {"15001", "15006", "15008", "15053"}
            assert any(line.startswith("ESTAB") for line in ours)
            # The kernel's own remains of earlier connections have no mark.
            alive = [line for line in ours if not line.startswith("TIME-WAIT")]
            assert [line for line in alive if f"fwmark:{MARK}" not in line] == []


async def test_who_is_gone_is_reached_by_nobody_and_may_come_back(node: SharedNode) -> None:
    async with served(node) as agent:
        assert await node.origin() == node.a.ip
        async with asyncio.TaskGroup() as group:
            long = group.create_task(node.curl("/delay/20"))
            open_ones = ("state", "established", "( sport = :15008 )")
            await eventually(lambda: "/delay/20" in node.application_record, "at the application")
            assert await agent.delete("uid-b") == ""
            assert (await long)[0] != 0
        assert node.b.sockets(*open_ones) == []
        assert node.b.sockets("state", "listening", "( sport >= :15000 and sport <= :15100 )") == []
        status, body = await node.curl()
        assert (status != 0, body) == (True, "")
        assert await node.metric("workload_manager_active_proxy_count") == 1
        assert await agent.add(node.announced(node.b)) == ""
        assert await node.origin() == node.a.ip
        assert await node.metric("workload_manager_active_proxy_count") == 2
        assert await node.metric("workload_manager_proxies_stopped_total") >= 1


async def test_the_same_by_ipv6(node: SharedNode) -> None:
    require_ipv6()

    async def tell_caller(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.0 200 OK\r\n\r\n{writer.get_extra_info('peername')[0]}".encode())
        writer.close()

    network = NetworkNamespace.open(node.b.path)
    with network:
        listener = socket.create_server((node.b.ip6, 8006), family=socket.AF_INET6)
    async with served(node), await asyncio.start_server(tell_caller, sock=listener):
        url = f"http://[{node.b.ip6}]:8006/"
        done = await asyncio.to_thread(node.a.run, "curl", "-s", "--max-time", "10", url)
        assert done.stdout == node.a.ip6, node.proxy.output
        assert len(node.b.sockets("state", "established", f"( sport = :15008 and dst [{node.a.ip6}] )")) == 1
    network.close()


async def test_plaintext_that_reaches_a_pod_is_carried_to_it(node: SharedNode) -> None:
    """Whoever is not captured, here by the proxy's own mark, is taken at 15006."""
    caller = (
        "import socket, sys; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, 36, 0x539); s.settimeout(10); "
        f"s.connect(({node.b.ip!r}, {APPLICATION_PORT})); s.sendall(b'GET /ip HTTP/1.0\\r\\n\\r\\n'); "
        "print(s.makefile().read())"
    )
    async with served(node):
        before = node.b.packets("nat", "--to-ports 15006")
        done = await asyncio.to_thread(node.a.run, sys.executable, "-c", caller)
        assert f'"origin": "{node.a.ip}"' in done.stdout, done.stderr + node.proxy.output
        assert node.b.packets("nat", "--to-ports 15006") == before + 1


async def test_names_are_asked_of_the_proxy_in_the_pod(node: SharedNode) -> None:
    """Those of the mesh are known; others it asks for itself, from the pod and marked, or it would ask itself."""
    network = NetworkNamespace.open(node.b.path)
    async with served(node), NameServer(addresses("192.0.2.9"), node.b.ip, 53, network) as others:

        async def ask(name: str, *more: str) -> list[str]:
            command = ("dig", f"@{node.b.ip}", "+short", "+time=5", "+tries=1", name, *more)
            return (await asyncio.to_thread(node.a.run, *command)).stdout.split()

        assert await ask("app.default.svc.cluster.local") == ["10.78.0.1"]
        assert await ask("app.default.svc.cluster.local", "+tcp") == ["10.78.0.1"]
        assert others.asked == []
        assert await ask("elsewhere.example") == ["192.0.2.9"]
        assert others.asked == [("udp", "elsewhere.example. IN A")]
    network.close()


async def test_pods_go_on_while_the_agent_is_away(node: SharedNode) -> None:
    async with served(node):
        pass
    await node.until_ready("not ready, pending: workload proxy manager\n")
    assert await node.origin() == node.a.ip
    started = await node.metric("workload_manager_proxies_started_total")
    async with served(node):
        assert await node.origin() == node.a.ip
        assert await node.metric("workload_manager_proxies_started_total") == started


async def test_the_dump_shows_pods_with_their_connections(node: SharedNode) -> None:
    async with served(node), asyncio.TaskGroup() as group:
        group.create_task(node.curl("/delay/1.5"))
        to_application = ("state", "established", f"( src {node.a.ip} and dport = :{APPLICATION_PORT} )")
        await eventually(lambda: bool(node.b.sockets(*to_application)), "at the application")
        shown = json.loads(await node.get("/config_dump", 15000))["workloadState"]
        assert {uid: (one["state"], one["info"]["name"]) for uid, one in shown.items()} == {
            "uid-a": ("Up", "a"),
            "uid-b": ("Up", "b"),
        }
        [outbound] = shown["uid-a"]["connections"]["outbound"]
        [inbound] = shown["uid-b"]["connections"]["inbound"]
        assert (outbound["actualDst"], outbound["protocol"]) == (f"{node.b.ip}:15008", "HBONE")
        assert inbound["actualDst"] == f"{node.b.ip}:{APPLICATION_PORT}"


async def test_one_proxy_takes_over_from_another(node: SharedNode) -> None:
    """Pods' ports are shared on purpose: nobody is refused while the old one ends, and what it carries goes on."""
    async with served(node) as agent, asyncio.TaskGroup() as group:
        old = node.proxy
        open_one = group.create_task(node.curl("/delay/0.4?takeover"))
        await eventually(lambda: "takeover" in node.application_record, "at the application")
        old.signal(signal.SIGTERM)
        await eventually(lambda: "shutting down" in old.output, "draining")
        node.start()
        assert (await open_one)[0] == 0
        assert await asyncio.to_thread(old.end) == 0
        assert "forcefully" not in old.output
        await node.until_ready()
        await eventually(lambda: len(agent.connections) == 1, "alone")
        assert await node.origin() == node.a.ip


async def test_an_agent_that_makes_no_sense_ends_the_process(node: SharedNode) -> None:
    async with served(node) as agent:
        assert await agent.connections[-1].say(SnapshotSent()) == (
            "protocol error : a second SnapshotSent comes after SnapshotSent"
        )
        assert await asyncio.to_thread(node.proxy.end) == 1
    node.start()


# What the proxy is itself ---------------------------------------------------------------------------------------------


@pytest.fixture
def alone(tmp_path: Path, mesh_root: TestRoot) -> Iterator[tuple[str, ProxyProcess]]:
    """A proxy that knows which workload it is itself, and where; there is no agent."""
    require_root()
    address = loopback_address()
    (tmp_path / "mesh.yaml").write_text(mesh_yaml([Pod("z", "z", address, "here")]))
    accounts = {"z": mesh_root.issue("shared-z", "default/z")}
    environment = CLEAN | {
        "PROXY_MODE": "shared",
        "INPOD_UDS": str(tmp_path / "none.sock"),
        "PROXY_BIND_ADDRESS": address,
        "POD_NAME": "z",
        "POD_NAMESPACE": "default",
        "SERVICE_ACCOUNT": "z",
        "NODE_NAME": "here",
        "LOCAL_XDS_PATH": str(tmp_path / "mesh.yaml"),
        "XDS_ADDRESS": "",
        "WORKLOAD_CERT_DIR": str(lay_out_certificates(tmp_path / "certs", accounts)),
    }
    proxy = ProxyProcess(COMMAND, tmp_path / "z.log", environment)
    try:
        proxy.wait_until(lambda: 'component="readiness"' in proxy.output, "listening", START_SECONDS)
        yield address, proxy
    finally:
        proxy.stop()


async def test_its_metrics_are_reached_by_hbone_to_itself(alone: tuple[str, ProxyProcess], mesh_root: TestRoot) -> None:
    address, proxy = alone
    files = mesh_root.issue("prometheus", "monitoring/prometheus")
    mine = Credentials.from_files(files.chain, files.key, files.roots)
    itself = SpiffeId.parse("spiffe://cluster.local/ns/default/sa/z")
    stream = await hbone_py.connect(address, authority=f"{address}:15020", credentials=mine, expect=[itself])
    await stream.send(b"GET /metrics HTTP/1.0\r\n\r\n")
    assert b"workload_manager_active_proxy_count 0" in (await read_to_end(stream)).data
    await stream.aclose()
    await eventually(lambda: 'dst.workload="z"' in proxy.output, "logged")
    assert 'src.identity="spiffe://cluster.local/ns/monitoring/sa/prometheus"' in proxy.output


def test_what_it_may_not_do_is_told_at_the_start(tmp_path: Path) -> None:
    require_root()
    environment = (
        os.environ
        | CLEAN
        | {
            "INPOD_UDS": str(tmp_path / "z.sock"),
            "LOCAL_XDS": "{}",
            "XDS_ADDRESS": "",
            "FAKE_CA": "true",
            "FAKE_CA_DIR": str(tmp_path / "ca"),
            "PROXY_BIND_ADDRESS": loopback_address(),
        }
    )
    command = [require_tool("setpriv"), "--bounding-set=-sys_admin", *COMMAND]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "error: shared mode enters pods' networks and marks its sockets there: Operation not permitted: it needs "
        "CAP_SYS_ADMIN and CAP_NET_ADMIN: run it as root, or set PROXY_MODE=node\n"
    )
