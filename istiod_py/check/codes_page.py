"""docs/istiod-checks.md, written from the table of codes [pure]."""

from __future__ import annotations

from istiod_py.check.codes import CHAPTERS, CODES

_HEAD = """\
# What `istiod_py check` says

`python -m istiod_py check DIR` reads a folder of manifests as the control plane does, and tells what is wrong with it:
one line for each finding, with file, line, column, a code, and what to do. DIR may be a file, or `-` for what
`kubectl get -o yaml` pipes in. `-o json` and `-o sarif` print the same for programs. An *error* means that something is
not used as written, or cannot work; a *warning*, that it is allowed and probably not meant.

Exit status: 0 nothing, or warnings only; 1 errors (with `--strict`, warnings too); 2 the folder cannot be looked at, or
wrong usage.

That something is missing is told once every file can be read: it may be in one that cannot.

A code keeps its meaning for good. This page comes from the table in `istiod_py/check/codes.py`.
"""


def codes_page() -> str:
    """The page."""
    return _HEAD + "".join(_chapter(prefix, title) for prefix, title in CHAPTERS.items())


def _chapter(prefix: str, title: str) -> str:
    rows = [
        f"| {one.name} | {one.severity.value} | {one.meaning} |" for one in CODES.values() if one.name[:3] == prefix
    ]
    return "\n".join([f"\n## {title}", "", "| code | severity | what it says |", "|---|---|---|", *rows, ""])
