"""Connections that are carried as bytes, counted and logged as a node proxy does (istio_tcp_*)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hbone_py.aio.tcp import show
from mesh_py.telemetry.connection_log import Ended
from mesh_py.telemetry.facts import ConnectionFacts, ServiceFacts

if TYPE_CHECKING:
    from hbone_py.aio.tcp import SocketAddress
    from hbone_py.errors import HboneError
    from hbone_py.identity import SpiffeId
    from mesh_py.model.workload import Service
    from mesh_py.proxy.context import AnyContext
    from mesh_py.proxy.opaque import Carried
    from mesh_py.telemetry.facts import Party, Reporter
    from mesh_py.telemetry.traffic import TrafficSeries


class TcpConnection:
    """One of them, from when both ends are known."""

    def __init__(self, context: AnyContext, reporter: Reporter, client: SocketAddress) -> None:
        self._context, self._reporter, self._client = context, reporter, client
        self._begun = time.monotonic()
        self._facts: ConnectionFacts | None = None
        self._series: TrafficSeries | None = None
        self._there: SocketAddress = ("", 0)
        self._authority: str | None = None

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
        context.access.opened(self._facts, show(self._client), show(there), authority)

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
        assert self._facts is not None and self._series is not None  # noqa: PT018
        self._series.close("-" if error is None else error.flag)
        milliseconds = round((time.monotonic() - self._begun) * 1000)
        ended = Ended(received, sent, milliseconds, None if error is None else str(error))
        self._context.access.complete(self._facts, show(self._client), show(self._there), ended, self._authority)
