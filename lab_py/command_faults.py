"""`faults`: a lab that tests itself. Each fault in turn is broken, explained and mended; what is said must be right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab_py.explain.explaining import explain
from lab_py.faults.breaking import Breaking
from lab_py.faults.table import faults_of, find_fault, pieces_of
from lab_py.lab import bring_up
from lab_py.tables import show, table
from mesh_py.process.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lab_py.faults.base import Fault
    from lab_py.lab import Lab, Wishes
    from lab_py.topology import Topology

PATIENCE = 0.8
"""Seconds an answer may take here: most faults are silent, and nothing else keeps the lab busy."""
WHOLE = "nothing"
"""What is taken away first and last, to see that all is well."""
_HEAD = ("FAULT", "BROKEN AT", "EXPLAINED BY", "")
_WIDTHS = (22, 10, 34)


def list_all(topology: Topology, output: str) -> int:
    """Without any lab: the rows, and every rule and route."""
    rows = faults_of(topology)
    if output != "table":
        faults = [{"name": one.name, "what": one.what, "shows": one.shows, "culprit": one.culprit} for one in rows]
        show({"faults": faults, "pieces": pieces_of(topology)}, output)
        return 0
    console = Console()
    cells = [(one.name, one.what, one.shows) for one in rows]
    cells += [(name, "", "") for name in pieces_of(topology)]
    for line in table(("NAME", "WHAT IS TAKEN AWAY", "WHAT ONE WILL SEE"), cells):
        console.say(line)
    return 0


def inside(topology: Topology, folder: Path, wishes: Wishes, names: Sequence[str], output: str) -> int:
    """Try them in order, all rows where none is named: 0 if every explanation is right. Raises LabError."""
    faults = [find_fault(topology, name) for name in names] or faults_of(topology)
    lab = bring_up(topology, folder, wishes)
    console = Console()
    if output == "table":
        console.say(_row(_HEAD))
    told: list[dict[str, Any]] = []
    for one in _tries(lab, faults):
        told.append(one)
        if output == "table":
            mark = console.styled("right", "green") if one["right"] else console.styled("WRONG", "red", "bold")
            console.say(_row((one["fault"], one["hop"] or "-", one["culprit"] or "healthy", mark)))
    wrong = sum(not one["right"] for one in told)
    if output == "table":
        console.say(f"{len(told)} explanations, {wrong or 'none'} wrong")
    else:
        show({"scenario": topology.name, "design": topology.design.value, "ok": not wrong, "tries": told}, output)
    return 1 if wrong else 0


def _tries(lab: Lab, faults: Sequence[Fault]) -> Iterator[dict[str, Any]]:
    """Whole first and last: what is mended must be as it was."""
    breaking = Breaking(lab)
    yield _judged(WHOLE, None, explain(lab, patience=PATIENCE))
    for fault in faults:
        with breaking.without(fault):
            told = explain(lab, patience=PATIENCE)
        yield _judged(fault.name, fault, told)
    yield _judged(WHOLE, None, explain(lab, patience=PATIENCE))


def _judged(name: str, fault: Fault | None, told: dict[str, Any]) -> dict[str, Any]:
    """An explanation is right if it blames what was broken; of what does no harm, if it names it beside."""
    if fault is None:
        is_right = told["ok"] and not told["beside"]
    elif fault.is_harmless:
        is_right = told["ok"] and [one["what"] for one in told["beside"]] == [fault.culprit]
    else:
        is_right = not told["ok"] and told["culprit"] == fault.culprit
    found = {"hop": told.get("hop"), "culprit": told.get("culprit"), "beside": [one["what"] for one in told["beside"]]}
    return {"fault": name, "right": is_right, **found, "outcome": told["outcome"], "evidence": told.get("evidence", [])}


def _row(cells: Sequence[str]) -> str:
    padded = [f"{cell:<{width}}" for cell, width in zip(cells[:-1], _WIDTHS, strict=True)]
    return "  ".join([*padded, cells[-1]]).rstrip()
