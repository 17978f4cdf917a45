"""Where things stand: inside their boxes, and never one upon another."""

from __future__ import annotations

import itertools

import pytest

from lab_py.builtin import SCENARIOS, load
from lab_py.facts import topology_facts
from lab_py.page.layout import WIDTH, Chip, lay_out


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_chips_are_apart_and_inside_the_picture(scenario: str) -> None:
    layout = lay_out(topology_facts(load(scenario)))
    for chip in layout.chips.values():
        assert chip.x >= 0
        assert chip.x + chip.width <= WIDTH
        assert chip.y + 22 <= layout.height
    for one, other in itertools.combinations(layout.chips.values(), 2):
        assert not overlap(one, other), (one.key, other.key)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_namespace_has_its_box(scenario: str) -> None:
    topology = load(scenario)
    named = {box.name for box in lay_out(topology_facts(topology)).boxes}
    assert {node.name for node in topology.nodes} | {pod.name for pod in topology.pods} <= named


def test_pods_that_are_captured_have_rules() -> None:
    """Today's design puts an ambient pod's into the pod; in 1.18's it has none that count."""
    chips = lay_out(topology_facts(load("sidecar-to-waypoint"))).chips
    assert [name for name in ("sleep", "waypoint", "helloworld") if f"{name} rules" in chips] == ["sleep", "helloworld"]


def test_frames_come_before_what_they_hold() -> None:
    names = [box.name for box in lay_out(topology_facts(load(SCENARIOS[0]))).boxes]
    assert names == ["node-a", "sleep", "zt-node-a", "node-b", "httpbin", "zt-node-b"]


def overlap(one: Chip, other: Chip) -> bool:
    beside = one.x + one.width <= other.x or other.x + other.width <= one.x
    return not beside and abs(one.y - other.y) < 22
