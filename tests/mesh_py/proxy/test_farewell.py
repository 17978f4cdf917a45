"""Unused tunnels get a moment to end, and no more. (What the other end sees of it: the waypoint's data plane.)"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from mesh_py.proxy import farewell
from mesh_py.proxy.farewell import let_go

if TYPE_CHECKING:
    import pytest


class Proxy:
    """Its open tunnels are counted so, time after time; the last count stays."""

    def __init__(self, *counts: int) -> None:
        self.counts, self.has_closed = list(counts), False
        self.http, self.peers = SimpleNamespace(close=self._close), self

    @property
    def tunnels(self) -> int:
        assert self.has_closed
        return self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]

    def _close(self) -> None:
        self.has_closed = True


async def test_it_waits_until_none_is_open() -> None:
    proxy: Any = Proxy(2, 1, 0)
    await let_go(proxy)
    assert proxy.counts == [0]


async def test_it_waits_for_nobody_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farewell, "SECONDS", 0.0)
    proxy: Any = Proxy(2, 1)
    await let_go(proxy)
    assert proxy.counts == [1]
