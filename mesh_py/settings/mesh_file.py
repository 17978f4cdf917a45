"""`config check`: what a mesh file holds, or everything that is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mesh_py.discovery.problems import ConfigError
from mesh_py.process.complaints import complain, read_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mesh_py.discovery.local_file import LocalConfig

    ReadMesh = Callable[[str, str], LocalConfig]
    """A role's way to read the text of a file, named second. Raises ConfigError."""


def check_mesh_file(file: Path, read: ReadMesh) -> int:
    """Say what the file holds; 0, or 2 where something is wrong. Raises SettingsError: it cannot be read at all."""
    try:
        found = read(read_text(file), str(file))
    except ConfigError as error:
        return complain(str(error))
    for warning in found.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{file}: {', '.join(_counts(found))}: ok")
    return 0


def _counts(found: LocalConfig) -> list[str]:
    counts = [
        _count(len(found.workloads), "workload", "workloads"),
        _count(len(found.services), "service", "services"),
        _count(len(found.policies), "policy", "policies"),
    ]
    if (manifests := found.further.get("manifests")) is not None:
        counts.append(_count(len(manifests), "manifest", "manifests"))
    return counts


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
