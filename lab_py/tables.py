"""Rows for a terminal, and values for programs."""

from __future__ import annotations

import json
import re
import shutil
import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING

import click
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_STYLE = re.compile("\033\\[[0-9;]*m")
_LEAST_LAST = 24
"""Characters that the last column has, however narrow the terminal."""


def show(value: object, output: str) -> None:
    """A value as JSON or YAML."""
    click.echo(json.dumps(value, indent=2) if output == "json" else yaml.safe_dump(value, sort_keys=False).rstrip())


def table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> Iterator[str]:
    """Columns as wide as they need, the last one wrapped to the terminal's width; styles take no room."""
    room = width or shutil.get_terminal_size((100, 24)).columns
    widths = [max(_length(row[column]) for row in (head, *rows)) for column in range(len(head) - 1)]
    last = max(_LEAST_LAST, room - sum(widths) - 2 * len(widths))
    for row in (head, *rows):
        wrapped = textwrap.wrap(row[-1], last) or [""]
        for cells, text in zip_longest([row[:-1]], wrapped, fillvalue=None):
            padded = [_padded(cell, size) for cell, size in zip(cells or [""] * len(widths), widths, strict=True)]
            yield "  ".join([*padded, text or ""]).rstrip()


def _length(text: str) -> int:
    return len(_STYLE.sub("", text))


def _padded(text: str, size: int) -> str:
    return text + " " * (size - _length(text))
