"""Pods of a lab that is up, in either file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab_py.builtin import load
from lab_py.errors import Unusable
from lab_py.manifests import manifests_text
from lab_py.mesh_edit import KnownPod, mesh_edit
from lab_py.mesh_file import mesh_text
from lab_py.topology import Kind
from lab_py.world import WorldFiles

if TYPE_CHECKING:
    from pathlib import Path

TOPOLOGY = load("coexistence")


@pytest.fixture(params=["manifests", "file"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> WorldFiles:
    found = WorldFiles(tmp_path)
    if request.param == "file":
        found.mesh.write_text(mesh_text(TOPOLOGY))
    else:
        found.manifests.parent.mkdir()
        found.manifests.write_text(manifests_text(TOPOLOGY))
    return found


def test_every_pod_is_known(files: WorldFiles) -> None:
    mesh = mesh_edit(files)
    for pod in TOPOLOGY.pods:
        assert mesh.pod(pod.name) == KnownPod(pod.name, pod.node.name, pod.ip, pod.kind)
    with pytest.raises(Unusable, match="there is no pod 'nobody': there are plain-a, "):
        mesh.pod("nobody")


def test_a_pod_joins_and_leaves(files: WorldFiles) -> None:
    before = mesh_edit(files)
    for kind in (Kind.AMBIENT, Kind.PLAIN):
        mesh_edit(files).make("plain-a", kind)
        assert mesh_edit(files).pod("plain-a").kind is kind
        assert mesh_edit(files).pod("ambient-a") == before.pod("ambient-a"), "nobody else's business"
