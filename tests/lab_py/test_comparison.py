"""Two runs side by side."""

from __future__ import annotations

from typing import Any

from lab_py.comparison import as_json, as_lines, seen, stages


def hop(number: str, *findings: tuple[str, str, str], replaces: tuple[str, ...] = ()) -> dict[str, Any]:
    told = [{"kind": kind, "where": where, "observed": observed} for kind, where, observed in findings]
    return {"hop": number, "title": f"arrow {number}", "ok": True, "replaces": list(replaces), "findings": told}


SAME = ("packet", "pod eth0", "1 packets")
BEFORE = {"ok": True, "hops": [hop("1", SAME), hop("2", ("packet", "node-a istioout", "1 packets")), hop("3")]}
TODAY = {
    "ok": False,
    "hops": [
        hop("1", SAME, ("counter", "pod C8", "1"), replaces=("1", "2")),
        hop("2", ("counter", "pod C4", "0"), replaces=("3",)),
    ],
}


def test_arrows_stand_beside_those_they_replace() -> None:
    found = [([one["hop"] for one in stage.before], [one["hop"] for one in stage.today])
             for stage in stages(BEFORE, TODAY)]  # fmt: skip
    assert found == [(["1", "2"], ["1"]), (["3"], ["2"])]


def test_two_that_stand_for_one_are_one_stage() -> None:
    (stage,) = stages(BEFORE, {"hops": [hop("1", replaces=("1",)), hop("2", replaces=("1", "2"))]})
    assert ([one["hop"] for one in stage.before], [one["hop"] for one in stage.today]) == (["1", "2"], ["1", "2"])


def test_what_was_seen_is_what_was_there() -> None:
    assert seen(TODAY) == ["packet pod eth0", "counter pod C8"]


def test_json_tells_what_only_one_has_seen() -> None:
    found = as_json("s", BEFORE, TODAY)
    assert found["seen_only_in"] == {"1.18": ["packet node-a istioout"], "in-pod": ["counter pod C8"]}
    assert not found["ok"]


def test_text_has_two_columns() -> None:
    lines = list(as_lines(BEFORE, TODAY))
    assert lines[0].split() == ["1.18:", "3", "hops", "|", "in-pod:", "2", "hops"]
    assert lines[2].split("|")[0].strip() == "ok (1) arrow 1"
    assert lines[2].split("|")[1].strip() == "ok (1) arrow 1"
    assert lines[-3:] == ["", "evidence in in-pod only:", "  counter pod C8"]
