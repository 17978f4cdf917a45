"""`config check` and `config show`: is a mesh file right, and what would the waypoint be started with?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from mesh_py.discovery.problems import ConfigError
from mesh_py.manifests.proxy_file import further_of, read_waypoint_file
from mesh_py.process.complaints import complain, read_text
from mesh_py.settings.show import print_settings
from mesh_py.settings.source import SettingsError
from waypoint_py.embedded_default import is_embedded
from waypoint_py.settings_table import TABLE, TRUST_DOMAIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mesh_py.settings.source import Given


def check_mesh_file(file: Path) -> int:
    """Say what a mesh file holds, or everything that is wrong with it; 0 or 2."""
    try:
        found = read_waypoint_file(read_text(file), str(file), trust_domain=TRUST_DOMAIN.default)
    except ConfigError as error:
        return complain(str(error))
    for warning in found.warnings:
        click.echo(f"warning: {warning}", err=True)
    counts = (
        _count(len(found.workloads), "workload", "workloads"),
        _count(len(found.services), "service", "services"),
        _count(len(found.policies), "policy", "policies"),
        _count(sum(1 for _ in further_of(found).manifests.all()), "manifest", "manifests"),
    )
    click.echo(f"{file}: {', '.join(counts)}: ok")
    return 0


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def show_settings(layers: Sequence[Mapping[str, Given]], output: str) -> int:
    """Print every setting; 0, or 2 if the waypoint would not start with them."""
    print_settings(TABLE, layers, output)
    if is_embedded(layers, os.environ):
        click.echo("nothing is configured: the embedded world would start", err=True)
        return 0
    from waypoint_py.config import from_values

    try:
        from_values(layers, os.environ)
    except SettingsError as error:
        return complain(str(error))
    return 0
