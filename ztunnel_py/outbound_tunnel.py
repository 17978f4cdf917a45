"""An outbound connection in a tunnel of its own: a pooled peer, CONNECT, the 200, a relay (hbone-dataplane 2)."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from hbone_py.aio.client import Dial, expecting
from hbone_py.aio.first_bytes import FirstBytes
from hbone_py.aio.relay import Relay
from hbone_py.aio.tcp import show
from hbone_py.errors import (
    ConnectionClosing,
    ConnectReplyTimeout,
    ConnectTimeout,
    ErrorCode,
    HboneError,
    StreamReset,
    TunnelRefused,
)
from hbone_py.header_blocks import connect_block, literal
from mesh_py.identity.certificates import CertificatePending
from mesh_py.telemetry.facts import ConnectionFacts, ServiceFacts
from mesh_py.telemetry.own_baggage import baggage_of
from ztunnel_py.certificate_wait import CertificateFirst
from ztunnel_py.kind import Kind
from ztunnel_py.outbound_connection import OutboundConnection
from ztunnel_py.peers import make_peer
from ztunnel_py.tunnel_spans import begin_outbound

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py import events as ev
    from hbone_py.aio.owners import PeerOwner
    from hbone_py.aio.peer import Peer
    from hbone_py.aio.pool import Attempt, Pool
    from hbone_py.aio.tcp import SocketAddress
    from hbone_py.aio.transport import Transport
    from hbone_py.aio.wheel import Timer
    from hbone_py.identity import SpiffeId
    from hbone_py.streams import Stream
    from mesh_py.model.route import Tunnel
    from mesh_py.model.workload import Service, Workload
    from ztunnel_py.context import ProxyContext

_TRIES = 2
"""How often a tunnel is asked for where the peer says it has not looked at the request (RFC 9113 8.7)."""


class OpeningFailed(HboneError):
    """HTTP/2 failed us between the peer being up and its answer (2.9)."""

    flag = "H2_HANDSHAKE_FAILURE"
    blame = "peer"

    def __init__(self, error: HboneError) -> None:
        super().__init__(f"h2 failed: {error}")


class TunnelPlan:
    """What is decided about connections of one client to one destination, and prepared for the next of them."""

    __slots__ = (
        "authority",
        "block",
        "expect",
        "forwarded_tail",
        "is_inside",
        "kind",
        "next_hop",
        "pool_key",
        "source",
    )

    def __init__(
        self,
        *,
        source: Workload,
        next_hop: SocketAddress,
        authority: str,
        expect: tuple[SpiffeId, ...],
        kind: Kind,
        pool_key: str,
        block: bytes,
        forwarded_tail: str,
        is_inside: bool = False,
    ) -> None:
        self.source = source
        self.next_hop = next_hop
        self.authority = authority
        self.expect = expect
        self.kind = kind
        self.pool_key = pool_key
        self.block = block
        """The CONNECT's header block as far as it is always the same: method, authority, baggage."""
        self.forwarded_tail = forwarded_tail
        """The end of the `forwarded` value: the service the client meant."""
        self.is_inside = is_inside
        """It ends in this process (`SAME_NODE_INSIDE`)."""

    def carry(
        self,
        context: ProxyContext,
        pool: Pool,
        sock: socket.socket,
        client: SocketAddress,
        destination: SocketAddress,
    ) -> None:
        """Bring one connection there."""
        TunnelConnection(context, pool, self, sock, client, destination).start()

    @staticmethod
    def make(context: ProxyContext, source: Workload, route: Tunnel, client: str) -> TunnelPlan:
        """Prepare for connections of `client`, an address of `source`."""
        return TunnelPlan(
            source=source,
            next_hop=route.next_hop,
            authority=route.authority,
            expect=route.expect,
            kind=Kind(facts_of(context, source, route.workload, route.service), route.next_hop, route.authority),
            pool_key=pool_key(source, route.expect, route.next_hop, client),
            block=request_block(source, route.authority),
            forwarded_tail=forwarded_tail(route.service),
            is_inside=context.stays_inside(route.workload),
        )


def pool_key(source: Workload, expect: tuple[SpiffeId, ...], next_hop: SocketAddress, client: str) -> str:
    """Equal for those who may share a connection. A text: it remembers its hash, as a tuple does not."""
    return repr((str(source.identity), [str(one) for one in expect], next_hop, client))


def facts_of(context: ProxyContext, source: Workload, there: Workload, service: Service | None) -> ConnectionFacts:
    """A tunnel's two ends, for telemetry."""
    parties = context.parties
    meant = None if service is None else ServiceFacts.of_service(service)
    return ConnectionFacts("source", parties.of(source), parties.of(there), meant, True, str(source.identity))


def request_block(source: Workload, authority: str) -> bytes:
    """A CONNECT as far as all of a source's are the same (1.4)."""
    return connect_block(authority.encode("ascii"), literal(b"baggage", str(baggage_of(source)).encode()))


def forwarded_tail(service: Service | None) -> str:
    """The service the client meant, as `forwarded` ends with it (1.4)."""
    return "" if service is None else f";host={service.hostname}"


def peer_maker(
    context: ProxyContext, source: Workload, expect: tuple[SpiffeId, ...], owner: PeerOwner
) -> Callable[[Transport], Peer]:
    """What makes a peer of `source` over a transport. Raises CertificateUnavailable when we have nothing to show."""
    contexts = context.certificates.contexts_for(source.identity)
    return lambda transport: make_peer(context, transport, contexts, owner, expecting(expect), "source")


class TunnelConnection(OutboundConnection):
    """Drives its stream until the 200, then a `Relay` does."""

    __slots__ = ("_asked", "_block", "_first", "_peer", "_plan", "_pool", "_stream", "_timer")

    def __init__(
        self,
        context: ProxyContext,
        pool: Pool,
        plan: TunnelPlan,
        sock: socket.socket,
        client: SocketAddress,
        destination: SocketAddress,
    ) -> None:
        super().__init__(context, sock, client, destination)
        self._pool, self._plan = pool, plan
        self._block = b""
        self._asked = 0
        self._first: FirstBytes | None = None
        self._peer: Peer | None = None
        self._stream: Stream | None = None
        self._timer: Timer | None = None

    def _begin(self) -> None:
        plan = self._plan
        self.workload = plan.source
        self.opened(plan.kind)
        self._block = plan.block + self._tail_of(plan)
        self._find_peer()

    def _tail_of(self, plan: TunnelPlan) -> bytes:
        """The headers that are this tunnel's own."""
        trace, tracer = "", self.context.tracer
        if tracer is not None:
            self.span, trace = begin_outbound(tracer)
        return self.context.forwarded_and_trace(self.src_text, plan.forwarded_tail, trace)

    def _find_peer(self) -> None:
        """The common case is a plain call; else somebody connects, and we hear of it."""
        key = self._plan.pool_key
        peer = self._pool.checkout(key)
        if peer is not None:
            self._ask(peer)
        else:
            self._pool.request(key, self._dial, self._ask, self.failed)

    def _dial(self, owner: PeerOwner) -> Attempt:
        """Begin a connection to the next hop, once our certificate is here.

        Raises CertificateUnavailable when there is none to be had.
        """
        try:
            return self._dial_now(owner)
        except CertificatePending as pending:
            return CertificateFirst(
                self.context,
                pending.identity,
                lambda: self._dial_now(owner),
                lambda error: owner.peer_closed(None, error),  # type: ignore[arg-type]
            )

    def _dial_now(self, owner: PeerOwner) -> Attempt:
        context, plan = self.context, self._plan
        settings = context.settings
        make = peer_maker(context, plan.source, plan.expect, owner)

        def failed(error: HboneError) -> None:
            if isinstance(error, ConnectTimeout):
                text = "connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008"
                error = ConnectTimeout(f"{text}: {show(plan.next_hop)}")
            owner.peer_closed(None, error)  # type: ignore[arg-type]

        dial = Dial(context.reactor, make, failed)
        if plan.is_inside:
            dial.take(self._inside(), plan.next_hop)
            return dial
        own_address = context.own_address(plan.source, self.src[0], plan.next_hop[0])
        dial.start(plan.next_hop, context.socket_options, settings.deadlines.connect, own_address)
        return dial

    def _inside(self) -> socket.socket:
        """One end of a connection whose other end our own inbound side serves, as if the client had dialled it."""
        take, plan = self.context.inside, self._plan
        assert take is not None  # or no plan would stay inside
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        take(theirs, self.src, plan.next_hop)
        return ours

    def _ask(self, peer: Peer) -> None:
        """There is room on `peer`: ask for the tunnel."""
        if self.is_closed:
            return
        try:
            stream = peer.engine.open_tunnel(self._block)
        except ConnectionClosing as error:
            self.failed(OpeningFailed(error))
            return
        self._asked += 1
        self._peer, self._stream = peer, stream
        stream.owner = self
        reactor = self.context.reactor
        reactor.touch(peer)
        self._timer = reactor.wheel.after(self.context.settings.deadlines.reply, self._no_answer)
        if self._may_speak():
            self._first = FirstBytes(peer, stream, self._sock)
            self._first.hear()

    def _may_speak(self) -> bool:
        """Whether the application's bytes may follow the CONNECT at once."""
        return self.context.settings.first_bytes

    def tunnel_accepted(self, event: ev.TunnelAccepted) -> None:
        """200: bytes may flow."""
        peer, stream = self._peer, self._stream
        assert peer is not None and stream is not None and self._timer is not None  # noqa: PT018
        self._timer.cancel()
        first, self._first = self._first, None
        relay = Relay(peer, stream, self._sock, self._flowed, lenient=self.context.settings.lenient_resets)
        self.flow = relay
        if first is None:
            relay.start()
        else:
            relay.received = first.heard
            relay.start(first.hand_on(), first.broken)

    def tunnel_refused(self, status: int) -> None:
        """Any other answer."""
        self.failed(TunnelRefused(status))

    def tunnel_reset(self, event: ev.TunnelReset) -> None:
        """Reset before the answer. REFUSED_STREAM says that nothing was done about the request: it may be repeated."""
        self._forget_request()
        if event.code == ErrorCode.REFUSED_STREAM and self._asked < _TRIES:
            self._find_peer()
        else:
            self.failed(OpeningFailed(StreamReset(event.code, by_peer=event.by_peer)))

    def tunnel_lost(self, error: HboneError) -> None:
        """The connection went before the answer, or never came up."""
        is_up = self._peer is not None and self._peer.is_up
        self.failed(OpeningFailed(error) if is_up else error)

    def _no_answer(self) -> None:
        self._withdraw()
        self.failed(ConnectReplyTimeout("no answer to CONNECT in time"))

    def failed(self, error: HboneError) -> None:
        """See `OutboundConnection`."""
        self._forget_request()
        super().failed(error)

    def _forget_request(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._first is not None:
            self._first.stop()
        self._peer = self._stream = self._timer = self._first = None

    def _withdraw(self) -> None:
        """We want no answer any more."""
        if self._peer is not None and self._stream is not None:
            self._stream.owner = None
            self._peer.engine.reset(self._stream, ErrorCode.CANCEL)
            self.context.reactor.touch(self._peer)

    def cut(self, error: HboneError) -> None:
        """End it now."""
        if isinstance(self.flow, Relay):
            self.flow.cut(error, ErrorCode.CANCEL)
        else:
            self._withdraw()
            self.failed(error)
