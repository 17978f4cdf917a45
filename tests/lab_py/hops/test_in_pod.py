"""Today's paths: every arrow of 1.18's has its successor, and every claim can be checked in the lab."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab_py.builtin import COEXISTENCE, SCENARIOS, load
from lab_py.evidence.checks import CountsRule, Logs, Observed, SeesPackets
from lab_py.hops.base import judge
from lab_py.hops.paths import hops_of
from lab_py.redirect.plan import redirections
from lab_py.topology import Design


@pytest.mark.parametrize(
    ("scenario", "count"), [("ambient-to-sidecar", 6), ("sidecar-to-ambient", 8), ("sidecar-to-waypoint", 8)]
)
def test_every_arrow_of_1_18_is_accounted_for(scenario: str, count: int) -> None:
    before, today = load(scenario), replace(load(scenario), design=Design.IN_POD)
    hops = hops_of(today)
    assert [hop.number for hop in hops] == [str(number) for number in range(1, count + 1)]
    replaced = {number for hop in hops for number in hop.replaces}
    assert replaced == {hop.number for hop in hops_of(before)}


@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name != COEXISTENCE])
def test_every_claim_names_what_is_there_and_needs_evidence(scenario: str) -> None:
    topology = replace(load(scenario), design=Design.IN_POD)
    names = {one.namespace: one.names for one in redirections(topology)}
    for hop in hops_of(topology):
        for check in hop.checks:
            match check:
                case CountsRule(namespace, rule):
                    assert rule in names[namespace], hop.title
                case SeesPackets(namespace):
                    assert namespace in topology.namespaces
                case Logs(process):
                    assert process.removeprefix("sidecar-") in topology.namespaces
    assert not any(found.is_so for found in judge(hops_of(topology), Observed()))


def test_the_waypoint_is_claimed_to_see_nothing() -> None:
    (hop,) = [one for one in hops_of(replace(load("sidecar-to-waypoint"), design=Design.IN_POD)) if one.number == "4"]
    assert any(isinstance(check, SeesPackets) and check.namespace == "waypoint" for check in hop.checks)
    assert "not by waypoint" in hop.title
