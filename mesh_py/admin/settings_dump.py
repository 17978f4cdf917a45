"""The settings of a process as its config dump shows them [pure]."""

from __future__ import annotations

import dataclasses
from typing import Any


def dump_settings(settings: Any) -> dict[str, Any]:
    """A dataclass of settings as JSON can hold it; without what no `repr` shows either: tokens, keys."""
    shown = (field.name for field in dataclasses.fields(settings) if field.repr)
    return {name: _simple(getattr(settings, name)) for name in shown}


def _simple(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dump_settings(value)
    if isinstance(value, dict):
        return {str(key): _simple(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_simple(one) for one in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
