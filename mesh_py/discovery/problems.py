"""What is wrong with a configuration text: one line each, with the place and what to do [pure]."""

from __future__ import annotations

from difflib import get_close_matches
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class FaultKind(Enum):
    """What sort of fault it is, for those who count or look them up."""

    SYNTAX = "syntax"
    UNKNOWN_KEY = "unknown key"
    DOUBLED_KEY = "doubled key"
    MISSING_KEY = "missing key"
    VALUE = "value"
    UNKNOWN_KIND = "unknown kind"
    UNSUPPORTED = "unsupported kind"
    VERSION = "version"


class Problem(NamedTuple):
    """One fault, e.g. `mesh.yaml:12:5: unknown key 'protcol' in workload; did you mean 'protocol'?`."""

    file: str
    line: int
    """From 1; 0 where the fault has no place."""
    column: int
    """From 1; 0 where the fault has no place."""
    what: str
    advice: str = ""
    kind: FaultKind = FaultKind.VALUE

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        advice = f"; {self.advice}" if self.advice else ""
        return f"{place}: {self.what}{advice}"


class ConfigError(ValueError):
    """A configuration text cannot be used. Its text is one line per problem, in the order of files and lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem[:3]))
        super().__init__("\n".join(map(str, self.problems)))


def suggest(word: str, known: Iterable[str]) -> str:
    """Advice for a word that should have been one of `known`."""
    words = list(known)
    folded = {known_word.casefold(): known_word for known_word in words}
    close = get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    if close:
        return f"did you mean {folded[close[0]]!r}?"
    return f"known are {', '.join(words)}"
