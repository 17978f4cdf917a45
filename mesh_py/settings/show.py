"""`config show`: every setting, its value, and where the value comes from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from mesh_py.settings.source import Values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mesh_py.settings.setting import SettingsTable
    from mesh_py.settings.source import Given


class Row(NamedTuple):
    """One setting, effective."""

    section: str
    name: str
    value: str | None
    origin: str


def print_settings(table: SettingsTable, layers: Sequence[Mapping[str, Given]], output: str) -> None:
    """Print every setting as `table`, `json` or `yaml`. Raises SettingsError where one cannot be read."""
    rows = list(_rows(table, Values(layers)))
    if output == "table":
        _print_table(rows)
    else:
        shown = {row.name: {"value": row.value, "from": row.origin} for row in rows}
        print_value(shown, output)


def _rows(table: SettingsTable, values: Values) -> Iterator[Row]:
    for title, settings in table.sections.items():
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


def print_value(shown: dict[str, Any], output: str) -> None:
    """For programs, as `json` or `yaml`."""
    click.echo(_yaml(shown) if output == "yaml" else json.dumps(shown, indent=2))


def _yaml(shown: dict[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(shown, sort_keys=False)).rstrip()
