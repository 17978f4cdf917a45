"""The line that a hop draws."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab_py.builtin import SCENARIOS, load
from lab_py.evidence.checks import Observed
from lab_py.facts import topology_facts
from lab_py.hops.base import judge
from lab_py.hops.paths import hops_of
from lab_py.page.layout import lay_out
from lab_py.page.legs import chip_of, legs
from lab_py.report import as_json
from lab_py.topology import Design
from tests.lab_py.page.runs import run

CHIPS = ["app-sleep", "sleep eth0", "node-1 rules", "node-1 istioin", "sidecar-httpbin"]


def test_a_hop_begins_where_the_one_before_has_ended() -> None:
    assert legs(run()["hops"], CHIPS, "app-sleep") == [["app-sleep", "sleep eth0"], ["sleep eth0", "sidecar-httpbin"]]


def test_rules_are_on_the_way_where_nothing_else_is() -> None:
    hop = {"findings": [{"kind": "counter", "where": "node-1 P15", "expected": "1 (mark)"}]}
    assert legs([hop], CHIPS, "app-sleep") == [["app-sleep", "node-1 rules"]]


@pytest.mark.parametrize("design", Design)
@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if load(name).request is not None])
def test_the_picture_has_a_chip_for_whatever_a_hop_can_name(scenario: str, design: Design) -> None:
    topology = replace(load(scenario), design=design)
    chips = lay_out(topology_facts(topology)).chips
    for hop in as_json(judge(hops_of(topology), Observed()))["hops"]:
        for finding in hop["findings"]:
            assert chip_of(finding) in chips, finding
