"""What can be taken away, by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab_py.builtin import SCENARIOS, load
from lab_py.errors import Unusable
from lab_py.faults.base import Pieces
from lab_py.faults.table import faults_of, find_fault, pieces_of
from lab_py.topology import Design


def test_every_rule_and_route_can_be() -> None:
    pieces = pieces_of(load("ambient-to-sidecar"))
    assert {"node-a/P15", "node-a/rule-101", "zt-node-b/Z4", "httpbin/B2"} <= set(pieces)
    assert len(pieces) == len(set(pieces))


@pytest.mark.parametrize("design", Design)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_row_takes_away_what_is_there(scenario: str, design: Design) -> None:
    topology = replace(load(scenario), design=design)
    rows, pieces = faults_of(topology), pieces_of(topology)
    assert len({row.name for row in rows}) == len({row.culprit for row in rows}) == len(rows)
    for row in rows:
        assert row.shows
        if isinstance(row.act, Pieces):
            assert {f"{row.act.namespace}/{name}" for name in row.act.names} <= set(pieces)


@pytest.mark.parametrize(
    ("scenario", "names"),
    [
        ("ambient-to-sidecar", {"P15", "N1", "rule-102", "rule-20003", "tunnel", "rp-filter", "mtu", "policy"}),
        ("sidecar-to-ambient", {"O1", "rule-102", "rule-20003", "tunnel", "rp-filter", "mtu", "policy", "certificate"}),
        ("sidecar-to-waypoint", {"rule-103", "waypoint", "ztunnel", "sidecar", "application"}),
    ],
)
def test_the_fault_table_is_all_there(scenario: str, names: set[str]) -> None:
    """Redirection d.8, and what else can be gone."""
    assert names <= {row.name for row in faults_of(load(scenario))}


@pytest.mark.parametrize(
    ("name", "culprit"),
    [("rule-102", "node-a/rule-102"), ("node-b/P8", "node-b/P8"), ("table-100-zt", None), ("B2", "httpbin/B2")],
)
def test_a_piece_is_found_by_its_name_where_there_is_one_of_it(name: str, culprit: str | None) -> None:
    topology = load("ambient-to-sidecar")
    if culprit is None:
        with pytest.raises(Unusable, match="in several places: node-a/table-100-zt, node-b/table-100-zt"):
            find_fault(topology, name)
    else:
        assert find_fault(topology, name).culprit == culprit


def test_what_is_mistyped_is_told() -> None:
    with pytest.raises(Unusable, match="there is no 'tunel'; did you mean 'tunnel'"):
        find_fault(load("ambient-to-sidecar"), "tunel")
