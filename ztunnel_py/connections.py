"""Every connection the proxy carries: counted while it lives, logged once when it ends, found when policy changes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from hbone_py.aio.tcp import SocketAddress, show
from hbone_py.errors import HboneError
from mesh_py.admin.config_dump import ConnectionProtocol, connection_entry
from mesh_py.telemetry.connection_log import Ended
from ztunnel_py.tunnel_spans import finish

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py import events as ev
    from mesh_py.admin.config_dump import Json
    from mesh_py.model.workload import Workload
    from mesh_py.telemetry.facts import ConnectionFacts, Reporter
    from mesh_py.telemetry.traffic import TrafficSeries
    from mesh_py.tracing.span import Span
    from ztunnel_py.context import ProxyContext
    from ztunnel_py.kind import Kind

log = logging.getLogger("proxy")


class DrainCut(HboneError):
    """The drain's deadline passed while the connection was open."""

    flag = "-"

    def __init__(self) -> None:
        super().__init__("connection closed due to connection drain")


class Unexpected(HboneError):
    """A bug of ours: one connection ends of it, and the log has its traceback."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"unexpected error: {error!r}")


class Flow(Protocol):
    """What moves the bytes: a `Relay` or a `Splice`."""

    @property
    def sent(self) -> int:
        """Relay: application to tunnel. Splice: downstream to upstream."""

    @property
    def received(self) -> int:
        """The other way."""


class Cuttable(Protocol):
    """Whatever a drain waits for and ends at its deadline."""

    def cut(self, error: HboneError) -> None:
        """End it now, for `error`."""


class Connections:
    """All live connections of one proxy process, and what may become one: `pending`."""

    def __init__(self) -> None:
        self.live: set[Connection] = set()
        self.pending: set[Cuttable] = set()
        """Accepted, and not yet known where to: greetings, waits."""
        self._emptied: Callable[[], None] | None = None

    def remove(self, connection: Connection) -> None:
        """It has ended."""
        self.live.discard(connection)
        if self._emptied is not None:
            self._look()

    def settled(self, pending: Cuttable) -> None:
        """It has become a connection, or nothing."""
        self.pending.discard(pending)
        if self._emptied is not None:
            self._look()

    def when_empty(self, emptied: Callable[[], None]) -> None:
        """Call `emptied` once no connection is left (at once if there is none)."""
        self._emptied = emptied
        self._look()

    def recheck(self) -> None:
        """The mesh has changed: whoever is no longer allowed ends."""
        for connection in list(self.live):
            try:
                connection.recheck()
            except Exception as error:  # the others must be judged all the same
                log.exception("! %s: unexpected error", connection)
                connection.cut(Unexpected(error))

    def settle(self) -> None:
        """Bring every series up to date: counters are live, chunks are not counted one by one."""
        for connection in self.live:
            connection.settle()

    def cut_all(self) -> None:
        """The drain is over."""
        for one in [*self.pending, *self.live]:
            one.cut(DrainCut())

    def _look(self) -> None:
        if self._emptied is not None and not self.live and not self.pending:
            self._emptied()


class SilentDriver:
    """A `TunnelDriver` to whom nothing matters; subclasses say what does."""

    __slots__ = ()

    def tunnel_accepted(self, event: ev.TunnelAccepted) -> None:
        """See `TunnelDriver`."""

    def tunnel_refused(self, status: int) -> None:
        """See `TunnelDriver`."""

    def tunnel_ended(self) -> None:
        """See `TunnelDriver`; who takes over finds the stream's end by itself."""

    def tunnel_reset(self, event: ev.TunnelReset) -> None:
        """See `TunnelDriver`."""

    def tunnel_writable(self) -> None:
        """See `TunnelDriver`; nothing is sent before the 200."""

    def tunnel_lost(self, error: HboneError) -> None:
        """See `TunnelDriver`."""


class Connection(SilentDriver):
    """One proxied connection, from the moment both ends are known. Subclasses carry it.

    `client_sends` names the flow's counter that holds the bytes from client to server.
    """

    __slots__ = (
        "_received",
        "_sent",
        "context",
        "dst",
        "flow",
        "hbone_addr",
        "is_closed",
        "kind",
        "series",
        "span",
        "src",
        "src_text",
        "started",
        "workload",
    )

    reporter: Reporter = "source"
    client_sends = "sent"

    def __init__(self, context: ProxyContext, src: SocketAddress, dst: SocketAddress, src_text: str = "") -> None:
        self.context = context
        self.src = src
        self.dst = dst
        self.src_text = src_text or show(src)
        """`src` as text."""
        self.hbone_addr: str | None = None
        self.started = context.reactor.loop.time()
        self.flow: Flow | None = None
        self.workload: Workload | None = None
        """Ours: the source outbound, the destination inbound."""
        self.kind: Kind | None = None
        """What it has in common with others; once both ends are known."""
        self.series: TrafficSeries | None = None
        self.is_closed = False
        self.span: Span | None = None
        """What is recorded of it, if anything is."""
        self._received = self._sent = 0

    @property
    def facts(self) -> ConnectionFacts | None:
        """Who is at either end; None while that is not known."""
        return None if self.kind is None else self.kind.facts

    def opened(self, kind: Kind) -> None:
        """Both ends are known: count it, log it at debug level, keep it."""
        context = self.context
        self.kind, self.dst, self.hbone_addr = kind, kind.dst, kind.hbone_addr
        self.series = series = kind.series(context.metrics.traffic)
        series.opened += 1
        series.seen = True
        context.connections.live.add(self)
        if context.access.wants_opened:
            context.access.opened(self.src_text, kind.ends(context.access))

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
        context = self.context
        context.connections.remove(self)
        kind, series = self.kind, self.series
        if kind is None or series is None:
            return
        self.settle()
        flag = "-" if error is None else self.flag_of(error)
        series.close(flag)
        if self.span is not None and context.tracer is not None:
            finish(context.tracer, self.span, self, flag, self._received, self._sent)
        access = context.access
        if access.wants_complete or (error is not None and access.wants_errors):
            milliseconds = int((context.reactor.loop.time() - self.started) * 1000)
            ended = Ended(self._received, self._sent, milliseconds, None if error is None else str(error))
            access.complete(self.src_text, kind.ends(access), ended)

    def flag_of(self, error: HboneError) -> str:
        """The response flag of a failure. What breaks an open connection is no failed handshake (2.9)."""
        return "CONNECT" if self.flow is not None and error.flag == "H2_HANDSHAKE_FAILURE" else error.flag

    def refused(self, error: HboneError) -> None:
        """It ends before both ends were known: one WARN line, no counter (hbone-dataplane 2.9, 3.2)."""
        self.is_closed = True
        self.context.access.failed(self.reporter, self.src_text, show(self.dst), str(error))

    def recheck(self) -> None:
        """Policy may have changed. Outbound connections are never judged again (hbone-dataplane 3.8)."""

    def cut(self, error: HboneError) -> None:
        """End it now, for `error`. Subclasses know how."""
        raise NotImplementedError

    def describe(self) -> Json:
        """Its entry in `/config_dump` (hbone-controlplane 7.3)."""
        return connection_entry(self.src_text, self.original_dst, self.actual_dst, self.protocol)

    @property
    def protocol(self) -> ConnectionProtocol:
        """How the two proxies speak."""
        return "HBONE" if self.hbone_addr else "TCP"

    @property
    def original_dst(self) -> str | None:
        """Where the application meant to go, as far as this side knows."""
        return None

    @property
    def actual_dst(self) -> str:
        """Where it really goes."""
        return show(self.dst)

    def __str__(self) -> str:
        return f"connection {self.src_text} to {show(self.dst)}"
