"""The world of the paths: addresses of its own, processes as their roles want them, certificates for everybody."""

from __future__ import annotations

import datetime
import stat
from typing import TYPE_CHECKING

import pytest

from lab_py.errors import Unusable
from lab_py.paths.world import World, WorldFiles, lay_out

if TYPE_CHECKING:
    from pathlib import Path

WORLD = World("127.9")


def test_no_two_processes_want_one_address(tmp_path: Path) -> None:
    members = WORLD.members(WorldFiles(tmp_path / "m", tmp_path / "n", tmp_path / "c"))
    listens = [address for member in members for address in member.listens]
    assert len(listens) == len(set(listens))
    assert all(host.startswith("127.9.") for host, _ in listens)
    assert len({member.name for member in members}) == len(members) == 11


def test_only_applications_outlive_the_proxies(tmp_path: Path) -> None:
    members = WORLD.members(WorldFiles(tmp_path / "m", tmp_path / "n", tmp_path / "c"))
    assert {member.name for member in members if member.ends_last} == {
        "app-sidecar-httpbin", "app-ambient-httpbin", "app-helloworld-v1", "app-helloworld-v2",
    }  # fmt: skip


def test_roles_are_told_apart(tmp_path: Path) -> None:
    files = WorldFiles(tmp_path / "m", tmp_path / "n", tmp_path / "c")
    by_name = {member.name: member.environment for member in WORLD.members(files)}
    assert by_name["ztunnel-a"]["SOCKS5_SOURCE_WORKLOAD"] == "ambient/sleep"
    assert by_name["ztunnel-b"]["LOCAL_XDS_PATH"] == str(files.node_mesh)
    assert by_name["waypoint"]["LOCAL_XDS_PATH"] == str(files.mesh)
    assert by_name["sidecar-httpbin"]["APP_ADDRESS"] == "127.9.2.2"
    assert by_name["sidecar-sleep"]["UNSTABLE_ENABLE_SOCKS5"] == "true"
    assert "UNSTABLE_ENABLE_SOCKS5" not in by_name["sidecar-httpbin"]


def test_every_identity_gets_a_certificate_with_a_private_key(tmp_path: Path) -> None:
    lay_out(WORLD, WorldFiles(tmp_path / "m", tmp_path / "n", tmp_path), datetime.datetime.now(datetime.UTC))
    keys = sorted(tmp_path.glob("*/*/key.pem"))
    assert [str(key.parent.relative_to(tmp_path)) for key in keys] == [
        "ambient/helloworld", "ambient/httpbin", "ambient/sleep", "ambient/waypoint",
        "sidecar/httpbin", "sidecar/sleep",
    ]  # fmt: skip
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


@pytest.mark.parametrize("net", ["127", "10.0", "127.256", "127.1.2", "127.1\n"])
def test_a_net_beyond_loopback_is_refused(net: str) -> None:
    with pytest.raises(Unusable, match=r"is not 127\.N"):
        World(net)
