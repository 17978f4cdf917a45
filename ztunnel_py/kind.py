"""Connections of one kind: who is at either end, and what that comes to for telemetry, found once for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.aio.tcp import show

if TYPE_CHECKING:
    from hbone_py.aio.tcp import SocketAddress
    from mesh_py.telemetry.access_log import AccessLog
    from mesh_py.telemetry.connection_log import Ends
    from mesh_py.telemetry.facts import ConnectionFacts
    from mesh_py.telemetry.traffic import Traffic, TrafficSeries


class Kind:
    """What all connections that one plan carries have in common."""

    __slots__ = ("_ends", "_series", "dst", "facts", "hbone_addr")

    def __init__(self, facts: ConnectionFacts, dst: SocketAddress, hbone_addr: str | None) -> None:
        self.facts = facts
        self.dst = dst
        """Where they really go."""
        self.hbone_addr = hbone_addr
        """The CONNECT's authority, in a tunnel."""
        self._series: TrafficSeries | None = None
        self._ends: Ends | None = None

    def series(self, traffic: Traffic) -> TrafficSeries:
        """Where they are counted."""
        series = self._series
        if series is None or series.is_dropped:
            series = self._series = traffic.find(self.facts)
        return series

    def ends(self, access: AccessLog) -> Ends:
        """What their log lines share."""
        ends = self._ends
        if ends is None:
            ends = self._ends = access.ends(self.facts, show(self.dst), self.hbone_addr)
        return ends
