"""Certificates that others do not trust."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from lab_py.builtin import load
from lab_py.control_plane import ControlPlane
from lab_py.explain.certificates import bad_certificates
from lab_py.mesh_file import identity_of
from lab_py.world import lay_out
from mesh_py.identity.layout import CERT_CHAIN, identity_folder
from mesh_py.identity.local_ca import LocalCa

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
TOPOLOGY = load("sidecar-to-ambient")


def test_a_leaf_of_another_authority_is_found(tmp_path: Path) -> None:
    files = lay_out(TOPOLOGY, tmp_path, NOW, ControlPlane.FILE)
    assert bad_certificates(TOPOLOGY, files) == {}
    identity = identity_of(TOPOLOGY.pod("httpbin"))
    foreign = LocalCa.throw_away(NOW).issue(identity, NOW)
    (identity_folder(files.certificates, identity) / CERT_CHAIN).write_bytes(foreign.chain_pem)
    found = bad_certificates(TOPOLOGY, files)
    assert list(found) == ["httpbin"]
    assert "not signed by the authority that sleep trusts" in found["httpbin"]


def test_what_a_control_plane_has_given_is_not_judged(tmp_path: Path) -> None:
    assert bad_certificates(TOPOLOGY, lay_out(TOPOLOGY, tmp_path, NOW, ControlPlane.ISTIOD)) == {}
