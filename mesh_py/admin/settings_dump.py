"""The settings of a process as its config dump shows them [pure]."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from enum import Enum
from typing import Any

from mesh_py.telemetry.log_filter import LogFilter


def dump_settings(settings: Any) -> dict[str, Any]:
    """A dataclass of settings as JSON can hold it; without what no `repr` shows either: tokens, keys."""
    shown = (field.name for field in dataclasses.fields(settings) if field.repr)
    return {name: _simple(getattr(settings, name)) for name in shown}


def _simple(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, timedelta):
        return value.total_seconds()  # as all other times
    if isinstance(value, bytes):
        return value.decode("ascii", "backslashreplace")
    if isinstance(value, LogFilter):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dump_settings(value)
    if isinstance(value, dict):
        return {str(key): _simple(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_simple(one) for one in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
