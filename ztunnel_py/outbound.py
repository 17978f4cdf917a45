"""15001: captured connections, and what is decided about each (hbone-dataplane 2.1).

The common path is plain calls in a row: accept, a remembered plan, a pooled peer, CONNECT, relay. A callback waits
only where something must be waited for.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from hbone_py.address import is_loopback
from hbone_py.aio.original_dst import original_destination
from hbone_py.aio.pool import Pool
from hbone_py.aio.tcp import Listener, SocketAddress, reset, show
from hbone_py.errors import HboneError
from mesh_py.discovery.missing import missing_destination, missing_for_outbound
from mesh_py.discovery.resolve import resolve
from mesh_py.model.address import parse_ip
from mesh_py.model.errors import SelfCall
from mesh_py.model.route import ByName, Direct, NestedTunnel, Tunnel
from mesh_py.telemetry.labels import on_demand_dns_values
from mesh_py.telemetry.log_format import fields
from ztunnel_py.connections import Unexpected
from ztunnel_py.held import Held
from ztunnel_py.name_lookup import NameLookup
from ztunnel_py.on_demand_wait import ask_for, is_asking_needed
from ztunnel_py.outbound_connection import DirectConnection
from ztunnel_py.outbound_nested import NestedPlan
from ztunnel_py.outbound_tunnel import TunnelPlan
from ztunnel_py.plans import Dice, Plans

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from mesh_py.model.address import IpAddress
    from mesh_py.model.route import Route
    from mesh_py.model.workload import Workload
    from mesh_py.xds.on_demand import OnDemand
    from ztunnel_py.context import ProxyContext

log = logging.getLogger("outbound")


class Captured(NamedTuple):
    """A connection that an application of ours has opened, and where it meant to go."""

    sock: socket.socket
    client: SocketAddress
    destination: SocketAddress
    by_socks: bool


class NotAnswered(HboneError):
    """Whether the destination is of the mesh was asked, and nobody has told. Plaintext might betray it."""

    flag = "-"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"discovery has not told who has {name}: is the control plane there? XDS_ON_DEMAND_UNANSWERED=pass "
            "passes such connections on in plaintext"
        )


class Outbound:
    """Takes captured connections, from the listener or from somebody who learned the destination otherwise."""

    def __init__(self, context: ProxyContext) -> None:
        self.context = context
        settings = context.settings
        self.plans: Plans[TunnelPlan] = Plans(context.state)
        self.dice = Dice()
        self.pool = Pool(context.reactor, max_streams=settings.pool_max_streams, idle=settings.pool_idle)
        self.names = NameLookup(context.reactor)

    def listen(self, sock: socket.socket) -> Listener:
        """Accept on a bound socket."""
        return Listener(self.context.reactor, sock, self.accepted, near=True)

    def accepted(self, sock: socket.socket, client: SocketAddress) -> None:
        """A redirected connection: the kernel knows where it was going. Who was not redirected calls ourselves."""
        destination, is_redirected = original_destination(sock, client)
        if not is_redirected and destination[1] in self.context.illegal_ports:
            self.context.metrics.traffic.sockets.source += 1
            self._refuse(Captured(sock, client, destination, False), SelfCall())
        else:
            self.carry(sock, client, destination)

    def carry(
        self, sock: socket.socket, client: SocketAddress, destination: SocketAddress, *, by_socks: bool = False
    ) -> None:
        """Bring a connection of `client` to `destination`."""
        self.context.metrics.traffic.sockets.source += 1
        plan = self.plans.get((client[0], destination, by_socks))
        if plan is not None:
            plan.carry(self.context, self.pool, sock, client, destination)
        else:
            self._decide(Captured(sock, client, destination, by_socks))

    def close(self) -> None:
        """Let go of pooled connections."""
        self.pool.close()

    def _decide(self, captured: Captured) -> None:
        """Steps 4 to 6 of 2.1. Where discovery may still bring the workload, that is waited for."""
        context = self.context
        if captured.destination[1] in context.illegal_ports and is_loopback(parse_ip(captured.destination[0])):
            self._refuse(captured, SelfCall())
        elif context.may_grow and self._find_source(captured) is None:
            held = self._hold(captured)
            context.when(
                lambda: self._find_source(captured) is not None,
                context.settings.state_wait,
                lambda _: held.go_on(lambda: self._guarded(captured, lambda: self._find_way(captured))),
            )
        else:
            self._guarded(captured, lambda: self._find_way(captured))

    def _guarded(self, captured: Captured, act: Callable[[], None]) -> None:
        """What goes wrong before the connection has a way is logged and counts nowhere (2.9)."""
        try:
            act()
        except HboneError as error:
            self._refuse(captured, error)
        except Exception as error:
            log.exception("! connection of %s: unexpected error", show(captured.client))
            self._refuse(captured, Unexpected(error))

    def _hold(self, captured: Captured) -> Held:
        return Held(self.context.connections, lambda error: self._refuse(captured, error))

    def _find_way(self, captured: Captured) -> None:
        """Where addresses are known on demand, those that are missing are asked for first."""
        source = self._find_source(captured)
        if source is None:
            raise self.context.no_source(captured.client)
        names = self.context.names
        if names is None:
            self._take_way(source, captured)
            return
        missing = partial(missing_for_outbound, self.context.state, source, parse_ip(captured.destination[0]))
        if not is_asking_needed(names, missing):
            self._take_way_if_told(source, captured, names)
            return
        held = self._hold(captured)
        go_on = partial(self._guarded, captured, lambda: self._take_way_if_told(source, captured, names))
        ask_for(names, missing, lambda: held.go_on(go_on))

    def _take_way_if_told(self, source: Workload, captured: Captured, names: OnDemand) -> None:
        """Only what the control plane calls nobody's is certainly not of the mesh. Raises NotAnswered."""
        name = missing_destination(self.context.state, source, parse_ip(captured.destination[0]))
        if name is not None and names.is_unanswered(name):
            is_passed = self.context.settings.passes_unanswered
            self.context.metrics.unanswered_lookups.increase(("passed" if is_passed else "refused",))
            if not is_passed:
                raise NotAnswered(name)
            log.warning("passed on without an answer of discovery", extra=fields(name=name, src=show(captured.client)))
        self._take_way(source, captured)

    def _take_way(self, source: Workload, captured: Captured) -> None:
        self.dice.rolled = False
        self._follow(self._route(source, captured), source, captured)

    def _find_source(self, captured: Captured) -> Workload | None:
        return self.context.source_workload(captured.client, by_socks=captured.by_socks)

    def _route(self, source: Workload, captured: Captured) -> Route:
        host, port = captured.destination
        downstream = parse_ip(captured.client[0])
        return resolve(self.context.state, source, downstream, (parse_ip(host), port), random=self.dice)

    def _follow(self, route: Route, source: Workload, captured: Captured) -> None:
        sock, client, destination, by_socks = captured
        match route:
            case Direct():
                DirectConnection(self.context, source, route, sock, client, destination).start()
            case Tunnel() | NestedTunnel():
                plan = self._plan(route, source, client[0])
                if not self.dice.rolled:
                    self.plans.put((client[0], destination, by_socks), plan)
                plan.carry(self.context, self.pool, sock, client, destination)
            case ByName():
                self._look_up(route, source, captured)

    def _look_up(self, route: ByName, source: Workload, captured: Captured) -> None:
        """The next hop is a name: go on with one of its addresses (2.5). Each attempt counts, remembered or not."""
        context = self.context
        context.metrics.on_demand_dns.increase(on_demand_dns_values(context.parties.of(source), route.hostname))
        held = self._hold(captured)

        def choose(answers: tuple[IpAddress, ...] | None) -> None:
            if answers is None:
                raise route.failed()
            self._follow(route.choose(answers, self.dice), source, captured)

        def found(answers: tuple[IpAddress, ...] | None) -> None:
            held.go_on(lambda: self._guarded(captured, lambda: choose(answers)))

        self.names.find(route.hostname, found)

    def _plan(self, route: Tunnel | NestedTunnel, source: Workload, client: str) -> TunnelPlan:
        if isinstance(route, Tunnel):
            return TunnelPlan.make(self.context, source, route, client)
        return NestedPlan.make_nested(self.context, source, route, client)

    def _refuse(self, captured: Captured, error: HboneError) -> None:
        """Not enough is known for a full record: one WARN line (2.9)."""
        context = self.context
        context.metrics.traffic.sockets.source -= 1
        reset(captured.sock)
        context.access.failed("source", show(captured.client), show(captured.destination), str(error))
