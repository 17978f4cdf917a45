"""`config check` and `config show`: is a mesh file right, and what would the proxy be started with?"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, NamedTuple

import click

from mesh_py.discovery.local_file import read_local_config
from mesh_py.discovery.problems import ConfigError
from ztunnel_py.complaints import complain, read_text
from ztunnel_py.embedded_default import is_embedded
from ztunnel_py.settings_source import SettingsError, Values
from ztunnel_py.settings_table import SECTIONS, TRUST_DOMAIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ztunnel_py.settings_source import Given


class Row(NamedTuple):
    """One setting, effective."""

    section: str
    name: str
    value: str | None
    origin: str


def check_mesh_file(file: Path) -> int:
    """Say what a mesh file holds, or everything that is wrong with it; 0 or 2."""
    try:
        found = read_local_config(read_text(file), str(file), trust_domain=TRUST_DOMAIN.default)
    except ConfigError as error:
        return complain(str(error))
    for warning in found.warnings:
        click.echo(f"warning: {warning}", err=True)
    counts = (
        _count(len(found.workloads), "workload", "workloads"),
        _count(len(found.services), "service", "services"),
        _count(len(found.policies), "policy", "policies"),
    )
    click.echo(f"{file}: {', '.join(counts)}: ok")
    return 0


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def show_settings(layers: Sequence[Mapping[str, Given]], output: str) -> int:
    """Print every setting; 0, or 2 if the proxy would not start with them."""
    rows = list(_rows(Values(layers)))
    if output == "table":
        _print_table(rows)
    else:
        shown = {row.name: {"value": row.value, "from": row.origin} for row in rows}
        click.echo(_yaml(shown) if output == "yaml" else json.dumps(shown, indent=2))
    return _verdict(layers)


def _rows(values: Values) -> Iterator[Row]:
    for title, settings in SECTIONS.items():
        for setting in settings:
            given, value = values.given(setting), values[setting]
            text = None if value is None else setting.kind.write(value)
            origin = given.origin if given is not None else f"default{': ' if setting.note else ''}{setting.note}"
            yield Row(title, setting.name, text, origin)


def _print_table(rows: list[Row]) -> None:
    names = max(len(row.name) for row in rows)
    values = min(40, max(len(row.value or "-") for row in rows))
    section = ""
    for row in rows:
        if row.section != section:
            section = row.section
            click.secho(f"{section.partition(' (')[0]}", bold=True)
        click.echo(f"  {row.name:<{names}}  {row.value or '-':<{values}}  {row.origin}".rstrip())


def _yaml(shown: dict[str, dict[str, str | None]]) -> str:
    import yaml

    return str(yaml.safe_dump(shown, sort_keys=False)).rstrip()


def _verdict(layers: Sequence[Mapping[str, Given]]) -> int:
    if is_embedded(layers, os.environ):
        click.echo("nothing is configured: the embedded world would start", err=True)
        return 0
    from ztunnel_py.config import from_values

    try:
        from_values(layers, os.environ)
    except SettingsError as error:
        return complain(str(error))
    return 0
