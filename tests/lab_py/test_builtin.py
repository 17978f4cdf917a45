"""The scenarios that come with the lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab_py.builtin import COEXISTENCE, SCENARIOS, load
from lab_py.topology import Kind
from mesh_py.discovery.problems import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "kinds", "nodes"),
    [
        ("ambient-to-sidecar", {"sleep": Kind.AMBIENT, "httpbin": Kind.SIDECAR}, 2),
        ("sidecar-to-ambient", {"sleep": Kind.SIDECAR, "httpbin": Kind.AMBIENT}, 2),
        (
            "sidecar-to-waypoint",
            {"sleep": Kind.SIDECAR, "waypoint": Kind.WAYPOINT, "helloworld": Kind.AMBIENT},
            4,
        ),
    ],
)
def test_a_scenario_has_the_pods_of_the_post(name: str, kinds: dict[str, Kind], nodes: int) -> None:
    topology = load(name)
    assert {pod.name: pod.kind for pod in topology.pods} == kinds
    assert len(topology.nodes) == nodes
    assert topology.request is not None
    assert topology.request.source == "sleep"


def test_every_scenario_is_listed() -> None:
    assert {load(name).name for name in SCENARIOS} == set(SCENARIOS)


def test_the_matrix_has_a_pair_for_every_cell() -> None:
    pods = load(COEXISTENCE).pods
    pairs = {(one.kind, other.kind, one.node == other.node) for one in pods for other in pods if one != other}
    assert len(pairs) == 18


def test_a_file_is_a_topology_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("nodes: [n]\npods:\n- {name: p, node: n, kind: plain}\n")
    assert load(str(file)).name == "mine"


def test_neither_scenario_nor_file() -> None:
    with pytest.raises(ConfigError, match="did you mean 'ambient-to-sidecar'"):
        load("ambient-to-sidcar")
