"""`status`: what a lab is, and how its processes fare."""

from __future__ import annotations

from dataclasses import asdict

import click

from lab_py import state, tables


def show(name: str, output: str) -> int:
    """Tell it; 1 if a process has ended. Raises Unusable: no such lab is up."""
    folder, record = state.find(name)
    processes = state.read_processes(folder) or []
    has_ended = any(one["ended"] is not None for one in processes)
    if output != "text":
        tables.show({**asdict(record), "processes": processes}, output)
        return int(has_ended)
    click.echo(f"{record.name}: {record.topology}, process {record.first}{', rootless' if record.rootless else ''}")
    for one in processes:
        click.echo(f"  {one['name']:<20} in {one['namespace']:<14} {_fares(one)}")
    return int(has_ended)


def _fares(one: dict[str, object]) -> str:
    if one["ended"] is None:
        return f"runs (process {one['pid']} inside)"
    return f"ended with status {one['ended']}; it said last: {one['said_last']}"
