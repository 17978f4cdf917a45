"""`break`, `mend`, and the list of what can be broken in a lab that is up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lab_py import state
from lab_py.control import give_order
from lab_py.tables import show, table
from mesh_py.process.console import Console

if TYPE_CHECKING:
    from collections.abc import Sequence


def take_away(name: str, faults: Sequence[str]) -> int:
    """Break them, one after the other. Raises Unusable: no such lab, or no such piece; LabError."""
    folder, _ = state.find(name)
    for fault in faults:
        told = give_order(folder, {"do": "break", "name": fault})
        shows = f"; one will see: {told['shows']}" if told["shows"] else ""
        click.echo(f"{told['name']} is broken: {told['what']}{shows}")
    flag = "" if name == "lab" else f" --name {name}"
    click.echo(f"then: python -m lab_py explain{flag}; python -m lab_py mend{flag} {' '.join(faults)}")
    return 0


def put_back(name: str, faults: Sequence[str]) -> int:
    """Mend them; without names, all that is broken. Raises Unusable: no such lab, or it is not broken; LabError."""
    folder, _ = state.find(name)
    known = give_order(folder, {"do": "faults"})["faults"]
    broken = [one["name"] for one in known if one["broken"]]
    for fault in faults or reversed(broken):
        give_order(folder, {"do": "mend", "name": fault})
        click.echo(f"{fault} is as it was")
    if not faults and not broken:
        click.echo("nothing is broken")
    return 0


def list_faults(name: str, output: str) -> int:
    """What can be broken, what one will see, and what is broken now. Raises Unusable: no such lab; LabError."""
    folder, record = state.find(name)
    told = give_order(folder, {"do": "faults"})
    if output != "table":
        show(told, output)
        return 0
    console = Console()
    console.say(f"{name}: {record.topology}")
    rows = [(_mark(one["broken"], console), one["name"], one["what"], one["shows"]) for one in told["faults"]]
    for line in table(("", "NAME", "WHAT IS TAKEN AWAY", "WHAT ONE WILL SEE"), rows):
        console.say(line)
    console.say(
        f"and each of the {len(told['pieces'])} rules and routes, such as {told['pieces'][0]}; -o json lists them"
    )
    return 0


def _mark(is_broken: bool, console: Console) -> str:
    return console.styled("!", "red", "bold") if is_broken else " "
