"""The page: a pane for each run. Every text of a run is escaped [pure]."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from lab_py.comparison import stages
from lab_py.page.pane import design_name, pane
from lab_py.page.script import SCRIPT
from lab_py.page.style import STYLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lab_py.page.pane import Counterparts

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)


def document(runs: Sequence[Mapping[str, Any]]) -> str:
    """The page of a run, or of one in each design, 1.18's first, from what `run -o json` prints.

    Read without script, it shows all hops.
    """
    return "\n".join(_parts(runs)) + "\n"


def counterparts(before: Mapping[str, Any], today: Mapping[str, Any]) -> tuple[Counterparts, Counterparts]:
    """For each hop of either run, the hops of the other that are in its place."""
    left: dict[str, list[str]] = {}
    right: dict[str, list[str]] = {}
    for stage in stages(dict(before), dict(today)):
        old, new = [hop["hop"] for hop in stage.before], [hop["hop"] for hop in stage.today]
        left |= dict.fromkeys(old, new)
        right |= dict.fromkeys(new, old)
    return left, right


def _parts(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    title = escape(runs[0]["topology"]["title"])
    matched: Sequence[Counterparts] = counterparts(*runs) if len(runs) > 1 else [{}]
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield f'<meta name="color-scheme" content="light dark">\n<title>{title}</title>'
    yield f'<style>{STYLE}</style>\n</head>\n<body class="{"two" if len(runs) > 1 else "one"}">'
    yield f"<header><h1>{title}</h1>"
    yield from _controls(runs)
    yield "</header>\n<main>"
    for run, others in zip(runs, matched, strict=True):
        yield from pane(run, others)
    yield "</main>"
    keys = "Arrow keys, Home and End go from hop to hop; space plays"
    yield f"<footer>{keys}{'; d changes the design' if len(runs) > 1 else ''}.</footer>"
    yield f"<script>{SCRIPT}</script>\n</body>\n</html>"


def _controls(runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield '<div class="bar"><div class="controls" role="group" aria-label="Hops">'
    yield '<button id="previous" type="button" aria-label="Previous hop">←</button>'
    yield '<button id="play" type="button">Play</button>'
    yield '<button id="next" type="button" aria-label="Next hop">→</button></div>'
    if len(runs) > 1:
        yield '<div class="designs" role="group" aria-label="Design">'
        for run in runs:
            name = design_name(run)
            yield f'<button type="button" data-choose="{escape(run["topology"]["design"])}">{escape(name)}</button>'
        yield "</div>"
    yield "</div>"
