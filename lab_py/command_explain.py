"""`explain`: what a lab that is up says of a request, for people or programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_py import state
from lab_py.control import give_order
from lab_py.explain.explanation import as_lines
from lab_py.tables import show
from mesh_py.process.console import Console

if TYPE_CHECKING:
    from typing import Any


def run(name: str, source: str | None, service: str | None, output: str) -> int:
    """Ask the lab: 0 if all is well, else 1. Raises Unusable: no such lab, pod or service; LabError."""
    folder, _ = state.find(name)
    told: dict[str, Any] = give_order(folder, {"do": "explain", "from": source, "to": service})
    if output == "table":
        console = Console()
        for line in as_lines(told, console.styled):
            console.say(line)
    else:
        show(told, output)
    return 0 if told["ok"] else 1
