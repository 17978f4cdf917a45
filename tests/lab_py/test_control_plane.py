"""istiod_py as a process of the lab, and what proxies prove themselves to it by."""

from __future__ import annotations

import datetime
import stat
from typing import TYPE_CHECKING

from lab_py.builtin import load
from lab_py.control_plane import ControlPlane, istiod, joining
from lab_py.world import lay_out
from mesh_py.identity.tokens import TokenKey

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def test_every_proxy_has_a_token_for_who_it_is(tmp_path: Path) -> None:
    files = lay_out(load("sidecar-to-waypoint"), tmp_path, NOW, ControlPlane.ISTIOD)
    key = TokenKey.open(files.istiod)
    found = {one.name: key.check(one.read_text(), NOW.timestamp()) for one in files.tokens.iterdir()}
    told = {name: (caller.account, caller.node) for name, caller in found.items()}
    assert told["sidecar-sleep"] == ("default/sleep", "node-a")
    assert told["waypoint-waypoint"] == ("default/waypoint", "node-c")
    assert told["zt-node-d"] == ("istio-system/ztunnel", "node-d")
    assert {stat.S_IMODE(one.stat().st_mode) for one in files.tokens.iterdir()} == {0o600}


def test_what_proxies_join_by_is_there(tmp_path: Path) -> None:
    files = lay_out(load("sidecar-to-waypoint"), tmp_path, NOW, ControlPlane.ISTIOD)
    told = joining(files, "sidecar-sleep")
    assert files.token("sidecar-sleep").exists()
    assert told["XDS_ROOT_CA"] == told["CA_ROOT_CA"]
    assert (files.authority / "root-cert.pem").exists()
    assert not files.mesh.exists()
    assert str(files.manifests.parent) in istiod(files).command
