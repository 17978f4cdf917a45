"""`diff`: one scenario in both designs, each in a lab of its own at the same time, side by side."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from lab_py.comparison import as_json, as_lines
from lab_py.errors import LabError
from lab_py.hops.paths import hops_of
from lab_py.topology import Design

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab_py.topology import Topology


def run(topology: Topology, scenario: str, options: Sequence[str], output: str) -> int:
    """Run both, compare, tell: 0 if every hop of both was observed as predicted. Raises LabError, Unusable.

    Args:
        scenario: as the command line has it.
        options: of both runs.
    """
    for design in Design:
        hops_of(replace(topology, design=design))  # what cannot be judged is refused before anything is built
    before, today = _run_both(scenario, options)
    predicted = hops_of(replace(topology, design=Design.IN_POD))
    if output == "json":
        click.echo(json.dumps(as_json(topology.name, before, today, predicted), indent=2))
    else:
        click.echo("\n".join([topology.title, "", *as_lines(before, today, predicted)]))
    return 0 if before["ok"] and today["ok"] else 1


def _run_both(scenario: str, options: Sequence[str]) -> list[dict[str, Any]]:
    with ExitStack() as stack:
        started = [stack.enter_context(_start(scenario, design, options)) for design in Design]
        try:
            return [_told(one, *one.communicate()) for one in started]
        except BaseException:
            for one in started:
                one.terminate()
            raise


def _start(scenario: str, design: Design, options: Sequence[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lab_py", "run", scenario, "--design", design.value, *options, "-o", "json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _told(process: subprocess.Popen[str], said: str, complaint: str) -> dict[str, Any]:
    if process.returncode not in (0, 1) or not said:
        raise LabError(complaint.strip().removeprefix("error: ") or f"a run ended with status {process.returncode}")
    found: dict[str, Any] = json.loads(said)
    return found
