"""Two designs side by side: whose arrow stands for which, and what was seen in one only [pure].

Both sides come as `run -o json` tells them, so everything here was observed.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

COLUMN = 57
"""Characters of each side."""

Told = dict[str, Any]
"""A hop or a run as JSON."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Arrows of 1.18 and those of today that stand in their place."""

    before: Sequence[Told]
    today: Sequence[Told]


def stages(before: Told, today: Told) -> list[Stage]:
    """The path in stages, in today's order, by what today's hops say that they replace."""
    old = {hop["hop"]: hop for hop in before["hops"]}
    new = {hop["hop"]: hop for hop in today["hops"]}
    groups: list[tuple[list[str], list[str]]] = []
    for hop in today["hops"]:
        if groups and set(hop["replaces"]) & set(groups[-1][0]):
            groups[-1][0].extend(number for number in hop["replaces"] if number not in groups[-1][0])
            groups[-1][1].append(hop["hop"])
        else:
            groups.append((list(hop["replaces"]), [hop["hop"]]))
    return [Stage([old[number] for number in left], [new[number] for number in right]) for left, right in groups]


def seen(run: Told) -> list[str]:
    """Where packets were seen, which rules counted, who logged: each once, in the order of the path."""
    findings = [finding for hop in run["hops"] for finding in hop["findings"]]
    texts = [f"{one['kind']} {one['where']}" for one in findings if one["observed"] not in ("nothing", "0")]
    return list(dict.fromkeys(texts))


def as_json(scenario: str, before: Told, today: Told) -> Told:
    """All of it, for programs."""
    found = [
        {"1.18": [_brief(hop) for hop in one.before], "in-pod": [_brief(hop) for hop in one.today]}
        for one in stages(before, today)
    ]
    only = {"1.18": _missing(before, today), "in-pod": _missing(today, before)}
    return {"scenario": scenario, "ok": before["ok"] and today["ok"], "stages": found, "seen_only_in": only}


def as_lines(before: Told, today: Told) -> Iterator[str]:
    """All of it, for people."""
    yield _row(f"1.18: {len(before['hops'])} hops", f"in-pod: {len(today['hops'])} hops")
    for stage in stages(before, today):
        yield _row("-" * COLUMN, "-" * COLUMN)
        for left, right in zip_longest(_cell(stage.before), _cell(stage.today), fillvalue=""):
            yield _row(left, right)
    for name, texts in (("1.18", _missing(before, today)), ("in-pod", _missing(today, before))):
        yield ""
        yield f"evidence in {name} only:"
        yield from (f"  {text}" for text in texts or ["nothing"])


def _missing(here: Told, there: Told) -> list[str]:
    others = set(seen(there))
    return [text for text in seen(here) if text not in others]


def _brief(hop: Mapping[str, Any]) -> Told:
    return {name: hop[name] for name in ("hop", "title", "ok")}


def _cell(hops: Sequence[Told]) -> list[str]:
    return [line for hop in hops for line in _wrapped(hop)]


def _wrapped(hop: Told) -> list[str]:
    mark = "ok" if hop["ok"] else "NO"
    return textwrap.wrap(f"{mark} ({hop['hop']}) {hop['title']}", COLUMN, subsequent_indent="       ")


def _row(left: str, right: str) -> str:
    return f"{left:<{COLUMN}}  |  {right}".rstrip()
