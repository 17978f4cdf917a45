"""ztunnels get the mesh without the keys of layer 7, after every edit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lab_py.paths.node_mesh import follow, without_further_keys, write_node_mesh
from tests.support.processes import eventually

if TYPE_CHECKING:
    from pathlib import Path

MESH = """\
# head
workloads: []
manifests:
- {a: 1}

services: []
labels: {x: {y: z}}
"""


def test_lines_keep_their_places() -> None:
    assert without_further_keys(MESH) == "# head\nworkloads: []\n\n\n\nservices: []\n\n"


def test_what_cannot_be_read_is_for_the_proxies_to_complain_of() -> None:
    for text in ("workloads: [", "- a list\n", ""):
        assert without_further_keys(text) == text


async def test_edits_are_followed(tmp_path: Path) -> None:
    mesh, node_mesh = tmp_path / "mesh.yaml", tmp_path / "node.yaml"
    mesh.write_text(MESH)
    write_node_mesh(mesh, node_mesh)
    async with asyncio.TaskGroup() as group:
        following = group.create_task(follow(mesh, node_mesh))
        await asyncio.sleep(0)
        mesh.write_text("workloads: []\nmanifests: []\n# more\n")
        await eventually(lambda: node_mesh.read_text() == "workloads: []\n\n\n", "the edit in the other file")
        following.cancel()
