"""Every connection the proxy carries: counted while it lives, logged once when it ends, found when policy changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hbone_py.aio.tcp import SocketAddress, show
from hbone_py.errors import HboneError
from mesh_py.admin.config_dump import ConnectionProtocol, connection_entry
from mesh_py.telemetry.connection_log import Ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh_py.admin.config_dump import Json
    from mesh_py.model.workload import Workload
    from mesh_py.telemetry.facts import ConnectionFacts
    from mesh_py.telemetry.traffic import TrafficSeries
    from ztunnel_py.context import ProxyContext


class DrainCut(HboneError):
    """The drain's deadline passed while the connection was open."""

    flag = "-"

    def __init__(self) -> None:
        super().__init__("connection closed due to connection drain")


class Flow(Protocol):
    """What moves the bytes: a `Relay` or a `Splice`."""

    @property
    def sent(self) -> int:
        """Relay: application to tunnel. Splice: downstream to upstream."""

    @property
    def received(self) -> int:
        """The other way."""


class Connections:
    """All live connections of one proxy process."""

    def __init__(self) -> None:
        self.live: set[Connection] = set()
        self._emptied: Callable[[], None] | None = None

    def remove(self, connection: Connection) -> None:
        """It has ended."""
        self.live.discard(connection)
        if self._emptied is not None and not self.live:
            self._emptied()

    def when_empty(self, emptied: Callable[[], None]) -> None:
        """Call `emptied` once no connection is left (at once if there is none)."""
        self._emptied = emptied
        if not self.live:
            emptied()

    def recheck(self) -> None:
        """The mesh has changed: whoever is no longer allowed ends."""
        for connection in list(self.live):
            connection.recheck()

    def settle(self) -> None:
        """Bring every series up to date: counters are live, chunks are not counted one by one."""
        for connection in self.live:
            connection.settle()

    def cut_all(self) -> None:
        """The drain is over."""
        for connection in list(self.live):
            connection.cut(DrainCut())


class Connection:
    """One proxied connection, from the moment both ends are known. Subclasses carry it.

    `client_sends` names the flow's counter that holds the bytes from client to server.
    """

    __slots__ = (
        "_received",
        "_sent",
        "context",
        "dst",
        "facts",
        "flow",
        "hbone_addr",
        "is_closed",
        "series",
        "src",
        "started",
        "workload",
    )

    reporter: str = "source"
    client_sends = "sent"

    def __init__(self, context: ProxyContext, src: SocketAddress) -> None:
        self.context = context
        self.src = src
        self.dst: SocketAddress = ("", 0)
        self.hbone_addr: str | None = None
        self.started = context.reactor.loop.time()
        self.flow: Flow | None = None
        self.workload: Workload | None = None
        """Ours: the source outbound, the destination inbound."""
        self.facts: ConnectionFacts | None = None
        self.series: TrafficSeries | None = None
        self.is_closed = False
        self._received = self._sent = 0

    def opened(self, facts: ConnectionFacts, dst: SocketAddress, hbone_addr: str | None) -> None:
        """Both ends are known: count it, log it at debug level, keep it."""
        self.facts, self.dst, self.hbone_addr = facts, dst, hbone_addr
        self.series = self.context.metrics.traffic.open(facts)
        self.context.connections.live.add(self)
        if self.context.access.wants_opened:
            self.context.access.opened(facts, show(self.src), show(dst), hbone_addr)

    def settle(self) -> None:
        """Add what has flowed since the last look to the series."""
        flow, series = self.flow, self.series
        if flow is None or series is None:
            return
        if self.client_sends == "sent":
            received, sent = flow.sent, flow.received
        else:
            received, sent = flow.received, flow.sent
        series.received_bytes += received - self._received
        series.sent_bytes += sent - self._sent
        self._received, self._sent = received, sent

    def closed(self, error: HboneError | None) -> None:
        """It is over: count it and write its line."""
        if self.is_closed:
            return
        self.is_closed = True
        facts, series = self.facts, self.series
        if facts is None or series is None:
            return
        context = self.context
        self.settle()
        series.close(error.flag if error is not None else "-")
        context.connections.remove(self)
        access = context.access
        if access.wants_complete or (error is not None and access.wants_errors):
            milliseconds = int((context.reactor.loop.time() - self.started) * 1000)
            ended = Ended(self._received, self._sent, milliseconds, None if error is None else str(error))
            access.complete(facts, show(self.src), show(self.dst), ended, self.hbone_addr)

    def refused(self, error: HboneError) -> None:
        """It ends before both ends were known: one WARN line, no counter (hbone-dataplane 2.9, 3.2)."""
        self.is_closed = True
        reporter = "source" if self.reporter == "source" else "destination"
        self.context.access.failed(reporter, show(self.src), show(self.dst), str(error))  # type: ignore[arg-type]

    def recheck(self) -> None:
        """Policy may have changed. Outbound connections are never judged again (hbone-dataplane 3.8)."""

    def cut(self, error: HboneError) -> None:
        """End it now, for `error`. Subclasses know how."""
        raise NotImplementedError

    def describe(self) -> Json:
        """Its entry in `/config_dump` (hbone-controlplane 7.3)."""
        protocol: ConnectionProtocol = "HBONE" if self.hbone_addr else "TCP"
        return connection_entry(show(self.src), self.original_dst, show(self.dst), protocol)

    @property
    def original_dst(self) -> str | None:
        """Where the application meant to go, as far as this side knows."""
        return None
