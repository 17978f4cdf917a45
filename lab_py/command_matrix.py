"""`matrix`: one lab, every pod calling every service, judged cell by cell; and a table of how each call travelled."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab_py.evidence.travel import Refused, Travelled
from lab_py.lab import bring_up
from lab_py.matrix import cells
from lab_py.observe import observe_all
from lab_py.report import as_json
from lab_py.tables import show, table
from mesh_py.process.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lab_py.hops.base import HopFound
    from lab_py.lab import Wishes
    from lab_py.topology import Topology


_PEER = re.compile(r"peer=([\d.]+)")


def inside(topology: Topology, folder: Path, wishes: Wishes, output: str) -> int:
    """Build, ask, judge, tell: 0 if every cell is as it should be. Raises LabError."""
    lab = bring_up(topology, folder, wishes)
    console = Console()
    found: list[HopFound] = []
    for one in observe_all(lab, cells(topology, is_strict=wishes.is_strict)):
        found.append(one)
        if output == "text":
            _tell(console, one)
    if output != "text":
        told = as_json(found, scenario=topology.name, machine=lab.described, strict=wishes.is_strict)
        travelled = {one.hop.title: travel_of(one) for one in found}
        show({**told, "travelled": travelled}, output)
    missing = sum(not one.is_so for one in found)
    if output == "text":
        console.say()
        for line in summary(found):
            console.say(line)
        console.say(f"{len(found)} calls, {missing or 'none'} not as predicted")
    return 1 if missing else 0


def _tell(console: Console, one: HopFound) -> None:
    mark = console.styled("ok", "green") if one.is_so else console.styled("NO", "red", "bold")
    pods = "" if one.is_so else f" ({one.hop.number})"
    console.say(f"{mark} {one.hop.title:<31} {travel_of(one):<12} {_outcome(one)}{pods}")
    for finding in one.findings:
        if not finding.is_so:
            console.say(f"     {finding.where}: {finding.observed}")
            console.say(f"       {console.styled('expected', 'red')} {finding.expected}")


def _outcome(one: HopFound) -> str:
    """Whom the application saw, where it was called."""
    observed = one.findings[0].observed
    seen = _PEER.search(observed)
    return f"the application saw {seen[1]}" if seen else observed.partition(";")[0]


def travel_of(one: HopFound) -> str:
    """`refused`, or how the call travelled, as it was seen."""
    for check, finding in zip(one.hop.checks, one.findings, strict=True):
        if isinstance(check, Refused) and finding.is_so:
            return "refused"
    seen = [
        finding.observed
        for check, finding in zip(one.hop.checks, one.findings, strict=True)
        if isinstance(check, Travelled)
    ]
    return seen[0].partition(":")[0] if seen else "-"


def summary(found: Sequence[HopFound]) -> Iterator[str]:
    """A table: who calls, from where, and how that travels to each kind of pod."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for one in found:
        pair, _, where = one.hop.title.partition(", ")
        source, _, destination = pair.partition(" to ")
        mark = "" if one.is_so else " (NO)"
        rows.setdefault((source, where), {})[destination] = travel_of(one) + mark
    kinds = list(dict.fromkeys(kind for row in rows.values() for kind in row))
    head = ("FROM", "", *(f"TO {kind}" for kind in kinds))
    yield from table(head, [(*who, *(row.get(kind, "") for kind in kinds)) for who, row in rows.items()])
