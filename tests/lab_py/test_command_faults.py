"""Mutations of the first path: take a rule away, and the hop that needs it is the first to be missed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.lab_py.labs import lab, require_lab

if TYPE_CHECKING:
    from pathlib import Path

FIRST_TO_BREAK = {
    "node-a/P15": "2",  # not marked, so not captured
    "node-a/N1": "2",  # kube-proxy's DNAT comes first
    "node-a/rule-101": "3",
    "zt-node-a/Z2": "5",
    "zt-node-a/rule-20003": "5",
    "httpbin/B-IN-REDIRECT": "7",
    "node-a/P10": "5",  # the rest of the client's connection is not given to ztunnel either
}


@pytest.mark.lab
@pytest.mark.privileged
def test_a_hop_is_missed_without_its_rule(tmp_path: Path) -> None:
    require_lab()
    done = lab(tmp_path, "faults", "ambient-to-sidecar", *FIRST_TO_BREAK, "tunnel", "-o", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    broken = json.loads(done.stdout)
    assert broken.pop("nothing") == [], "the whole is observed, hop by hop"
    # A SYN that nobody takes is sent again: then earlier hops, which count it exactly, may be missed with it.
    expected = FIRST_TO_BREAK | {"tunnel": "3"}
    assert broken.keys() == expected.keys()
    assert {name: hop in broken[name] for name, hop in expected.items()} == dict.fromkeys(expected, True)
