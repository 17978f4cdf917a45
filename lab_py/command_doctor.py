"""`doctor`: facts of the machine, as a list to read or as a value."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING

from lab_py import state, tables
from lab_py.doctor import NEEDED, examine
from lab_py.errors import Missing
from mesh_py.process.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab_py.doctor import Fact


def show(output: str, *, rootless: bool) -> int:
    """Tell what was found; the status of `Missing` if something needed is not there. Raises LabError."""
    folder = state.claim(f"doctor-{os.getpid()}")
    try:
        facts = examine(rootless=rootless, folder=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if output != "text":
        tables.show([asdict(fact) for fact in facts], output)
    else:
        _tell(facts)
    return Missing.status if any(fact.is_lacking for fact in facts) else 0


def _tell(facts: list[Fact]) -> None:
    console = Console()
    for fact in facts:
        if fact.is_so:
            mark = console.styled("ok", "green")
        else:
            mark = console.styled("NO", "red", "bold") if fact.weight == NEEDED else console.styled("--", "yellow")
        advice = "" if fact.is_so else f"; {fact.advice}"
        console.say(f"{mark} {fact.what:<29} {fact.detail}{advice}")
    console.say()
    for line in verdict(facts):
        console.say(line)


def verdict(facts: Sequence[Fact]) -> Iterator[str]:
    """What this machine cannot do, and one command that installs all that can be installed."""
    lacking = [fact.what for fact in facts if fact.is_lacking]
    worse = [fact.what for fact in facts if not fact.is_so and not fact.is_lacking]
    if lacking:
        yield f"no lab can be had here: it lacks {', '.join(lacking)}"
    else:
        yield "labs can be had here" + (f"; not at its best without {', '.join(worse)}" if worse else ", all of it")
    packages = list(dict.fromkeys(fact.package for fact in facts if not fact.is_so and fact.package))
    if packages:
        yield f"to install: apt-get install {' '.join(packages)}"
