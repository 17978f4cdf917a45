"""The picture as SVG."""

from __future__ import annotations

from xml.etree import ElementTree

from lab_py.page.drawing import drawing
from tests.lab_py.page.runs import run

PICTURE = ElementTree.fromstring(drawing(run()))


def test_every_hop_has_a_line() -> None:
    lines = [path for path in PICTURE.iter("path") if "leg" in path.get("class", "")]
    assert [line.get("data-hop") for line in lines] == ["1", "2"]
    assert all(line.get("d", "").startswith("M") for line in lines)
    assert [line.get("class") for line in lines] == ["leg", "leg bad"], "the second was not observed"


def test_chips_know_the_hops_that_come_by_and_no_others() -> None:
    hops = {
        chip.findtext("text"): chip.get("data-hops")
        for chip in PICTURE.iter("g")
        if chip.get("data-hops", "  ").strip()
    }
    assert hops == {"eth0": " 1 ", "rules": " 1 ", "sidecar": " 2 "}


def test_the_fabric_joins_the_nodes() -> None:
    drawn = [path.get("class") for path in PICTURE.iter("path")]
    assert [kind for kind in drawn if kind not in ("leg", "leg bad")] == ["fabric", "plug", "plug"]
