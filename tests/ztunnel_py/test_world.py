"""The embedded world as data: its file is right, also with the comment marks off, and its certificates fit."""

from __future__ import annotations

import datetime
import stat
from typing import TYPE_CHECKING

import pytest

from hbone_py import Credentials
from mesh_py.discovery.local_file import read_local_config
from mesh_py.identity.layout import CERT_CHAIN, KEY, ROOT_CERT, identity_folder
from mesh_py.settings.source import SettingsError
from ztunnel_py.world import HTTPBIN, SLEEP, World, lay_out

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.datetime.now(datetime.UTC)


def without_comment_marks(text: str) -> str:
    """What the file's own first lines invite to try."""
    head, body = text[: text.index("workloads:")], text[text.index("workloads:") :]
    return head + body.replace("# ", "")


def test_the_mesh_file_is_right() -> None:
    found = read_local_config(World().mesh_file(), "mesh.yaml")
    assert {workload.name: (workload.node, workload.workload_ips) for workload in found.workloads} == {
        "sleep": ("node-a", ("127.0.1.1",)),
        "httpbin": ("node-b", ("127.0.2.1",)),
    }
    assert [[str(vip) for vip in service.vips] for service in found.services] == [["/127.0.96.1"]]
    assert (found.policies, found.warnings) == ((), ())


def test_it_stays_right_when_the_policy_is_tried() -> None:
    found = read_local_config(without_comment_marks(World().mesh_file()), "mesh.yaml")
    assert [policy.key for policy in found.policies] == ["default/no-sleep"]
    assert [w.authorization_policies for w in found.workloads if w.name == "httpbin"] == [("default/no-sleep",)]
    assert found.warnings == ()


def test_another_net_moves_every_address() -> None:
    world = World("127.77")
    assert "127.0." not in world.mesh_file()
    assert (world.node_a.address, world.node_b.address) == ("127.77.0.1", "127.77.2.1")
    assert world.socks == "127.77.0.1:15080"


@pytest.mark.parametrize("net", ["10.0", "127", "127.256", "127.0.0", "127.x", ""])
def test_a_net_that_is_not_loopback_is_refused(net: str) -> None:
    with pytest.raises(SettingsError, match=r"^--world-net: "):
        World(net)


@pytest.mark.parametrize("identity", [SLEEP, HTTPBIN], ids=str)
def test_each_pod_gets_a_certificate_that_nobody_else_reads(identity: object, tmp_path: Path) -> None:
    spiffe_id = SLEEP if identity == SLEEP else HTTPBIN
    files = lay_out(World(), tmp_path, NOW)
    folder = identity_folder(files.certificates, spiffe_id)
    made = Credentials.from_files(folder / CERT_CHAIN, folder / KEY, folder / ROOT_CERT)
    assert made.identity == spiffe_id
    assert str(made.serial) == files.serials[spiffe_id]
    assert stat.S_IMODE((folder / KEY).stat().st_mode) == 0o600


def test_a_folder_is_used_again_with_fresh_certificates(tmp_path: Path) -> None:
    first = lay_out(World(), tmp_path, NOW)
    second = lay_out(World(), tmp_path, NOW)
    assert first.serials[SLEEP] != second.serials[SLEEP]
    assert not second.is_edited


def test_an_edited_mesh_file_stays(tmp_path: Path) -> None:
    lay_out(World(), tmp_path, NOW).mesh.write_text("workloads: []\n")
    again = lay_out(World("127.77"), tmp_path, NOW)
    assert again.is_edited
    assert again.mesh.read_text() == "workloads: []\n"
