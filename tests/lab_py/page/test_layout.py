"""Where things stand: inside their boxes, and never one upon another."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from lab_py.builtin import SCENARIOS, load
from lab_py.facts import topology_facts
from lab_py.page.layout import LANE, Chip, lay_out
from lab_py.topology import Design


@pytest.mark.parametrize("design", Design)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_chips_are_apart_and_inside_the_picture(scenario: str, design: Design) -> None:
    layout = lay_out(topology_facts(replace(load(scenario), design=design)))
    for chip in layout.chips.values():
        assert chip.x >= 0
        assert chip.x + chip.width <= LANE
        assert chip.y + 22 <= layout.height
    for one, other in itertools.combinations(layout.chips.values(), 2):
        assert not overlap(one, other), (one.key, other.key)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_namespace_has_its_box(scenario: str) -> None:
    topology = load(scenario)
    named = {box.name for box in lay_out(topology_facts(topology)).boxes}
    assert {node.name for node in topology.nodes} | {pod.name for pod in topology.pods} <= named


@pytest.mark.parametrize(
    ("design", "have_rules", "tunnels"),
    [(Design.TUNNELS, ["sleep"], True), (Design.IN_POD, ["sleep", "helloworld"], False)],
)
def test_what_a_design_has_and_nothing_else(design: Design, have_rules: list[str], *, tunnels: bool) -> None:
    """Today's puts an ambient pod's rules into the pod, ztunnel's sockets too, and there are no tunnels."""
    chips = lay_out(topology_facts(replace(load("sidecar-to-waypoint"), design=design))).chips
    assert [name for name in ("sleep", "waypoint", "helloworld") if f"{name} rules" in chips] == have_rules
    assert [f"node-d {device}" in chips for device in ("istioin", "istioout")] == [tunnels] * 2
    assert [f"zt-node-d {device}" in chips for device in ("pistioin", "pistioout")] == [tunnels] * 2
    beside = {"zt-node-d pistioin"} if tunnels else {"helloworld lo"}
    assert any(chips[key].y == chips["zt-node-d"].y for key in beside), "where ztunnel's sockets are"


def test_frames_come_before_what_they_hold() -> None:
    names = [box.name for box in lay_out(topology_facts(load(SCENARIOS[0]))).boxes]
    assert names == ["node-a", "sleep", "zt-node-a", "node-b", "httpbin", "zt-node-b"]


def overlap(one: Chip, other: Chip) -> bool:
    beside = one.x + one.width <= other.x or other.x + other.width <= one.x
    return not beside and abs(one.y - other.y) < 22
