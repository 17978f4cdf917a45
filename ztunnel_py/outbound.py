"""15001: a captured connection, its route, its tunnel (hbone-dataplane 2).

The common path is plain calls in a row: accept, resolve, a pooled peer, CONNECT, relay. A callback waits only where
something must be waited for: a first connection to a peer, the 200.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hbone_py.aio.client import Dial, expecting
from hbone_py.aio.original_dst import original_destination
from hbone_py.aio.peer import Peer
from hbone_py.aio.pool import Pool
from hbone_py.aio.relay import Relay
from hbone_py.aio.splice import Splice
from hbone_py.aio.tcp import Connecting, Listener, SocketAddress, outgoing_socket, reset, show
from hbone_py.errors import (
    ConnectionClosing,
    ConnectionLost,
    ConnectReplyTimeout,
    ConnectTimeout,
    ErrorCode,
    HboneError,
    StreamReset,
    TunnelRefused,
)
from hbone_py.header_blocks import connect_block, literal
from mesh_py.discovery.resolve import resolve
from mesh_py.model.address import is_loopback, parse_ip
from mesh_py.model.errors import RouteError, SelfCall
from mesh_py.model.route import Direct, Tunnel
from mesh_py.telemetry.facts import ConnectionFacts, ServiceFacts
from ztunnel_py.connections import Connection
from ztunnel_py.context import NotOurWorkload, baggage_of
from ztunnel_py.plans import Dice, Plans

if TYPE_CHECKING:
    import socket
    from collections.abc import Hashable

    from hbone_py import events as ev
    from hbone_py.aio.peer import PeerOwner
    from hbone_py.aio.pool import Attempt
    from hbone_py.aio.transport import Transport
    from hbone_py.aio.wheel import Timer
    from hbone_py.streams import Stream
    from mesh_py.model.workload import Workload
    from ztunnel_py.context import ProxyContext

log = logging.getLogger("outbound")


class NotYetRouted(RouteError):
    """The mesh asks for a kind of route this proxy does not serve; it never falls back to plaintext."""


@dataclass(frozen=True, slots=True)
class OutboundPlan:
    """What is decided about connections of one client to one destination, and prepared for the next of them."""

    source: Workload
    route: Tunnel
    facts: ConnectionFacts
    pool_key: Hashable
    block: bytes
    """The CONNECT's header block as far as it is always the same: method, authority, baggage."""
    forwarded_tail: bytes
    """The end of the `forwarded` value: the service the client meant."""


class Outbound:
    """Takes captured connections, from the listener or from somebody who learned the destination otherwise."""

    def __init__(self, context: ProxyContext) -> None:
        self.context = context
        settings = context.settings
        self.plans: Plans[OutboundPlan] = Plans(context.state)
        self.dice = Dice()
        self.pool = Pool(context.reactor, max_streams=settings.pool_max_streams, idle=settings.pool_idle)

    def listen(self, sock: socket.socket) -> Listener:
        """Accept on a bound socket."""
        return Listener(self.context.reactor, sock, self.accepted)

    def accepted(self, sock: socket.socket, client: SocketAddress) -> None:
        """A redirected connection: the kernel knows where it was going."""
        destination, _ = original_destination(sock)
        self.carry(sock, client, destination)

    def carry(
        self, sock: socket.socket, client: SocketAddress, destination: SocketAddress, *, by_socks: bool = False
    ) -> None:
        """Bring a connection of `client` to `destination`."""
        OutboundConnection(self, sock, client, destination).begin(by_socks=by_socks)

    def close(self) -> None:
        """Let go of pooled connections."""
        self.pool.close()


class OutboundConnection(Connection):
    """One captured connection; drives its stream until the 200, then a `Relay` does."""

    __slots__ = ("_block", "_destination", "_outbound", "_peer", "_sock", "_stream", "_timer", "connecting")

    reporter = "source"
    client_sends = "sent"

    def __init__(
        self, outbound: Outbound, sock: socket.socket, client: SocketAddress, destination: SocketAddress
    ) -> None:
        super().__init__(outbound.context, client)
        self.dst = destination
        self.connecting: Connecting | None = None
        self._outbound = outbound
        self._sock = sock
        self._destination = destination
        self._peer: Peer | None = None
        self._stream: Stream | None = None
        self._timer: Timer | None = None
        self._block = b""
        outbound.context.metrics.traffic.sockets.source += 1

    def begin(self, *, by_socks: bool) -> None:
        """Steps 4 to 9 of 2.1."""
        try:
            plan = self._outbound.plans.get((self.src[0], self._destination, by_socks))
            if plan is not None:
                self._tunnel(plan)
            else:
                self._decide(by_socks=by_socks)
        except HboneError as error:
            self._refuse(error)
        except OSError as error:
            self._refuse(ConnectionLost(f"io error: {error.strerror}"))

    def _decide(self, *, by_socks: bool) -> None:
        context = self.context
        if self._destination[1] in context.illegal_ports and is_loopback(parse_ip(self._destination[0])):
            raise SelfCall
        source = context.source_workload(self.src, by_socks=by_socks)
        if source is None:
            raise NotOurWorkload(f"unknown source: no workload of this proxy has the address {self.src[0]}")
        dice = self._outbound.dice
        dice.rolled = False
        destination = parse_ip(self._destination[0]), self._destination[1]
        route = resolve(context.state, source, parse_ip(self.src[0]), destination, random=dice)
        if isinstance(route, Direct):
            self._direct(source, route)
        elif isinstance(route, Tunnel):
            plan = self._plan(source, route)
            if not dice.rolled:
                self._outbound.plans.put((self.src[0], self._destination, by_socks), plan)
            self._tunnel(plan)
        else:
            raise NotYetRouted(f"route not supported yet ({type(route).__name__}): {show(self._destination)}")

    @property
    def original_dst(self) -> str:
        """Where the application meant to go."""
        return show(self._destination)

    # HBONE ---------------------------------------------------------------

    def _plan(self, source: Workload, route: Tunnel) -> OutboundPlan:
        service = None if route.service is None else ServiceFacts.of_service(route.service)
        parties, identity = self.context.parties, source.identity
        baggage = literal(b"baggage", str(baggage_of(source)).encode())
        return OutboundPlan(
            source=source,
            route=route,
            facts=ConnectionFacts(
                "source", parties.of(source), parties.of(route.workload), service, True, str(identity)
            ),
            pool_key=(identity, route.expect, route.next_hop, self.src[0]),
            block=connect_block(route.authority.encode("ascii"), baggage),
            forwarded_tail=b"" if service is None else f";host={service.hostname}".encode(),
        )

    def _tunnel(self, plan: OutboundPlan) -> None:
        self.workload = plan.source
        self.opened(plan.facts, plan.route.next_hop, plan.route.authority)
        self._block = plan.block + self.context.forwarded_and_trace(show(self.src), plan.forwarded_tail)
        pool = self._outbound.pool
        peer = pool.checkout(plan.pool_key)
        if peer is not None:
            self._open(peer)
        else:
            pool.request(plan.pool_key, lambda owner: self._dial(owner, plan), self._open, self._failed)

    def _dial(self, owner: PeerOwner, plan: OutboundPlan) -> Attempt:
        """Begin a connection to the next hop. Raises CertificateUnavailable when we have nothing to show there."""
        context, route = self.context, plan.route
        settings = context.settings
        check = expecting(route.expect)
        client = context.certificates.contexts_for(plan.source.identity).client

        def make(transport: Transport) -> Peer:
            return Peer(
                context.reactor,
                transport,
                client,
                owner,
                check=check,
                config=settings.http2,
                deadlines=settings.deadlines,
                keepalive=settings.keepalive,
            )

        def failed(error: HboneError) -> None:
            if isinstance(error, ConnectTimeout):
                text = "connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008"
                error = ConnectTimeout(f"{text}: {show(route.next_hop)}")
            owner.peer_closed(None, error)  # type: ignore[arg-type]

        dial = Dial(context.reactor, make, failed)
        dial.start(route.next_hop, settings.socket_options, settings.deadlines.connect, self._own_address(plan.source))
        return dial

    def _own_address(self, source: Workload) -> str | None:
        """Whom the other side shall see: the workload, not its node (what a proxy inside the pod would give)."""
        if self.src[0] in source.workload_ips:
            return self.context.source_address(self.src[0])
        family = ":" in self.src[0]
        own = next((ip for ip in source.workload_ips if (":" in ip) == family), None)
        return None if own is None else self.context.source_address(own)

    def _open(self, peer: Peer) -> None:
        """There is room on `peer`: ask for the tunnel."""
        if self.is_closed:
            return
        try:
            stream = peer.engine.open_tunnel(self._block)
        except ConnectionClosing as error:
            self._failed(error)
            return
        self._peer, self._stream = peer, stream
        stream.owner = self
        context = self.context
        context.reactor.touch(peer)
        self._timer = context.reactor.wheel.after(context.settings.deadlines.reply, self._no_answer)

    def tunnel_accepted(self, event: ev.TunnelAccepted) -> None:
        """200: bytes may flow."""
        peer, stream = self._peer, self._stream
        assert peer is not None and stream is not None and self._timer is not None  # noqa: PT018
        self._timer.cancel()
        relay = Relay(peer, stream, self._sock, self._flowed, lenient=self.context.settings.lenient_resets)
        self.flow = relay
        relay.start()

    def tunnel_refused(self, status: int) -> None:
        """Any other answer."""
        self._failed(TunnelRefused(status, _REASONS.get(status, "")))

    def tunnel_reset(self, event: ev.TunnelReset) -> None:
        """Reset before the answer."""
        self._failed(StreamReset(event.code, by_peer=event.by_peer))

    def tunnel_lost(self, error: HboneError) -> None:
        """The connection went before the answer."""
        self._failed(error)

    def tunnel_ended(self) -> None:
        """The peer ends before it has answered anything: wait for the answer."""

    def tunnel_writable(self) -> None:
        """Nothing is sent before the 200."""

    def _no_answer(self) -> None:
        if self._peer is not None and self._stream is not None and not self.is_closed:
            self._stream.owner = None
            self._peer.engine.reset(self._stream, ErrorCode.CANCEL)
            self.context.reactor.touch(self._peer)
            self._failed(ConnectReplyTimeout("no answer to CONNECT in time"))

    # Plain TCP ---------------------------------------------------------------

    def _direct(self, source: Workload, route: Direct) -> None:
        context = self.context
        self.workload = source
        parties = context.parties
        facts = ConnectionFacts(
            "source",
            parties.of(source),
            None if route.workload is None else parties.of(route.workload),
            None if route.service is None else ServiceFacts.of_service(route.service),
        )
        self.opened(facts, route.next_hop, None)
        sock = outgoing_socket(route.next_hop, context.settings.socket_options, self._own_address(source))
        self.connecting = Connecting(context.reactor, sock, route.next_hop, self)
        self.connecting.start(context.settings.deadlines.connect)

    def connected(self, sock: socket.socket) -> None:
        """TCP is up: join the two."""
        splice = Splice(self.context.reactor, self._sock, sock, self._flowed)
        self.flow = splice
        splice.start()

    def connect_failed(self, error: HboneError) -> None:
        """TCP is not."""
        self._failed(error)

    # The end ---------------------------------------------------------------

    def _flowed(self, flow: Relay | Splice, error: HboneError | None) -> None:
        self.context.metrics.traffic.sockets.source -= 1
        self.closed(error)

    def _failed(self, error: HboneError) -> None:
        """It never came to carrying bytes: the application's connection is reset."""
        if self.is_closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._drop()
        self.closed(error)

    def _refuse(self, error: HboneError) -> None:
        if self.facts is not None:
            self._failed(error)
            return
        self._drop()
        self.refused(error)

    def _drop(self) -> None:
        self.context.metrics.traffic.sockets.source -= 1
        reset(self._sock)

    def cut(self, error: HboneError) -> None:
        """End it now."""
        if isinstance(self.flow, Relay):
            self.flow.cut(error, ErrorCode.CANCEL)
        elif isinstance(self.flow, Splice):
            self.flow.finish(error)
        else:
            if self.connecting is not None:
                self.connecting.cancel()
            if self._peer is not None and self._stream is not None:
                self._stream.owner = None
                self._peer.engine.reset(self._stream, ErrorCode.CANCEL)
                self.context.reactor.touch(self._peer)
            self._failed(error)


_REASONS = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 503: "Service Unavailable"}
