"""What filters are told, for tests."""

from __future__ import annotations

from typing import Any

from mesh_py.http.filters.stream_info import StreamInfo
from tests.mesh_py.http.policies import SLEEP
from tests.support.world import ip


def stream(chance: float = 0.5, now: float = 0.0, **more: Any) -> StreamInfo:
    """A request of `default/sleep`, at a fixed time and with fixed chance."""
    more.setdefault("identity", SLEEP)
    return StreamInfo(ip("10.0.0.1"), ip("10.0.1.1"), 8080, lambda: now, lambda: chance, **more)
