"""The picture is an SVG that a browser reads, and widths are shares."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

from benchmarks.flamegraph import flame_graph
from benchmarks.steps import Frame

RUN, SEND, FLOW = Frame("Runner.run", "asyncio/runners.py", 1), Frame("send", "a.py", 2), Frame("<flow>", "b.py", 3)
SVG = "{http://www.w3.org/2000/svg}"


def test_functions_are_as_wide_as_their_share() -> None:
    stacks = Counter({(Frame("<module>", "x.py", 1), RUN, SEND): 3, (RUN, FLOW): 1})
    root = ElementTree.fromstring(flame_graph("a & b", stacks, lambda file, line: ""))
    boxes = {group.findtext(f"{SVG}title", "").partition(":")[0]: group for group in root.iter(f"{SVG}g")}
    widths = {name: float(group.find(f"{SVG}rect").get("width", "0")) for name, group in boxes.items()}  # type: ignore[union-attr]
    assert widths == {
        "all": 1200,
        "Runner.run": 1200,
        "send": 900,
        "<flow>": 300,
    }  # what starts the program is left out
