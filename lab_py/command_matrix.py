"""`matrix`: one lab, every pod calling every service, judged cell by cell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from lab_py.lab import bring_up
from lab_py.matrix import cells
from lab_py.observe import observe_all
from lab_py.report import as_json
from mesh_py.process.console import Console

if TYPE_CHECKING:
    from pathlib import Path

    from lab_py.hops.base import HopFound
    from lab_py.lab import Wishes
    from lab_py.topology import Topology


def inside(topology: Topology, folder: Path, wishes: Wishes, output: str) -> int:
    """Build, ask, judge, tell: 0 if every cell is as it should be. Raises LabError."""
    lab = bring_up(topology, folder, wishes)
    console = Console()
    found: list[HopFound] = []
    for one in observe_all(lab, cells(topology)):
        found.append(one)
        if output == "text":
            _tell(console, one)
    if output == "json":
        click.echo(json.dumps(as_json(found, scenario=topology.name, machine=lab.described), indent=2))
    missing = sum(not one.is_so for one in found)
    if output == "text":
        console.say(f"{len(found)} calls, {missing or 'none'} not as predicted")
    return 1 if missing else 0


def _tell(console: Console, one: HopFound) -> None:
    mark = console.styled("ok", "green") if one.is_so else console.styled("NO", "red", "bold")
    console.say(f"{mark} {one.hop.number:<26} {one.hop.title:<34} {one.findings[0].observed}")
    for finding in one.findings:
        if not finding.is_so:
            console.say(f"     {finding.where}: {finding.observed}")
            console.say(f"       {console.styled('expected', 'red')} {finding.expected}")
