"""A cluster's dump served whole by one process: curl goes as whom it wants, the stand-ins say whom it reached."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import socket
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from mesh_py.discovery.local_file import read_local_config
from tests.support import dumps
from tests.support.processes import PeerProcess, loopback_address, our_second_number, run_tool
from tests.support.require import require_tool
from tests.support.sockets import taken
from tests.ztunnel_py.worlds import finished, started
from ztunnel_py.config import from_env
from ztunnel_py.stub_backends import StubBackends

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHAPES = [pytest.param(dumps.todays, id="today's shape"), pytest.param(dumps.older, id="the older shape")]
READY = 'component="readiness"'


@dataclass
class Cluster:
    """A dump that is being served."""

    process: PeerProcess
    file: Path
    net: int
    bind: str

    def ask(self, client: str, url: str) -> dict[str, Any]:
        """What the stand-in tells a client workload."""
        found: dict[str, Any] = json.loads(self.curl(client, url, "--fail"))
        return found

    def curl(self, client: str, url: str, *more: str) -> str:
        """curl as a client workload; empty if nothing came back."""
        address = ["--interface", dumps.place(self.net, client)] if client else []
        command = [require_tool("curl"), "-sS", "--max-time", "20", "--socks5-hostname", f"{self.bind}:15080"]
        return asyncio.run(run_tool(*command, *address, *more, url)).stdout.decode()

    def config_dump(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{self.bind}:15000/config_dump", timeout=20) as response:
            found: dict[str, Any] = json.load(response)
        return found

    def lines(self, **fields: str) -> list[str]:
        """The access log's lines with these fields."""
        wanted = [f'{name.replace("_", ".", 1)}="{value}"' for name, value in fields.items()]
        return [line for line in self.process.output.splitlines() if all(one in line for one in wanted)]


def a_net() -> int:
    """A second number under which no cluster is served."""
    while True:
        net = our_second_number()
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((dumps.place(net, "cart"), 15008))
            return net


@pytest.fixture(scope="module", params=SHAPES)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder, net, bind = tmp_path_factory.mktemp("dump"), a_net(), loopback_address()
    file = folder / "dump.json"
    file.write_text(json.dumps(request.param(net)))
    environment = {"LOCAL_XDS_PATH": str(file), "STUB_BACKENDS": "true"}
    with started(folder / "log", "--bind", bind, until=READY, environment=environment) as process:
        yield Cluster(process, file, net, bind)


@pytest.mark.interop
@pytest.mark.parametrize("host", ["cart.shop.svc.cluster.local", "cart.shop", "cart"])
def test_a_call_through_a_tunnel(cluster: Cluster, host: str) -> None:
    told = cluster.ask("web", f"http://{host}/hello")
    assert (told["namespace"], told["workload"]) == ("shop", "cart-1")
    assert told["address"] == f"{dumps.place(cluster.net, 'cart')}:8080"
    assert told["caller"].startswith(f"{dumps.place(cluster.net, 'web')}:")
    identity = "spiffe://cluster.local/ns/shop/sa"
    wanted = {"direction": "inbound", "src_identity": f"{identity}/web", "dst_identity": f"{identity}/cart"}
    cluster.process.wait_until(lambda: bool(cluster.lines(dst_workload="cart-1", **wanted)), "logged")


@pytest.mark.interop
def test_a_policy_of_the_cluster_refuses(cluster: Cluster) -> None:
    assert cluster.curl("spy", "http://cart/") == ""
    cluster.process.wait_until(
        lambda: any("policy rejection" in line for line in cluster.lines(src_workload="spy-1")), "logged"
    )


@pytest.mark.interop
def test_a_waypoint_answers_for_its_service(cluster: Cluster) -> None:
    told = cluster.ask("web", "http://books/")
    assert told["workload"] == "way-1"
    assert told["address"] == f"{dumps.place(cluster.net, 'way')}:15088"
    assert told["proxied"]["identity"] == "spiffe://cluster.local/ns/shop/sa/web"
    assert told["proxied"]["destination"] == f"127.{cluster.net}.{dumps.VIPS['books']}:80"


@pytest.mark.interop
def test_a_workload_without_hbone_is_reached_in_the_clear(cluster: Cluster) -> None:
    assert cluster.ask("web", "http://pay/")["workload"] == "pay-1"
    cluster.process.wait_until(lambda: bool(cluster.lines(dst_workload="pay-1")), "logged")
    assert "hbone_addr" not in cluster.lines(dst_workload="pay-1")[0]


@pytest.mark.interop
def test_a_client_from_127_0_0_1_is_somebody(cluster: Cluster) -> None:
    banner = cluster.process.output
    client, url = re.findall(r"Try, as shop/(\S+)-1:\n  curl --socks5-hostname \S+ (\S+)", banner)[0]
    assert cluster.ask("", url)["caller"].startswith(f"{dumps.place(cluster.net, client)}:")


@pytest.mark.interop
def test_names_are_told(cluster: Cluster) -> None:
    command = [require_tool("dig"), "-b", dumps.place(cluster.net, "web"), f"@{cluster.bind}", "-p", "15053", "+short"]
    assert asyncio.run(run_tool(*command, "cart")).stdout.decode() == f"127.{cluster.net}.{dumps.VIPS['cart']}\n"


def test_who_stands_where_is_said_and_dumped(cluster: Cluster) -> None:
    cart = f"127.{cluster.net}.2.1"
    assert re.search(rf"shop/cart-1 +10\.{cluster.net}\.2\.1 +{re.escape(cart)} +8080\n", cluster.process.output)
    dump = cluster.config_dump()
    [found] = [one for one in dump["stubBackends"] if one["name"] == "cart-1"]
    assert found == {
        "uid": dumps.uid("cart"),
        "name": "cart-1",
        "namespace": "shop",
        "addresses": {f"/10.{cluster.net}.2.1": cart},
        "ports": [8080],
    }
    assert dump["stubAddresses"][f"/10.{cluster.net}.96.4"] == f"127.{cluster.net}.96.4"


def test_its_own_dump_is_the_same_mesh(cluster: Cluster) -> None:
    """What one process dumps, another may start from."""
    dumped = read_local_config(json.dumps(cluster.config_dump()), "dump.json")
    settings = from_env({"LOCAL_XDS_PATH": str(cluster.file), "STUB_BACKENDS": "true", "HOME": "/nonexistent"})
    moved = StubBackends.load(settings).config
    assert {w.uid: w for w in dumped.workloads} == {w.uid: w for w in moved.workloads}
    assert {s.key: s for s in dumped.services} == {s.key: s for s in moved.services}
    assert dumped.policies == moved.policies


@pytest.mark.interop
def test_from_start_to_end(tmp_path: Path) -> None:
    """A taken port of an application hinders no other, an edit of the dump is followed, nothing is left behind."""
    net, bind, file = a_net(), loopback_address(), tmp_path / "dump.json"
    dump = dumps.todays(net)
    file.write_text(json.dumps(dump))
    pay, arguments = dumps.place(net, "pay"), ["--stub-backends", "--local-xds-path", str(file), "--bind", bind]
    with taken(pay, 8080), started(tmp_path / "log", *arguments, until=READY) as process:
        cluster = Cluster(process, file, net, bind)
        assert f"stand-in shop/pay-1: {pay}:8080: address already in use" in process.output
        assert cluster.curl("spy", "http://cart/") == ""
        newcomer = dict(dump["workloads"][0], uid="new", workloadIps=[f"10.{net}.9.9"])
        edited = dump | {"policies": [dumps.policy("web", "spy")], "workloads": [*dump["workloads"], newcomer]}
        file.write_text(json.dumps(edited))
        process.wait_until(lambda: process.output.count("policies changed") == 2, "the edit is taken over")
        assert cluster.ask("spy", "http://cart/")["workload"] == "cart-1"
        assert "1 addresses are new in the mesh: nobody serves them until the next start" in process.output
        process._process.send_signal(signal.SIGTERM)
        assert process._process.wait(timeout=30) == 0
    taken(dumps.place(net, "cart"), 8080).close()  # nobody has it any more


def test_a_taken_place_is_one_line(tmp_path: Path) -> None:
    net, bind, file = a_net(), loopback_address(), tmp_path / "dump.json"
    file.write_text(json.dumps(dumps.todays(net)))
    with taken(dumps.place(net, "cart"), 15008):
        done = finished("--stub-backends", "--local-xds-path", str(file), "--bind", bind)
    assert done.returncode == 2
    assert re.fullmatch(rf"error: cannot listen on {re.escape(dumps.place(net, 'cart'))}:15008: .*\n", done.stderr)
    assert done.stderr.endswith("; is this mesh being tried already?\n")
