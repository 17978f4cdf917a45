"""Advice for a name that leads nowhere: the nearest one that leads somewhere [pure]."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesh_py.manifests.metadata import Labels

_MOST_NAMED = 5
_MOST_COMPARED = 2_000


def nearest(word: str, known: Iterable[str], nothing: str = "") -> str:
    """`did you mean 'reviews'?`, else the names there are, a few of them.

    Args:
        nothing: the advice where there are no names at all.
    """
    words = sorted(set(known))
    close = get_close_matches(word, words[:_MOST_COMPARED], n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    if not words:
        return nothing
    rest = len(words) - _MOST_NAMED
    return f"there are {', '.join(words[:_MOST_NAMED])}" + (f" and {rest} more" if rest > 0 else "")


def nearest_label(selector: Labels, labelled: Iterable[Labels]) -> str:
    """Advice for a selector that selects nothing: another value that a label of it has on somebody."""
    everybody = list(labelled)
    for key, value in selector.items():
        values = {labels[key] for labels in everybody if key in labels}
        if values and value not in values:
            return f"{key}: {nearest(value, values)}"
    return "label the pods, or mend the selector"


def text_of(selector: Labels) -> str:
    """A selector as people write it on a command line."""
    return ",".join(f"{key}={value}" for key, value in selector.items()) or "everything"
