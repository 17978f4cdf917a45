"""Ordinary log records in ztunnel's two notations (hbone-dataplane 7.1): formatters for the standard library."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeAlias

from mesh_py.telemetry.connection_log import json_text
from mesh_py.telemetry.log_text import Bare, Timestamps, quoted, unbroken

if TYPE_CHECKING:
    from collections.abc import Mapping

FieldValue: TypeAlias = str | int | float | bool | None

_LEVEL_NAMES = {
    logging.CRITICAL: "error",
    logging.ERROR: "error",
    logging.WARNING: "warn",
    logging.INFO: "info",
    logging.DEBUG: "debug",
}


def fields(named: Mapping[str, FieldValue] | None = None, /, **more: FieldValue) -> dict[str, Any]:
    """Key-value pairs for a log call: `log.info("listener established", extra=fields(component="inbound"))`.

    Strings are quoted in plain lines unless they are `Bare`; None is left out. Names with dots go in `named`.
    """
    return {"fields": {**(named or {}), **more}}


class PlainFormatter(logging.Formatter):
    """`<time>\\t<level>\\t<scope>\\t<message>\\tkey=value ...`, a traceback on lines of its own below."""

    def __init__(self) -> None:
        super().__init__()
        self._timestamps = Timestamps()

    def format(self, record: logging.LogRecord) -> str:
        """One line; control characters in the message are escaped, so that nobody's text makes a second one."""
        time = self._timestamps.format(record.created)
        head = f"{time}\t{_level(record)}\t{record.name}\t{unbroken(record.getMessage())}"
        pairs = " ".join(f"{key}={_plain(value)}" for key, value in _fields(record))
        line = f"{head}\t{pairs}" if pairs else head
        return "\n\t".join((line, *map(unbroken, _traceback(record).splitlines())))


class JsonFormatter(logging.Formatter):
    """One object per line: level, time, scope, message, the fields, and a traceback as `exception`."""

    def __init__(self) -> None:
        super().__init__()
        self._timestamps = Timestamps()

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        pairs: list[tuple[str, FieldValue]] = [
            ("level", _level(record)),
            ("time", self._timestamps.format(record.created)),
            ("scope", record.name),
            ("message", record.getMessage()),
            *_fields(record),
        ]
        if traceback := _traceback(record):
            pairs.append(("exception", traceback))
        return f"{{{','.join(f'{json_text(key)}:{_json(value)}' for key, value in pairs)}}}"


def _level(record: logging.LogRecord) -> str:
    return _LEVEL_NAMES.get(record.levelno, "trace")


def _fields(record: logging.LogRecord) -> list[tuple[str, FieldValue]]:
    named: Mapping[str, FieldValue] = record.__dict__.get("fields", {})
    return [(key, value) for key, value in named.items() if value is not None]


def _traceback(record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[0] is not None:
        return logging.Formatter().formatException(record.exc_info)
    return record.exc_text or ""


def _plain(value: FieldValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Bare):
        return unbroken(value)
    return quoted(value) if isinstance(value, str) else str(value)


def _json(value: FieldValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return json_text(value) if isinstance(value, str) else str(value)
