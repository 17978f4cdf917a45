"""Which log lines are wanted: `info`, `access=debug,info` (RUST_LOG, and `/logging` of the admin server) [pure]."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

DEFAULT_FILTER = "info"


class Level(IntEnum):
    """Levels of ztunnel's log, as numbers of the standard library's logging."""

    TRACE = 5
    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40
    OFF = 100


class LogFilterError(ValueError):
    """The text is no filter; the message says which part, and what would be right."""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """A level for everything, and levels for scopes: the longest scope that a logger's name starts with decides.

    Parts of a scope are separated by `.`; `::` is read as the same. Without a level for everything, scopes that
    are not named log errors only.
    """

    default: Level | None = None
    scopes: dict[str, Level] = field(default_factory=dict)

    @staticmethod
    def parse(text: str) -> LogFilter:
        """Read comma-separated clauses, each `level`, `scope=level` or `scope:level`; a later one wins.

        Raises:
            LogFilterError: a clause is something else.
        """
        return LogFilter().with_clauses(text)

    def with_clauses(self, text: str) -> LogFilter:
        """This filter with more clauses, which win over its own. Raises LogFilterError."""
        default, scopes = self.default, dict(self.scopes)
        for clause in filter(None, (part.strip() for part in text.split(","))):
            scope, level = _parse_clause(clause)
            if scope:
                scopes[scope] = level
            else:
                default = level
        return LogFilter(default, scopes)

    def level_of(self, scope: str) -> Level:
        """The least level that lines of `scope` need."""
        while scope:
            if scope in self.scopes:
                return self.scopes[scope]
            scope = scope.rpartition(".")[0]
        return Level.ERROR if self.default is None else self.default

    def __str__(self) -> str:
        longest_first = sorted(self.scopes.items(), key=lambda item: (-len(item[0]), item[0]))
        clauses = [f"{scope}={level.name.lower()}" for scope, level in longest_first]
        if self.default is not None:
            clauses.append(self.default.name.lower())
        return ",".join(clauses)


def _parse_clause(clause: str) -> tuple[str, Level]:
    # `::` is part of a scope; a single colon separates, as other proxies' help texts have it.
    scope, separator, level = clause.replace("::", ".").replace(":", "=").rpartition("=")
    scope = scope.strip()
    if separator and (not scope or "=" in scope or any(character in scope for character in "[]{} ")):
        raise LogFilterError(f"{clause!r} is not scope=level")
    return scope, _parse_level(level, clause)


def _parse_level(text: str, clause: str) -> Level:
    try:
        return Level[text.strip().upper()]
    except KeyError:
        names = ", ".join(level.name.lower() for level in reversed(Level))
        raise LogFilterError(f"no level {text!r} in {clause!r}; levels are {names}") from None
