"""What every outbound connection is, whatever carries it; and the plain one: TCP to TCP (hbone-dataplane 2.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.aio.splice import Splice
from hbone_py.aio.tcp import Connecting, SocketAddress, connect_soon, outgoing_socket, reset, show
from hbone_py.errors import ConnectionFailed, HboneError
from mesh_py.telemetry.facts import ConnectionFacts, ServiceFacts
from ztunnel_py.connections import Connection, Unexpected, log
from ztunnel_py.kind import Kind

if TYPE_CHECKING:
    import socket

    from hbone_py.aio.relay import Relay
    from mesh_py.model.route import Direct
    from mesh_py.model.workload import Workload
    from ztunnel_py.context import ProxyContext


class OutboundConnection(Connection):
    """A captured connection whose route is known. `start` it; what it fails of is counted, logged, and a reset."""

    __slots__ = ("_destination", "_sock")

    reporter = "source"
    client_sends = "sent"

    def __init__(
        self, context: ProxyContext, sock: socket.socket, client: SocketAddress, destination: SocketAddress
    ) -> None:
        super().__init__(context, client, destination)
        self._sock = sock
        self._destination = destination

    def start(self) -> None:
        """Count it, and go."""
        try:
            self._begin()
        except HboneError as error:
            self.failed(error)
        except OSError as error:
            self.failed(ConnectionFailed(f"io error: {error.strerror}"))
        except Exception as error:
            log.exception("! %s: unexpected error", self)
            self.failed(Unexpected(error))

    def _begin(self) -> None:
        raise NotImplementedError

    def failed(self, error: HboneError) -> None:
        """It never came to carrying bytes: the application's connection is reset."""
        if not self.is_closed:
            self.context.metrics.traffic.sockets.source -= 1
            reset(self._sock)
            self.closed(error)

    def _flowed(self, flow: Relay | Splice, error: HboneError | None) -> None:
        self.context.metrics.traffic.sockets.source -= 1
        self.closed(error)

    @property
    def original_dst(self) -> str:
        """Where the application meant to go."""
        return show(self._destination)


class DirectConnection(OutboundConnection):
    """Plain TCP: nobody at the other end speaks HBONE, or nobody knows who is there."""

    __slots__ = ("_connecting", "_route", "_source")

    def __init__(
        self,
        context: ProxyContext,
        source: Workload,
        route: Direct,
        sock: socket.socket,
        client: SocketAddress,
        destination: SocketAddress,
    ) -> None:
        super().__init__(context, sock, client, destination)
        self._source, self._route = source, route
        self._connecting: Connecting | None = None

    def _begin(self) -> None:
        context, source, next_hop = self.context, self._source, self._route.next_hop
        self.workload = source
        self.opened(Kind(self._facts(), next_hop, None))
        own_address = context.own_address(source, self.src[0], next_hop[0])
        sock = outgoing_socket(next_hop, context.socket_options, own_address)
        self._connecting = connect_soon(context.reactor, sock, next_hop, self, context.settings.deadlines.connect)

    def _facts(self) -> ConnectionFacts:
        parties, workload, service = self.context.parties, self._route.workload, self._route.service
        return ConnectionFacts(
            "source",
            parties.of(self._source),
            None if workload is None else parties.of(workload),
            None if service is None else ServiceFacts.of_service(service),
        )

    def connected(self, sock: socket.socket) -> None:
        """TCP is up: join the two."""
        context = self.context
        splice = Splice(context.reactor, self._sock, sock, self._flowed, lenient=context.settings.lenient_resets)
        self.flow = splice
        splice.start()

    def connect_failed(self, error: HboneError) -> None:
        """TCP is not."""
        self.failed(error)

    def flag_of(self, error: HboneError) -> str:
        """No network policy about HBONE explains a plain connect that times out."""
        flag = super().flag_of(error)
        return "CONNECT" if flag == "NETWORK_POLICY" else flag

    def cut(self, error: HboneError) -> None:
        """End it now."""
        if isinstance(self.flow, Splice):
            self.flow.finish(error)
            return
        if self._connecting is not None:
            self._connecting.cancel()
        self.failed(error)
