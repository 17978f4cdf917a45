"""`--workers`: one proxy in several processes. The kernel's own tables say which worker has which connection."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest

from tests.support.processes import PeerProcess, poll
from tests.ztunnel_py.worlds import CLEAN, ProxyProcess, children_of, finished, started, wait_for_the_end_of, world_net
from ztunnel_py.command_line import run
from ztunnel_py.supervisor import pause_before
from ztunnel_py.world import HOSTNAME, SERVICE_PORT, World

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVES = re.compile(r"worker-(\d)\.\d+ serves \(pid (\d+)\)")
EVENTS = b"GET /sse?count=3000&interval=0.02 HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(("restarts", "seconds"), [(0, 0.1), (1, 0.2), (4, 1.6), (9, 30.0), (10_000, 30.0)])
def test_each_restart_waits_longer_up_to_a_bound(restarts: int, seconds: float) -> None:
    assert pause_before(restarts) == pytest.approx(seconds)


class Shared(NamedTuple):
    """A proxy of two workers, and an application that it reaches without a tunnel."""

    world: World
    process: ProxyProcess

    def worker_pids(self) -> dict[int, int]:
        """The process id of each worker that was last said to serve, by number."""
        return {int(number): int(pid) for number, pid in SERVES.findall(self.process.output)}

    def status_of(self, path: str) -> int:
        """What comes back through the proxy, on a connection of its own."""
        with httpx.Client(proxy=f"socks5h://{self.world.socks}", timeout=30) as client:
            return client.get(f"{self.world.url}{path}").status_code

    def opened(self) -> int:
        """Connections counted by all workers, living and dead."""
        text = httpx.get(f"http://{self.world.node_a.address}:15020/metrics", verify=False).text
        rows = [line for line in text.splitlines() if line.startswith("istio_tcp_connections_opened_total{")]
        return sum(int(row.rpartition(" ")[2]) for row in rows)

    def connect(self) -> socket.socket:
        """A client of the SOCKS5 port that was greeted: a worker has it."""
        client = socket.create_connection((self.world.node_a.address, 15080), timeout=20)
        client.sendall(b"\x05\x01\x00")
        assert client.recv(2) == b"\x05\x00"
        return client

    def owners(self, clients: list[socket.socket], port: int = 15080) -> list[int]:
        """The worker's process id for each client's connection, by the kernel's tables. KeyError: nobody's yet."""
        inodes = accepted_inodes(port)
        holders = {link: pid for pid in self.worker_pids().values() for link in sockets_of(pid)}
        return [holders[inodes[client.getsockname()[1]]] for client in clients]


def accepted_inodes(port: int) -> dict[int, str]:
    """The socket accepted at `port` for each client port."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    found = {}
    for row in rows:
        if int(row[1].partition(":")[2], 16) == port and row[3] == "01":
            found[int(row[2].partition(":")[2], 16)] = f"socket:[{row[9]}]"
    return found


def sockets_of(pid: int) -> set[str]:
    """The sockets a process has open."""
    links = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            links.add(os.readlink(descriptor))
    return links


def follow_events(client: socket.socket) -> None:
    """Let the proxy carry a stream of events that goes on for a minute; return once the first has come."""
    name = HOSTNAME.encode()
    client.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + SERVICE_PORT.to_bytes(2, "big"))
    assert client.recv(10)[:2] == b"\x05\x00"
    client.sendall(EVENTS)
    assert client.recv(4096).startswith(b"HTTP/1.1 200")


def held_by(shared: Shared, peers: list[socket.socket]) -> list[int]:
    """How many HBONE connections each worker holds, the most first; nothing while one is on its way to its worker."""
    with contextlib.suppress(KeyError):
        return sorted(Counter(shared.owners(peers, 15008)).values(), reverse=True)
    return []


def is_cut(client: socket.socket) -> bool:
    """Whether the stream ends before its time; reads on until it does, or a while."""
    try:
        return any(not client.recv(65536) for _ in range(20))
    except ConnectionResetError:
        return True


def arguments(world: World, folder: Path) -> list[str]:
    """A proxy for sleep; httpbin is no HBONE workload here, so one node is enough."""
    mesh = folder / "mesh.yaml"
    text = world.mesh_file().replace("protocol: HBONE", "protocol: TCP")
    mesh.write_text(text.replace(world.sleep_ip, world.node_a.address))  # so that 15008 there is sleep's
    where = [
        "--bind",
        world.node_a.address,
        "--local-xds-path",
        str(mesh),
        "--fake-ca",
        "--fake-ca-dir",
        f"{folder}/ca",
    ]
    return ["--mode", "node", "--node", "node-a", "--socks5", "--socks-as", "default/sleep", "--workers", "2", *where]


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Shared]:
    world = World(world_net())
    with application(world, folder), alone(world, folder) as process:
        yield Shared(world, process)


@contextlib.contextmanager
def application(world: World, folder: Path) -> Iterator[None]:
    """What the mesh knows as httpbin."""
    command = [sys.executable, "-m", "lab_py.apps.httpbin", "--host", world.httpbin_ip, "--port", "8080"]
    process = PeerProcess(command, folder / "application.log")
    try:
        process.wait_until(lambda: "listening on" in process.output, "listening", 30)
        yield
    finally:
        process.stop()


@contextlib.contextmanager
def alone(world: World, folder: Path) -> Iterator[ProxyProcess]:
    """The proxy, with nobody to reach."""
    with started(folder / "log", *arguments(world, folder), until="worker-1.0 serves") as process:
        yield process


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """One proxy for the tests that leave it serving."""
    with running(tmp_path_factory.mktemp("shared")) as up:
        yield up


def test_the_kernel_shares_connections_out_and_the_parent_counts_them_all(shared: Shared) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(shared.connect()) for _ in range(300)]
        shares = Counter(shared.owners(clients))
    assert set(shares) == set(shared.worker_pids().values())
    assert max(shares.values()) <= 0.65 * 300, shares

    before = shared.opened()
    assert [shared.status_of("/status/204") for _ in range(8)] == [204] * 8
    assert shared.opened() == before + 8
    assert httpx.get(f"http://{shared.world.node_a.address}:15021/healthz/ready").status_code == 200
    dump = httpx.get(f"http://{shared.world.node_a.address}:15000/config_dump").json()
    assert [workload["name"] for workload in dump["workloads"]] == ["httpbin", "sleep"]


def test_peers_are_spread_evenly_however_few(shared: Shared) -> None:
    """Each carries the tunnels of a whole node, so one worker shall not have them all by chance."""
    with contextlib.ExitStack() as stack:
        peers: list[socket.socket] = []
        for count in range(1, 13):
            peers.append(stack.enter_context(socket.create_connection((shared.world.node_a.address, 15008))))
            halves = [half for half in ((count + 1) // 2, count // 2) if half]
            poll(lambda: held_by(shared, peers) == halves, f"{halves} connections", 20)  # noqa: B023 - at once


def test_a_killed_worker_takes_only_its_own_connections_with_it(shared: Shared) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(shared.connect()) for _ in range(24)]
        for client in clients:
            follow_events(client)
        owners = shared.owners(clients)
        before = shared.opened()
        victim = owners[0]
        os.kill(victim, signal.SIGKILL)
        assert [is_cut(client) for client in clients] == [owner == victim for owner in owners]
        assert set(owners) != {victim}
    shared.process.wait_until(lambda: victim not in shared.worker_pids().values(), "another worker in its place", 40)
    assert "ended with status -9, and its connections with it; again in 0.1 s" in shared.process.output
    assert [shared.status_of("/status/204") for _ in range(8)] == [204] * 8
    assert shared.opened() == before + 8


def test_what_is_set_is_set_in_all_workers_and_in_those_to_come(shared: Shared) -> None:
    admin = f"http://{shared.world.node_a.address}:15000/logging"
    assert httpx.post(admin, params={"level": "loud"}).status_code == 400
    assert httpx.post(admin, params={"level": "access=off"}).text == "current log level is access=off,info\n"
    victim = shared.worker_pids()[0]
    os.kill(victim, signal.SIGKILL)
    shared.process.wait_until(lambda: victim not in shared.worker_pids().values(), "another worker in its place", 40)
    logged = shared.process.output.count("\taccess\t")
    assert [shared.status_of("/status/204") for _ in range(12)] == [204] * 12
    assert shared.process.output.count("\taccess\t") == logged
    assert httpx.post(admin, params={"reset": ""}).text == "current log level is info\n"


def test_a_second_proxy_is_not_let_onto_the_shared_ports(shared: Shared, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    done = finished(*arguments(shared.world, tmp_path / "second"))
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"error: cannot listen on {shared.world.node_a.address}:15001: address already in use: pid ")
    assert shared.status_of("/status/204") == 204


def test_a_signal_drains_all_and_a_second_ends_them_at_once(tmp_path: Path) -> None:
    with running(tmp_path) as own, own.connect() as client:
        follow_events(client)
        own.process.signal(signal.SIGTERM)
        own.process.wait_until(lambda: own.process.output.count("draining for at most") == 2, "two drains")
        assert own.process.is_running
        assert not is_cut(client)
        assert own.process.end_with(signal.SIGTERM) == 0
        assert is_cut(client)
        assert "drain duration expired" not in own.process.output


def test_quitquitquit_drains_all(tmp_path: Path) -> None:
    with alone(world := World(world_net()), tmp_path) as process:
        workers = children_of(process.pid)
        assert len(workers) == 2
        assert httpx.post(f"http://{world.node_a.address}:15000/quitquitquit", timeout=30).text == "shutdown now\n"
        assert process.end() == 0
        wait_for_the_end_of(workers)


def test_workers_do_not_outlive_their_parent(tmp_path: Path) -> None:
    with alone(World(world_net()), tmp_path) as process:
        workers = children_of(process.pid)
        process.kill()
        wait_for_the_end_of(workers)


def test_what_is_wrong_is_said_once_and_by_nobody_else(tmp_path: Path) -> None:
    world = World(world_net())
    command = arguments(world, tmp_path)
    (tmp_path / "mesh.yaml").write_text("workload: []\n")
    done = finished(*command)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith(f"error: {tmp_path}/mesh.yaml:1:1: unknown key 'workload'")


def test_shared_ports_must_have_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in CLEAN.items():
        monkeypatch.setenv(name, value)
    assert run([*arguments(World(world_net()), tmp_path), "--outbound-port", "0"]) == 2
    said = capsys.readouterr().err
    assert said == "error: --workers: they share ports, so none can be 0 (any free one): name the ports\n"
