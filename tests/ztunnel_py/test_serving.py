"""One proxy from the command line: two that trust each other through FAKE_CA, and all that keeps one from starting."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from mesh_py.settings.source import SettingsError
from tests.support.processes import PeerProcess
from tests.support.sockets import taken
from tests.ztunnel_py.worlds import CLEAN, curl, finished, started, world_net
from ztunnel_py.command_line import run
from ztunnel_py.config import from_env
from ztunnel_py.serving import refuse_taken_ports
from ztunnel_py.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READY = 'component="readiness"'
"""The last listener a proxy names."""


@contextlib.contextmanager
def application(world: World, folder: Path) -> Iterator[None]:
    """The httpbin pod itself."""
    command = [sys.executable, "-m", "lab_py.apps.httpbin", "--host", world.httpbin_ip, "--port", "8080"]
    process = PeerProcess(command, folder / "application.log")
    try:
        process.wait_until(lambda: "listening on" in process.output, "listening", 30)
        yield
    finally:
        process.stop()


def node(world: World, name: str, mesh: Path, *more: str) -> list[str]:
    """Flags of one node's proxy."""
    address = world.node_a.address if name == "node-a" else world.node_b.address
    return ["--mode", "node", "--node", name, "--bind", address, "--local-xds-path", str(mesh), *more]


SOCKS = ("--socks5", "--socks-as", "default/sleep")


def reaches(world: World) -> bool:
    """Whether sleep's curl gets an answer from the application."""
    socks = ("--socks5-hostname", world.socks)
    return curl("--fail", *socks, f"{world.url}/status/204").returncode == 0


@pytest.mark.interop
@pytest.mark.parametrize("loop", ["reactor", "asyncio"])
def test_two_proxies_of_one_user_trust_each_other(tmp_path: Path, loop: str) -> None:
    world, state = World(world_net()), {"XDG_STATE_HOME": str(tmp_path / "state")}
    (tmp_path / "mesh.yaml").write_text(world.mesh_file())
    flags = ("--fake-ca", "--loop", loop)
    with (
        application(world, tmp_path),
        # Neither waits for the other: they meet at making the authority.
        started_both(world, tmp_path, flags, state, state) as processes,
    ):
        assert reaches(world)
        for process in processes:
            assert "FAKE_CA signs for any identity" in process.output
    key = tmp_path / "state" / "hbone-mesh" / "ca" / "root-key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


@pytest.mark.interop
def test_two_proxies_of_different_users_do_not(tmp_path: Path) -> None:
    world = World(world_net())
    (tmp_path / "mesh.yaml").write_text(world.mesh_file())
    one, other = {"XDG_STATE_HOME": str(tmp_path / "one")}, {"XDG_STATE_HOME": str(tmp_path / "other")}
    with application(world, tmp_path), started_both(world, tmp_path, ("--fake-ca",), one, other) as (client, _):
        assert not reaches(world)
        client.wait_until(lambda: "error=" in client.output, "an error in the client side's log")


@contextlib.contextmanager
def started_both(
    world: World, folder: Path, flags: tuple[str, ...], client: dict[str, str], server: dict[str, str]
) -> Iterator[tuple[PeerProcess, PeerProcess]]:
    """Both nodes' proxies."""
    mesh = folder / "mesh.yaml"
    with (
        started(folder / "a", *node(world, "node-a", mesh, *SOCKS, *flags), until="", environment=client) as one,
        started(folder / "b", *node(world, "node-b", mesh, *flags), until=READY, environment=server) as other,
    ):
        one.wait_until(lambda: READY in one.output, "ready", 40)
        yield one, other


@pytest.mark.interop
def test_a_dedicated_proxy_serves_its_workload(tmp_path: Path) -> None:
    world, state = World(world_net()), {"XDG_STATE_HOME": str(tmp_path / "state")}
    mesh = tmp_path / "mesh.yaml"
    mesh.write_text(world.mesh_file())
    dedicated = ["--mode", "dedicated", "--workload", "default/sleep/sleep", "--local-xds-path", str(mesh), "--fake-ca"]
    flags = [*dedicated, "--bind", world.node_a.address, "--socks5"]
    with (
        application(world, tmp_path),
        started(tmp_path / "a", *flags, until=READY, environment=state),
        started(tmp_path / "b", *node(world, "node-b", mesh, "--fake-ca"), until=READY, environment=state) as other,
    ):
        assert reaches(world)
        other.wait_until(lambda: 'src.identity="spiffe://cluster.local/ns/default/sa/sleep"' in other.output, "sleep")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_a_proxy_with_0(tmp_path: Path, number: signal.Signals) -> None:
    world = World(world_net())
    (tmp_path / "mesh.yaml").write_text(world.mesh_file())
    state = {"XDG_STATE_HOME": str(tmp_path)}
    flags = node(world, "node-b", tmp_path / "mesh.yaml", "--fake-ca")
    with started(tmp_path / "log", *flags, until=READY, environment=state) as process:
        assert process.end_with(number) == 0
        assert "shutdown complete" in process.output


NO_ADDRESS = "cannot assign requested address: this machine does not have the address"
NO_CA = "CA_ADDRESS: would send the token in the clear: http:// is for loopback addresses, use https://"


@pytest.mark.parametrize(
    ("change", "environment", "complaint"),
    [
        pytest.param(
            {"protocol: HBONE": "protcol: HBONE"},
            {},
            "mesh.yaml:16:3: unknown key 'protcol' in workload; did you mean 'protocol'?",
            id="unknown key",
        ),
        pytest.param({"workloadIps: [": "workloadIps: [x"}, {}, "mesh.yaml:15:17: ", id="broken YAML"),
        pytest.param(
            {},
            {"FAKE_CA": "", "WORKLOAD_CERT_DIR": "/nowhere"},
            "WORKLOAD_CERT_DIR: /nowhere is not a folder",
            id="no certificates there",
        ),
        pytest.param({}, {"FAKE_CA": ""}, "no certificates: set CA_ADDRESS, or WORKLOAD_", id="no certificates named"),
        pytest.param({}, {"CA_ADDRESS": "http://ca:15010"}, NO_CA, id="CA in the clear"),
        pytest.param({}, {"PROXY_MODE": "pods"}, "PROXY_MODE: 'pods' is none of node", id="no mode"),
        pytest.param(
            {}, {"LOCAL_XDS_PATH": "none.yaml"}, "none.yaml: no such file or directory: check the path", id="no file"
        ),
        pytest.param({}, {"LOCAL_XDS_PATH": "/"}, "/: is a directory: check the path and its rights", id="a folder"),
        pytest.param(
            {}, {"PROXY_BIND_ADDRESS": "192.0.2.1"}, f"cannot listen on 192.0.2.1:15001: {NO_ADDRESS}", id="no address"
        ),
    ],
)
def test_what_keeps_a_proxy_from_starting_is_one_line(
    change: dict[str, str],
    environment: dict[str, str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World(world_net())
    text = world.mesh_file()
    for good, bad in change.items():
        text = text.replace(good, bad, 1)
    (tmp_path / "mesh.yaml").write_text(text)
    least = {
        "PROXY_MODE": "node",
        "LOCAL_XDS_PATH": str(tmp_path / "mesh.yaml"),
        "PROXY_BIND_ADDRESS": world.node_a.address,
        "FAKE_CA": "true",
        "XDG_STATE_HOME": str(tmp_path),
    }
    for name, value in (CLEAN | least | environment).items():
        monkeypatch.setenv(name, value)
    assert run([]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    assert line.startswith("error: ")
    assert complaint in line


@pytest.mark.parametrize("port", [15000, 15001, 15006, 15008, 15020, 15021, 15080])
def test_a_port_that_is_taken_is_named_with_whoever_has_it(port: int) -> None:
    address = World(world_net()).node_a.address
    environ = {"LOCAL_XDS": "{}", "FAKE_CA": "true", "PROXY_BIND_ADDRESS": address, "UNSTABLE_ENABLE_SOCKS5": "true"}
    settings = from_env(environ)
    refuse_taken_ports(settings)
    with taken(address, port), pytest.raises(SettingsError) as failure:
        refuse_taken_ports(settings)
    assert str(failure.value).startswith(
        f"cannot listen on {address}:{port}: address already in use: pid {os.getpid()} ("
    )
    assert str(failure.value).endswith(") listens there; or choose another address with --bind")


def test_a_proxy_whose_port_is_taken_ends_with_one_line(tmp_path: Path) -> None:
    world = World(world_net())
    (tmp_path / "mesh.yaml").write_text(world.mesh_file())
    with taken(world.node_a.address, 15008):
        done = finished(*node(world, "node-a", tmp_path / "mesh.yaml", "--fake-ca"))
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"error: cannot listen on {world.node_a.address}:15008: address already in use: pid ")
