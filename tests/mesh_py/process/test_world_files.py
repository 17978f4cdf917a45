"""The files of an embedded world: a certificate for each identity, and mesh files whose edits stay."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from hbone_py.identity import SpiffeId
from mesh_py.identity.layout import identity_folder
from mesh_py.process.world_files import WorldFiles, write_world

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
SLEEP = SpiffeId("cluster.local", "default", "sleep")


def written(folder: Path) -> WorldFiles:
    return write_world(folder, NOW, [SLEEP], "workloads: []  # all\n", "workloads: []\n")


def test_what_the_processes_read(tmp_path: Path) -> None:
    files = written(tmp_path)
    assert (files.mesh.read_text(), files.node_mesh.read_text()) == ("workloads: []  # all\n", "workloads: []\n")
    assert not files.is_edited
    keys = [file for file in identity_folder(files.certificates, SLEEP).iterdir() if "KEY" in file.read_text()]
    assert [file.stat().st_mode & 0o777 for file in keys] == [0o600]


def test_an_edit_stays_and_is_told(tmp_path: Path) -> None:
    written(tmp_path).mesh.write_text("services: []\n")
    again = written(tmp_path)
    assert again.is_edited
    assert again.mesh.read_text() == "services: []\n"
