"""`diff`: one scenario in both designs, each in a lab of its own at the same time, side by side."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from lab_py.comparison import as_json, as_lines
from lab_py.hops.paths import hops_of
from lab_py.page.document import document
from lab_py.result_file import PUBLIC, ResultFile
from lab_py.runs import in_design, start_run, told
from lab_py.tables import show
from lab_py.topology import Design

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lab_py.topology import Topology


def run(topology: Topology, scenario: str, options: Sequence[str], output: str, html: Path | None) -> int:
    """Run both, compare, tell: 0 if every hop of both was observed as predicted. Raises LabError, Unusable.

    Args:
        scenario: as the command line has it.
        options: of both runs.
        html: where a page of both goes.
    """
    for design in Design:
        hops_of(replace(topology, design=design))  # what cannot be judged is refused before anything is built
    with ExitStack() as stack:
        page = None if html is None else stack.enter_context(closing(ResultFile(html, PUBLIC)))
        before, today = _run_both(scenario, options)
        if page is not None:
            page.write(document([before, today]).encode())
    if output != "text":
        show(as_json(topology.name, before, today), output)
    else:
        click.echo("\n".join([topology.title, "", *as_lines(before, today)]))
    return 0 if before["ok"] and today["ok"] else 1


def _run_both(scenario: str, options: Sequence[str]) -> list[dict[str, Any]]:
    with ExitStack() as stack:
        started = [stack.enter_context(start_run(in_design(scenario, design, options))) for design in Design]
        try:
            return [told(one) for one in started]
        except BaseException:
            for one in started:
                one.terminate()
            raise
