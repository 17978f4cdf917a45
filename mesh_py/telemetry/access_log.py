"""The access log as the roles use it: facts in, a line out if anybody wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.telemetry.log_filter import Level
from mesh_py.telemetry.log_text import Timestamps

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh_py.telemetry.connection_log import ConnectionLines, Ended, Ends
    from mesh_py.telemetry.facts import ConnectionFacts, Reporter

SCOPE = "access"
"""Its name in log filters."""


class AccessLog:
    """Writes the three kinds of lines through `write`. `now` gives seconds since the epoch.

    The `wants_*` flags follow the level; the data path may look at one before it collects what a line needs.
    """

    __slots__ = (
        "_lines",
        "_now",
        "_timestamps",
        "_write",
        "wants_complete",
        "wants_errors",
        "wants_failed",
        "wants_opened",
    )

    def __init__(
        self,
        write: Callable[[str], None],
        lines: ConnectionLines,
        now: Callable[[], float],
        level: Level = Level.INFO,
    ) -> None:
        self._write = write
        self._lines = lines
        self._now = now
        self._timestamps = Timestamps()
        self.set_level(level)

    def set_level(self, level: Level) -> None:
        """Lines below `level` are not made from now on."""
        self.wants_opened = level <= Level.DEBUG
        self.wants_complete = level <= Level.INFO
        self.wants_failed = level <= Level.WARN
        self.wants_errors = level <= Level.ERROR

    def ends(self, facts: ConnectionFacts, dst: str, hbone_addr: str | None = None) -> Ends:
        """Whom lines are about, said once for all connections of a kind."""
        return self._lines.ends(facts, dst, hbone_addr)

    def opened(self, src: str, ends: Ends) -> None:
        """A connection is about to be served (at level debug)."""
        if self.wants_opened:
            self._write(self._lines.opened(self._time(), src, ends))

    def complete(self, src: str, ends: Ends, ended: Ended) -> None:
        """It is over: at level info, or at error if `ended.error` says why."""
        if self.wants_complete if ended.error is None else self.wants_errors:
            self._write(self._lines.complete(self._timestamps.format(self._now()), src, ends, ended))

    def failed(self, reporter: Reporter, src: str, dst: str, error: str) -> None:
        """It was refused before both ends were known (at level warn)."""
        if self.wants_failed:
            self._write(self._lines.failed(self._time(), reporter, src, dst, error))

    def _time(self) -> str:
        return self._timestamps.format(self._now())
