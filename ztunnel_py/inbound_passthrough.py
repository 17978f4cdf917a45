"""15006: plaintext that reaches a workload, judged without an identity (hbone-dataplane 4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.aio.original_dst import original_destination
from hbone_py.aio.splice import Splice
from hbone_py.aio.tcp import Connecting, Listener, SocketAddress, outgoing_socket, reset, show
from hbone_py.errors import ConnectionFailed, ConnectionLost, HboneError
from mesh_py.discovery.inbound import guess_service
from mesh_py.model.address import parse_ip
from mesh_py.model.errors import PolicyChanged, PolicyDenied, SelfCall
from mesh_py.policy.match import ConnectionFacts as PolicyFacts
from mesh_py.policy.rbac import authorize
from mesh_py.telemetry.facts import ConnectionFacts, ServiceFacts
from ztunnel_py.connections import Connection
from ztunnel_py.context import NotOurWorkload
from ztunnel_py.inbound import log

if TYPE_CHECKING:
    import socket

    from mesh_py.model.workload import Workload
    from mesh_py.policy.rbac import Verdict
    from ztunnel_py.context import ProxyContext


class InboundPassthrough:
    """Accepts plaintext on its way to a workload of ours."""

    def __init__(self, context: ProxyContext) -> None:
        self.context = context

    def listen(self, sock: socket.socket) -> Listener:
        """Accept on a bound socket."""
        return Listener(self.context.reactor, sock, self.accepted)

    def accepted(self, sock: socket.socket, client: SocketAddress) -> None:
        """A redirected connection: the kernel knows where it was going."""
        destination, _ = original_destination(sock)
        self.carry(sock, client, destination)

    def carry(self, sock: socket.socket, client: SocketAddress, destination: SocketAddress) -> None:
        """Bring it to the workload, unchanged."""
        PlainConnection(self.context, sock, client, destination).begin()


class PlainConnection(Connection):
    """One plaintext connection."""

    __slots__ = ("_connecting", "_policy_facts", "_sock")

    reporter = "destination"
    client_sends = "sent"

    def __init__(
        self, context: ProxyContext, sock: socket.socket, client: SocketAddress, destination: SocketAddress
    ) -> None:
        super().__init__(context, client)
        self.dst = destination
        self._sock = sock
        self._connecting: Connecting | None = None
        self._policy_facts: PolicyFacts
        context.metrics.traffic.sockets.destination += 1

    def begin(self) -> None:
        """Loop check, workload, policy, connect."""
        context = self.context
        try:
            if self.dst[1] in context.illegal_ports:
                raise SelfCall
            workload = context.destination_workload(self.dst)
            if workload is None:
                raise NotOurWorkload(f"unknown destination: no workload of this proxy has the address {self.dst[0]}")
        except HboneError as error:
            self._drop()
            self.refused(error)
            return
        except OSError as error:
            self._drop()
            self.refused(ConnectionLost(f"io error: {error.strerror}"))
            return
        self.workload = workload
        self._policy_facts = PolicyFacts(parse_ip(self.src[0]), parse_ip(self.dst[0]), self.dst[1])
        self.opened(self._facts(workload), self.dst, None)
        self._judge()

    def _facts(self, workload: Workload) -> ConnectionFacts:
        context = self.context
        source = context.state.workloads.at(context.settings.network, parse_ip(self.src[0]))
        services = tuple(record.service for record in context.state.services_of(workload))
        service = guess_service(services, workload, self.dst[1])
        return ConnectionFacts(
            "destination",
            None if source is None else context.parties.of(source),
            context.parties.of(workload),
            None if service is None else ServiceFacts.of_service(service),
        )

    def verdict(self) -> Verdict:
        """What policy says now."""
        assert self.workload is not None, "judged after it was found"
        return authorize(self.context.state.policies.applicable(self.workload), self._policy_facts)

    def recheck(self) -> None:
        """Policy may have changed: an open connection it no longer allows ends (3.8)."""
        current = self.context.destination_workload(self.dst)
        if current is not None:
            self.workload = current
        if self.flow is not None and not self.verdict().allowed:
            log.info("connection %s closed because it's no longer allowed after a policy update", show(self.src))
            self.cut(PolicyChanged())

    def _judge(self) -> None:
        verdict = self.verdict()
        if verdict.missing:
            context = self.context
            context.when(lambda: not self.verdict().missing, context.settings.policy_wait, lambda _: self._judged())
        else:
            self._act(verdict)

    def _judged(self) -> None:
        if not self.is_closed:
            self._act(self.verdict())

    def _act(self, verdict: Verdict) -> None:
        if not verdict.allowed:
            self._failed(PolicyDenied(verdict.reason))
            return
        context = self.context
        source = context.source_address(self.src[0])
        try:
            sock = outgoing_socket(self.dst, context.settings.socket_options, source)
        except OSError as error:
            self._failed(ConnectionFailed(f"connection failed: {error.strerror}"))
            return
        self._connecting = Connecting(context.reactor, sock, self.dst, self)
        self._connecting.start(context.settings.deadlines.connect)

    def connected(self, sock: socket.socket) -> None:
        """The application is there."""
        self._connecting = None
        if self.is_closed:
            reset(sock)
            return
        splice = Splice(self.context.reactor, self._sock, sock, self._flowed)
        self.flow = splice
        splice.start()

    def connect_failed(self, error: HboneError) -> None:
        """It is not."""
        self._connecting = None
        self._failed(error)

    def _flowed(self, flow: Splice, error: HboneError | None) -> None:
        self.context.metrics.traffic.sockets.destination -= 1
        self.closed(error)

    def _failed(self, error: HboneError) -> None:
        if not self.is_closed:
            self._drop()
            self.closed(error)

    def _drop(self) -> None:
        self.context.metrics.traffic.sockets.destination -= 1
        reset(self._sock)

    def cut(self, error: HboneError) -> None:
        """End it now."""
        if isinstance(self.flow, Splice):
            self.flow.finish(error)
            return
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        self._failed(error)
