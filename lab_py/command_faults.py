"""`faults`: one lab, one request per piece that is taken away, and which hops noticed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from lab_py.faults import fault
from lab_py.hops.paths import hops_of
from lab_py.lab import bring_up
from lab_py.observe import observe
from lab_py.report import verdict
from mesh_py.process.console import Console

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lab_py.hops.base import HopFound
    from lab_py.lab import Wishes
    from lab_py.topology import Topology

PATIENCE = 1.0
"""Seconds an answer may take here: most faults are silent."""
WHOLE = "nothing"
"""What is taken away first, to see that all is well."""


def inside(topology: Topology, folder: Path, wishes: Wishes, names: Sequence[str], output: str) -> int:
    """Try them in order: 0 if nothing is wrong with the whole, and something with every part. Raises LabError."""
    hops = hops_of(topology)
    lab = bring_up(topology, folder, wishes)
    console = Console()
    found: dict[str, list[HopFound]] = {}
    for name in (WHOLE, *names):
        if name == WHOLE:
            found[name] = observe(topology, lab.built.namespaces, lab.files, hops)
        else:
            with fault(lab, name):
                found[name] = observe(topology, lab.built.namespaces, lab.files, hops, PATIENCE)
        for namespace in topology.namespaces:  # what hangs must not be taken for the next request's
            lab.built.namespaces.cut_connections(namespace)
        if output == "text":
            console.say(f"without {name}: {verdict(found[name])}")
    if output == "json":
        click.echo(json.dumps({name: _broken(one) for name, one in found.items()}, indent=2))
    is_whole = not _broken(found.pop(WHOLE))
    return 0 if is_whole and all(_broken(one) for one in found.values()) else 1


def _broken(found: Sequence[HopFound]) -> list[str]:
    return [one.hop.number for one in found if not one.is_so]
