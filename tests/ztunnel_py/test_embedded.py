"""The embedded world as a newcomer meets it, with curl and httpx as clients. It never stands on 127.0 here."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest

from tests.support.sockets import taken
from tests.ztunnel_py.worlds import UP, children_of, curl, finished, is_alive, started, wait_for_the_end_of, world_net
from ztunnel_py.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.processes import PeerProcess

pytestmark = pytest.mark.interop


class Up(NamedTuple):
    """A world that serves."""

    world: World
    process: PeerProcess
    mesh: Path

    def curl(self, path: str, *arguments: str) -> str:
        """What the application answers through the tunnel. Curl's own failure is a failure."""
        done = curl("--fail", *self.socks, *arguments, f"{self.world.url}{path}")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def is_refused(self, path: str) -> bool:
        """Whether the way to the application is shut."""
        return curl("--fail", *self.socks, f"{self.world.url}{path}").returncode != 0

    @property
    def socks(self) -> tuple[str, str]:
        return "--socks5-hostname", self.world.socks

    def record(self, token: str) -> list[dict[str, Any]]:
        """Who called the application with the token, as the application tells."""
        answer = httpx.get(f"http://{self.world.httpbin_ip}:8080/record", params={"token": token})
        calls: list[dict[str, Any]] = answer.json()
        return calls


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One world for the tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("world")
    world = World(world_net())
    with started(folder / "log", "--world-net", world.net, "--state-dir", str(folder / "state"), until=UP) as process:
        yield Up(world, process, folder / "state" / "mesh.yaml")


def test_curl_reaches_the_application_by_its_service_name(up: Up) -> None:
    token = f"curl-{random.randrange(10**9)}"
    headers = json.loads(up.curl("/headers", "--header", f"X-Token: {token}"))["headers"]
    assert headers["X-Token"] == token
    [call] = up.record(token)
    # The application sees the client's pod, not a proxy.
    assert call["peer"].startswith(f"{up.world.sleep_ip}:")
    assert call["local"] == f"{up.world.httpbin_ip}:8080"


def test_the_banner_s_first_line_to_try_works(up: Up) -> None:
    [line] = [line.strip() for line in up.process.output.splitlines() if line.strip().startswith("curl --socks5")][:1]
    _, *arguments = line.split()
    assert "Host" in curl(*arguments).stdout


def test_both_proxies_log_the_connection(up: Up) -> None:
    before = len(up.process.output)
    up.curl("/ip")

    def logged() -> bool:
        lines = [line for line in up.process.output[before:].splitlines() if "\taccess\t" in line]
        return {line.split()[0] for line in lines} == {"node-a", "node-b"}

    up.process.wait_until(logged, "a line of each side")


@pytest.mark.parametrize("count", [0, 1, 5_000_000])
def test_a_body_comes_back_whole(up: Up, count: int) -> None:
    sent = random.Random(count).randbytes(count)
    with httpx.Client(proxy=f"socks5h://{up.world.socks}", timeout=30) as client:
        answer = client.post(f"{up.world.url}/echo", content=sent)
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(sent).digest()


def test_an_event_stream_arrives_event_by_event(up: Up) -> None:
    with (
        httpx.Client(proxy=f"socks5h://{up.world.socks}", timeout=30) as client,
        client.stream("GET", f"{up.world.url}/sse?count=3&interval=0.01") as answer,
    ):
        events = [line for line in answer.iter_lines() if line.startswith("id: ")]
    assert events == ["id: 0", "id: 1", "id: 2"]


def test_many_requests_share_one_client(up: Up) -> None:
    with httpx.Client(proxy=f"socks5h://{up.world.socks}", timeout=30) as client:
        assert [client.get(f"{up.world.url}/status/{code}").status_code for code in range(200, 220)] == list(
            range(200, 220)
        )


def test_a_name_the_mesh_does_not_know_is_refused(up: Up) -> None:
    done = curl(*up.socks, "http://nobody.default.svc.cluster.local:8000/")
    assert done.returncode == 97, done.stderr  # curl's "proxy handshake error"


@pytest.mark.parametrize("node", ["node_a", "node_b"])
def test_each_node_tells_of_itself(up: Up, node: str) -> None:
    up.curl("/ip")
    address = getattr(up.world, node).address
    assert httpx.get(f"http://{address}:15021/healthz/ready").text == "ready\n"
    metrics = httpx.get(f"http://{address}:15020/metrics").text
    reporter = "source" if node == "node_a" else "destination"
    [opened] = [line for line in metrics.splitlines() if line.startswith("istio_tcp_connections_opened_total")][:1]
    assert f'reporter="{reporter}"' in opened
    assert 'connection_security_policy="mutual_tls"' in opened
    dump = httpx.get(f"http://{address}:15000/config_dump").json()
    own = "sleep" if node == "node_a" else "httpbin"
    held = [entry["identity"] for entry in dump["certificates"] if entry["state"] == "Available"]
    assert held == [f"spiffe://cluster.local/ns/default/sa/{own}"]


def test_an_edit_takes_effect_and_a_broken_one_does_not(up: Up) -> None:
    good = up.mesh.read_text()
    head, body = good[: good.index("workloads:")], good[good.index("workloads:") :]
    try:
        edit(up, head + body.replace("# ", ""), "1 policies changed")
        assert up.is_refused("/ip")
        edit(up, good.replace("namespace:", "nmespace:"), "unknown key 'nmespace'")
        line = good[: good.index("namespace:")].count("\n") + 1
        assert f"{up.mesh}:{line}:3: unknown key 'nmespace'" in up.process.output
        assert up.is_refused("/ip")  # the last good state
    finally:
        edit(up, good, "1 policies changed")
    assert not up.is_refused("/ip")


def edit(up: Up, text: str, until: str) -> None:
    """Write the mesh file and wait until both proxies have said something about it."""
    before = len(up.process.output)
    up.mesh.write_text(text)

    def both_told() -> bool:
        lines = [line for line in up.process.output[before:].splitlines() if until in line]
        return {line.split()[0] for line in lines} == {"node-a", "node-b"}

    up.process.wait_until(both_told, f"{until!r} from both proxies")


# How it starts and ends.


def test_a_signal_ends_the_world_and_all_that_is_in_it(tmp_path: Path) -> None:
    with started(tmp_path / "log", "--world-net", world_net(), until=UP) as process:
        children = children_of(process.pid)
        assert len(children) == 3
        [mesh] = [line.split()[1].rstrip(":") for line in process.output.splitlines() if line.startswith("  mesh")]
        assert process.end_with(signal.SIGTERM) == 0
    assert [pid for pid in children if is_alive(pid)] == []
    assert curl(f"file://{mesh}").returncode == 37, "its folder goes with it"


def test_a_second_signal_does_not_wait_for_open_connections(tmp_path: Path) -> None:
    net = world_net()
    world = World(net)
    with (
        started(tmp_path / "log", "--world-net", net, until=UP) as process,
        httpx.Client(proxy=f"socks5h://{world.socks}", timeout=30) as client,
        client.stream("GET", f"{world.url}/sse?count=600&interval=0.1") as answer,
    ):
        next(answer.iter_lines())  # the connection is open, and stays so for a minute
        process.signal(signal.SIGTERM)
        process.wait_until(lambda: process.output.count("draining for at most") == 2, "a drain on both nodes")
        assert process.is_running
        assert process.end_with(signal.SIGTERM) == 0
    assert "drain duration expired" not in process.output


def test_a_proxy_that_dies_takes_the_world_along(tmp_path: Path) -> None:
    with started(tmp_path / "log", "--world-net", world_net(), until=UP) as process:
        children = children_of(process.pid)
        [victim] = [pid for pid, command in children.items() if "ztunnel_py" in command][:1]
        os.kill(victim, signal.SIGKILL)
        assert process.end() == 1
        assert "has ended with status -9, and with it the world" in process.output
    assert [pid for pid in children if is_alive(pid)] == []


def test_the_world_does_not_outlive_its_parent(tmp_path: Path) -> None:
    with started(tmp_path / "log", "--world-net", world_net(), until=UP) as process:
        children = children_of(process.pid)
        process.kill()
        wait_for_the_end_of(children)


@pytest.mark.parametrize(
    ("address", "port"), [("2.1", 15008), ("0.1", 15080), ("2.1", 8080)], ids=["HBONE", "SOCKS5", "application"]
)
def test_a_port_that_is_taken_is_one_line_and_nothing_starts(address: str, port: int) -> None:
    net = world_net()
    with taken(f"{net}.{address}", port):
        done = finished("--world-net", net)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(
        f"error: cannot listen on {net}.{address}:{port}: address already in use: pid {os.getpid()} ("
    )
    assert "--world-net" in line


def test_a_state_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = finished("--world-net", world_net(), "--state-dir", str(tmp_path / "file" / "state"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: --state-dir: {tmp_path}/file/state: not a directory\n"
