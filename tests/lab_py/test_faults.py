"""What can be taken away."""

from __future__ import annotations

from lab_py.builtin import load
from lab_py.faults import faults_of


def test_every_rule_and_route_can_be() -> None:
    known = faults_of(load("ambient-to-sidecar"))
    assert {"tunnel", "node-a/P15", "node-a/rule-101", "zt-node-b/Z4", "httpbin/B2"} <= set(known)
    assert len(known) == len(set(known))
