"""15006: plaintext that reaches a workload, judged without an identity (hbone-dataplane 4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.aio.original_dst import original_destination
from hbone_py.aio.splice import Splice
from hbone_py.aio.tcp import Listener, SocketAddress, reset
from hbone_py.errors import HboneError
from mesh_py.discovery.inbound import guess_service
from mesh_py.model.address import parse_ip
from mesh_py.model.errors import SelfCall
from mesh_py.policy.match import ConnectionFacts as PolicyFacts
from mesh_py.policy.rbac import authorize
from mesh_py.telemetry.facts import ConnectionFacts, ServiceFacts
from ztunnel_py.connections import Unexpected, log
from ztunnel_py.judged import JudgedConnection
from ztunnel_py.kind import Kind

if TYPE_CHECKING:
    import socket

    from mesh_py.model.workload import Workload
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
        destination, _ = original_destination(sock, client)
        self.carry(sock, client, destination)

    def carry(self, sock: socket.socket, client: SocketAddress, destination: SocketAddress) -> None:
        """Bring it to the workload, unchanged."""
        PlainConnection(self.context, sock, client, destination).start()


class PlainConnection(JudgedConnection):
    """One plaintext connection."""

    __slots__ = ("_sock",)

    client_sends = "sent"

    def __init__(
        self, context: ProxyContext, sock: socket.socket, client: SocketAddress, destination: SocketAddress
    ) -> None:
        super().__init__(context, client, destination)
        self._sock = sock
        context.metrics.traffic.sockets.destination += 1

    def start(self) -> None:
        """Loop check, workload, policy, connect."""
        if self.context.is_ourselves(self.dst):
            self._drop()
            self.refused(SelfCall())
        else:
            self.when_known(lambda _: (), self._begin)

    def _begin(self) -> None:
        try:
            workload = self._destination_workload()
            facts = self._facts(workload)
        except HboneError as error:
            self._drop()
            self.refused(error)
            return
        except Exception as error:
            log.exception("! %s: unexpected error", self)
            self._drop()
            self.refused(Unexpected(error))
            return
        self.workload = workload
        self.policy_facts = PolicyFacts(parse_ip(self.src[0]), parse_ip(self.dst[0]), self.dst[1])
        self.opened(Kind(facts, self.dst, None))
        policies = self.context.state.policies.applicable(workload)
        self.judge(policies, authorize(policies, self.policy_facts))

    def _destination_workload(self) -> Workload:
        workload = self.context.destination_workload(self.dst)
        if workload is None:
            raise self.context.no_destination(self.dst)
        return workload

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

    def let_in(self) -> None:
        """See `JudgedConnection`."""
        self.connect_to(self.dst, self.context.source_address(self.src[0], self.dst[0]))

    def carry(self, sock: socket.socket) -> None:
        """The application is there."""
        context = self.context
        splice = Splice(context.reactor, self._sock, sock, self._flowed, lenient=context.settings.lenient_resets)
        self.flow = splice
        splice.start()

    def _flowed(self, flow: Splice, error: HboneError | None) -> None:
        self.context.metrics.traffic.sockets.destination -= 1
        self.closed(error)

    def turned_away(self, error: HboneError) -> None:
        """See `JudgedConnection`."""
        if not self.is_closed:
            self.stop_connecting()
            self._drop()
            self.closed(error)

    def _drop(self) -> None:
        self.context.metrics.traffic.sockets.destination -= 1
        reset(self._sock)

    def cut(self, error: HboneError) -> None:
        """End it now."""
        if isinstance(self.flow, Splice):
            self.flow.finish(error)
        else:
            self.turned_away(error)
