"""All logging of a process: one sink, one notation, one filter that can change while it runs."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from mesh_py.telemetry.access_log import SCOPE, AccessLog
from mesh_py.telemetry.connection_log import JsonLines, PlainLines
from mesh_py.telemetry.log_filter import DEFAULT_FILTER, Level, LogFilter
from mesh_py.telemetry.log_format import JsonFormatter, PlainFormatter, fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh_py.telemetry.log_sink import LogSink


class Logs:
    """Access log and ordinary log of this process, both to `sink`.

    `install` takes over the standard library's root logger and `uninstall` gives it back; the access log works
    without.
    """

    def __init__(
        self,
        sink: LogSink,
        *,
        filter: LogFilter | None = None,
        json: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._default = filter or LogFilter.parse(DEFAULT_FILTER)
        self._filter = self._default
        self._named: list[str] = []
        self._installed = False
        self._handler = _SinkHandler(sink)
        self._handler.setFormatter(JsonFormatter() if json else PlainFormatter())
        self.access = AccessLog(sink.gather, JsonLines() if json else PlainLines(), now)
        sink.lost = self._lost_line
        self._apply()

    @property
    def filter(self) -> LogFilter:
        """What is wanted now."""
        return self._filter

    def change(self, clauses: str = "", *, reset: bool = False) -> LogFilter:
        """Add clauses to the filter, or to the one of the start where `reset`; the filter from now on.

        Raises:
            LogFilterError: the clauses cannot be read; nothing has changed.
        """
        self._filter = (self._default if reset else self._filter).with_clauses(clauses)
        self._apply()
        return self._filter

    def install(self) -> None:
        """Let every logger of the process write here, and nowhere else."""
        logging.addLevelName(Level.TRACE, "TRACE")
        logging.root.handlers[:] = [self._handler]
        self._installed = True
        self._apply()

    def uninstall(self) -> None:
        """Leave the root logger without handlers, at the level Python gives it."""
        self._reset_levels()
        logging.root.removeHandler(self._handler)
        logging.root.setLevel(logging.WARNING)
        self._installed = False

    def _apply(self) -> None:
        self.access.set_level(self._filter.level_of(SCOPE))
        if not self._installed:
            return
        self._reset_levels()
        logging.root.setLevel(self._filter.level_of(""))
        for scope, level in self._filter.scopes.items():
            logging.getLogger(scope).setLevel(level)
            self._named.append(scope)

    def _reset_levels(self) -> None:
        while self._named:
            logging.getLogger(self._named.pop()).setLevel(logging.NOTSET)

    def _lost_line(self, count: int) -> str:
        record = logging.LogRecord("log", logging.WARNING, "", 0, "log lines lost", None, None)
        record.__dict__.update(fields(count=count))
        return f"{self._handler.format(record)}\n"


class _SinkHandler(logging.Handler):
    def __init__(self, sink: LogSink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._sink.write(f"{self.format(record)}\n")
        except Exception:  # a log call must not fail for its arguments' sake; the library prints what was wrong
            self.handleError(record)
