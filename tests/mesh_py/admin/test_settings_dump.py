"""Settings as the config dump shows them: all but secrets."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from pathlib import Path

from mesh_py.admin.settings_dump import dump_settings
from mesh_py.telemetry.log_filter import LogFilter


class Mode(Enum):
    NODE = "node"


@dataclass
class Inner:
    size: int = 7
    token: str = field(default="secret", repr=False)


@dataclass
class Outer:
    name: str = "cart"
    path: Path = Path("/run/cart")
    inner: Inner = field(default_factory=Inner)
    pairs: tuple[tuple[str, float], ...] = (("a", 0.5),)
    by_name: dict[int, Inner | None] = field(default_factory=lambda: {1: Inner(8), 2: None})
    mode: Mode = Mode.NODE
    alpn: tuple[bytes, ...] = (b"h2",)
    lifetime: timedelta = timedelta(hours=1)
    log: LogFilter = field(default_factory=lambda: LogFilter.parse("access=debug,info"))


def test_everything_becomes_json_but_what_no_repr_shows() -> None:
    found = dump_settings(Outer())
    assert found == {
        "name": "cart",
        "path": "/run/cart",
        "inner": {"size": 7},
        "pairs": [["a", 0.5]],
        "by_name": {"1": {"size": 8}, "2": None},
        "mode": "node",
        "alpn": ["h2"],
        "lifetime": 3600,
        "log": "access=debug,info",
    }
    assert "secret" not in json.dumps(found)
