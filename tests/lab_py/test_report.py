"""What `run` says."""

from __future__ import annotations

from lab_py.evidence.checks import Finding
from lab_py.hops.base import Hop, HopFound
from lab_py.report import as_json, as_lines, verdict

GOOD = Finding("counter", "node-a P15", "1 (mark)", "1", True)
BAD = Finding("packet", "pod eth0", "a > b: the SYN", "nothing", False)
FOUND = [HopFound(Hop("1", "first", ()), (GOOD,)), HopFound(Hop("2", "second", ()), (GOOD, BAD))]


def test_lines_tell_what_was_observed_and_what_was_expected_instead() -> None:
    assert list(as_lines(FOUND, lambda text, *_: text)) == [
        "ok (1) first",
        "     + counter node-a P15: 1",
        "NO (2) second",
        "     + counter node-a P15: 1",
        "     - packet  pod eth0: nothing",
        "       expected a > b: the SYN",
    ]


def test_the_verdict_names_the_hops_that_are_missing() -> None:
    assert verdict(FOUND) == "NOT observed as predicted: (2) of 2 hops"
    assert verdict(FOUND[:1]) == "all 1 hops observed as predicted"


def test_json_has_all_of_it() -> None:
    found = as_json(FOUND, scenario="s")
    assert (found["scenario"], found["ok"]) == ("s", False)
    assert found["hops"][1]["findings"][1] == {
        "kind": "packet", "where": "pod eth0", "expected": "a > b: the SYN", "observed": "nothing", "ok": False,
    }  # fmt: skip
