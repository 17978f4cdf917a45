"""Which hops a request takes: their numbers are the post's, and every claim of theirs can be checked in the lab."""

from __future__ import annotations

import dataclasses

import pytest

from lab_py.builtin import COEXISTENCE, SCENARIOS, load
from lab_py.errors import Unusable
from lab_py.evidence.checks import CountsRule, Logs, Observed, SeesPackets
from lab_py.hops.base import judge, places_of
from lab_py.hops.paths import hops_of
from lab_py.redirect.plan import redirections
from lab_py.topology import Design, Kind, Node, Pod

PATHS = [name for name in SCENARIOS if name != COEXISTENCE]


@pytest.mark.parametrize(
    ("scenario", "count"),
    [("ambient-to-sidecar", 8), ("ambient-to-hbone", 8), ("sidecar-to-ambient", 9), ("sidecar-to-waypoint", 10)],
)
def test_hops_are_numbered_in_order(scenario: str, count: int) -> None:
    assert [hop.number for hop in hops_of(load(scenario))] == [str(number) for number in range(1, count + 1)]


@pytest.mark.parametrize("scenario", PATHS)
def test_every_claim_names_what_is_there(scenario: str) -> None:
    topology = load(scenario)
    names = {one.namespace: one.names for one in redirections(topology)}
    for hop in hops_of(topology):
        assert hop.checks
        for check in hop.checks:
            match check:
                case CountsRule(namespace, rule):
                    assert rule in names[namespace], hop.title
                case SeesPackets(namespace):
                    assert namespace in topology.namespaces
                case Logs(process):
                    assert process.removeprefix("sidecar-").removeprefix("waypoint-") in topology.namespaces


@pytest.mark.parametrize("scenario", PATHS)
def test_where_nothing_was_observed_no_hop_is(scenario: str) -> None:
    """None of them claims only what needs no evidence."""
    found = judge(hops_of(load(scenario)), Observed())
    assert [one.hop.number for one in found if one.is_so] == []


def test_captures_stand_where_the_claims_are() -> None:
    places = set(places_of(hops_of(load("ambient-to-sidecar"))))
    assert {("sleep", "eth0"), ("node-a", "istioout"), ("zt-node-a", "pistioout"), ("httpbin", "lo")} <= places


NODES = Node("a", 1), Node("b", 2)
PLAIN = Pod("sleep", NODES[0], Kind.PLAIN, "10.244.1.10"), Pod("httpbin", NODES[1], Kind.PLAIN, "10.244.2.20", 8000)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param({"request": None}, "nothing is requested", id="no request"),
        pytest.param({"design": Design.IN_POD, "nodes": (), "pods": PLAIN}, "for plain sleep to plain httpbin (in-pod)",
                     id="today's design"),
    ],
)  # fmt: skip
def test_a_path_nobody_describes(change: dict[str, object], complaint: str) -> None:
    topology = dataclasses.replace(load("ambient-to-sidecar"), **change)  # type: ignore[arg-type]
    with pytest.raises(Unusable) as found:
        hops_of(topology)
    assert complaint in str(found.value)
