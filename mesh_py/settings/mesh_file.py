"""`config check`: what a mesh file holds, or everything that is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mesh_py.discovery.problems import ConfigError
from mesh_py.process.complaints import complain, read_text
from mesh_py.settings.show import print_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mesh_py.discovery.local_file import LocalConfig
    from mesh_py.discovery.problems import Problem

    ReadMesh = Callable[[str, str], LocalConfig]
    """A role's way to read the text of a file, named second. Raises ConfigError."""


def check_mesh_file(file: Path, read: ReadMesh, output: str = "table") -> int:
    """Say what the file holds; 0, or 2 where something is wrong. Raises SettingsError: it cannot be read at all.

    Args:
        output: `table` for people, `json` or `yaml` for programs.
    """
    try:
        found = read(read_text(file), str(file))
    except ConfigError as error:
        if output == "table":
            return complain(str(error))
        print_value({"file": str(file), "problems": [_told(one) for one in error.problems]}, output)
        return 2
    if output == "table":
        _say(file, found)
    else:
        holds = {many: number for number, _, many in _counts(found)}
        print_value({"file": str(file), **holds, "warnings": [*map(str, found.warnings)], "problems": []}, output)
    return 0


def _told(problem: Problem) -> dict[str, int | str]:
    return {"line": problem.line, "column": problem.column, "what": problem.what, "advice": problem.advice}


def _say(file: Path, found: LocalConfig) -> None:
    for warning in found.warnings:
        click.echo(f"warning: {warning}", err=True)
    counts = (f"{number} {one if number == 1 else many}" for number, one, many in _counts(found))
    click.echo(f"{file}: {', '.join(counts)}: ok")


def _counts(found: LocalConfig) -> Iterator[tuple[int, str, str]]:
    """How many of what: the word for one, and for many."""
    yield len(found.workloads), "workload", "workloads"
    yield len(found.services), "service", "services"
    yield len(found.policies), "policy", "policies"
    if (manifests := found.further.get("manifests")) is not None:
        yield len(manifests), "manifest", "manifests"
