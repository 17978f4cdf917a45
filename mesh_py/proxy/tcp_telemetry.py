"""Connections that are carried as bytes, counted and logged as a node proxy does (istio_tcp_*)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hbone_py.aio.tcp import show
from mesh_py.telemetry.connection_log import Ended
from mesh_py.telemetry.facts import ConnectionFacts, ServiceFacts
from mesh_py.tracing.attributes import of_bytes
from mesh_py.tracing.trace_context import parse_traceparent

if TYPE_CHECKING:
    from hbone_py.aio.tcp import SocketAddress
    from hbone_py.errors import HboneError
    from hbone_py.identity import SpiffeId
    from mesh_py.model.workload import Service
    from mesh_py.proxy.context import AnyContext
    from mesh_py.proxy.opaque import Carried
    from mesh_py.telemetry.connection_log import Ends
    from mesh_py.telemetry.facts import Party, Reporter
    from mesh_py.telemetry.traffic import TrafficSeries
    from mesh_py.tracing.span import Kind, Span
    from mesh_py.tracing.tracer import Tracer


class TcpConnection:
    """One of them, from when both ends are known."""

    def __init__(self, context: AnyContext, reporter: Reporter, client: SocketAddress, tunnel: str = "") -> None:
        """`tunnel`: the `traceparent` of the CONNECT that brought it."""
        self._context, self._reporter, self._client = context, reporter, client
        self.traceparent = tunnel
        """What a tunnel tells that is opened for it."""
        self._span = None if context.tracer is None else self._begin(context.tracer, tunnel)
        self._begun = time.monotonic()
        self._facts: ConnectionFacts | None = None
        self._series: TrafficSeries | None = None
        self._there: SocketAddress = ("", 0)
        self._authority: str | None = None
        self._ends: Ends | None = None

    def _begin(self, tracer: Tracer, tunnel: str) -> Span | None:
        context, parent = tracer.enter(None, parse_traceparent(tunnel))
        if context.sampled or parent is None:
            self.traceparent = context.header
        kind: Kind = "client" if self._reporter == "source" else "server"
        return tracer.begin("TCP", kind, context, parent) if context.sampled else None

    def opened(
        self,
        source: Party | None,
        destination: Party | None,
        service: Service | None,
        *,
        mutual_tls: bool,
        principal: SpiffeId | None,
        there: SocketAddress,
        authority: str | None = None,
    ) -> None:
        """Both ends are known; None where the mesh does not know one."""
        context = self._context
        meant = None if service is None else ServiceFacts.of_service(service)
        proved = "" if principal is None else str(principal)
        self._facts = ConnectionFacts(self._reporter, source, destination, meant, mutual_tls, proved)
        self._there, self._authority = there, authority
        self._series = context.metrics.traffic.open(self._facts)
        self._ends = context.access.ends(self._facts, show(there), authority)
        context.access.opened(show(self._client), self._ends)

    def closed(self, carried: Carried) -> None:
        """It is over."""
        assert self._series is not None
        self._series.received_bytes += carried.sent
        self._series.sent_bytes += carried.received
        self._end(carried.sent, carried.received, carried.error)

    def failed(self, meant: SocketAddress, error: HboneError) -> None:
        """There was no connecting."""
        if self._facts is None:
            self._context.access.failed(self._reporter, show(self._client), show(meant), str(error))
        else:
            self._end(0, 0, error)

    def _end(self, received: int, sent: int, error: HboneError | None) -> None:
        facts, ends = self._facts, self._ends
        assert facts is not None and ends is not None and self._series is not None  # noqa: PT018
        flag = "-" if error is None else error.flag
        self._series.close(flag)
        if self._context.tracer is not None and self._span is not None:
            span, there = self._span, self._there
            span.attributes |= of_bytes(facts, self._client, there, self._authority, received, sent, flag)
            span.error = "" if flag == "-" else flag
            self._context.tracer.finish(span)
        milliseconds = round((time.monotonic() - self._begun) * 1000)
        ended = Ended(received, sent, milliseconds, None if error is None else str(error))
        self._context.access.complete(show(self._client), ends, ended)
