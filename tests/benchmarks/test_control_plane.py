"""The benchmark of the control plane: that its mesh is one, and that it tells every figure."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from benchmarks.control_plane import main, manifests
from mesh_py.manifests.reader import read_manifests
from tests.support.control_worlds import world_of
from tests.support.processes import loopback_address


def test_the_manifests_are_the_mesh_that_is_meant() -> None:
    files = dict(manifests(45))
    assert list(files) == ["ns-0.yaml"]
    world = world_of(*files.values())
    assert len(world.mesh.workloads) == 45
    assert len(world.mesh.services) == 3
    assert all(len(one.services) == 1 for one in world.mesh.workloads.values())
    assert not read_manifests(files["ns-0.yaml"], "ns-0.yaml").warnings


@pytest.mark.interop
def test_every_figure_is_told() -> None:
    size = ["--workloads", "25", "--proxies", "3", "--edits", "1"]
    done = CliRunner().invoke(main, [*size, "--address", loopback_address(), "-o", "json"])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures["resources sent per edit and proxy"] == 1
    assert figures["a full sync, MB"] > 0
    assert all(figure > 0 for name, figure in figures.items() if "CPU" not in name)
