"""An outbound connection in a tunnel in a tunnel: through the gateway of another network (hbone-dataplane 2.8).

The outer tunnel goes to the gateway over a pooled peer, as any other. Inside it runs one TLS connection for this
application connection alone, with one CONNECT on it; who answers there is the destination that is logged and counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.aio.transport import TunnelTransport
from hbone_py.baggage import Baggage, parse_baggage
from hbone_py.errors import ConnectionLost, ErrorCode, HboneError, StreamReset
from hbone_py.header_blocks import literal
from ztunnel_py.kind import Kind
from ztunnel_py.outbound_tunnel import (
    OpeningFailed,
    TunnelConnection,
    TunnelPlan,
    facts_of,
    forwarded_tail,
    peer_maker,
    pool_key,
    request_block,
)

if TYPE_CHECKING:
    import socket

    from hbone_py import events as ev
    from hbone_py.aio.peer import Peer
    from hbone_py.aio.pool import Pool
    from hbone_py.aio.relay import Relay
    from hbone_py.aio.splice import Splice
    from hbone_py.aio.tcp import SocketAddress
    from hbone_py.identity import SpiffeId
    from mesh_py.admin.config_dump import ConnectionProtocol
    from mesh_py.model.route import NestedTunnel
    from mesh_py.model.workload import Workload
    from ztunnel_py.context import ProxyContext


class NestedPlan(TunnelPlan):
    """The outer tunnel's plan, and what the inner one adds. `kind` names the gateway until the inner answer."""

    __slots__ = ("inner_block", "inner_expect")

    def __init__(
        self,
        *,
        source: Workload,
        next_hop: SocketAddress,
        authority: str,
        outer_expect: tuple[SpiffeId, ...],
        inner_expect: tuple[SpiffeId, ...],
        kind: Kind,
        pool_key: str,
        block: bytes,
        inner_block: bytes,
        forwarded_tail: str,
    ) -> None:
        super().__init__(
            source=source,
            next_hop=next_hop,
            authority=authority,
            expect=outer_expect,
            kind=kind,
            pool_key=pool_key,
            block=block,
            forwarded_tail=forwarded_tail,
        )
        self.inner_expect = inner_expect
        """Who may be behind the gateway; empty matches nobody."""
        self.inner_block = inner_block

    def carry(
        self,
        context: ProxyContext,
        pool: Pool,
        sock: socket.socket,
        client: SocketAddress,
        destination: SocketAddress,
    ) -> None:
        """Bring one connection there."""
        NestedConnection(context, pool, self, sock, client, destination).start()

    @staticmethod
    def make_nested(context: ProxyContext, source: Workload, route: NestedTunnel, client: str) -> NestedPlan:
        """Prepare for connections of `client`, an address of `source`."""
        block = request_block(source, route.authority)
        return NestedPlan(
            source=source,
            next_hop=route.next_hop,
            authority=route.authority,
            outer_expect=route.outer_expect,
            kind=Kind(facts_of(context, source, route.workload, route.service), route.next_hop, route.authority),
            pool_key=pool_key(source, route.outer_expect, route.next_hop, client),
            block=block,
            forwarded_tail=forwarded_tail(route.service),
            inner_expect=route.inner_expect,
            inner_block=block + literal(b"x-forwarded-network", context.settings.network.encode("ascii", "replace")),
        )


class NestedConnection(TunnelConnection):
    """Asks the gateway, then whoever is behind it; owns the inner peer (PeerOwner)."""

    __slots__ = ("_inner", "_nested", "_tail")

    def __init__(
        self,
        context: ProxyContext,
        pool: Pool,
        plan: NestedPlan,
        sock: socket.socket,
        client: SocketAddress,
        destination: SocketAddress,
    ) -> None:
        super().__init__(context, pool, plan, sock, client, destination)
        self._nested = plan
        self._inner: Peer | None = None
        self._tail = self._tail_of(plan)

    def _begin(self) -> None:
        """It counts as opened once it is known who is behind the gateway, or that nobody is."""
        plan = self._nested
        self.workload, self.dst, self.hbone_addr = plan.source, plan.next_hop, plan.authority
        self.context.connections.live.add(self)
        self._block = plan.block + self._tail
        self._find_peer()

    def _find_peer(self) -> None:
        """Behind the gateway there is one peer and no other."""
        if self._inner is None:
            super()._find_peer()
        else:
            self.failed(OpeningFailed(StreamReset(ErrorCode.REFUSED_STREAM)))

    def _may_speak(self) -> bool:
        """What the application says is for whoever is behind the gateway."""
        return self._inner is not None and super()._may_speak()

    def tunnel_accepted(self, event: ev.TunnelAccepted) -> None:
        """The gateway's 200, then the destination's."""
        if self._inner is None:
            self._start_inner()
        else:
            self.opened(self._kind_of_answer(self._inner, event))
            super().tunnel_accepted(event)

    def _start_inner(self) -> None:
        """Both tunnels carry the same trace; only the inner one says which network it comes from (1.4)."""
        plan, peer, stream = self._nested, self._peer, self._stream
        assert peer is not None and stream is not None  # noqa: PT018
        self._forget_request()
        self._block = plan.inner_block + self._tail
        transport = TunnelTransport(peer, stream)
        try:
            self._inner = peer_maker(self.context, plan.source, plan.inner_expect, self)(transport)
        except HboneError as error:
            transport.close()
            self.failed(error)
            return
        self._inner.start()

    def _kind_of_answer(self, inner: Peer, event: ev.TunnelAccepted) -> Kind:
        """The destination is who the inner peer proved to be, with what it says of itself (2.8)."""
        claimed = parse_baggage([value for name, value in event.headers if name == b"baggage"]) or Baggage()
        party = self.context.parties.claimed(claimed, str(inner.identity or ""))
        gateways = self._nested.kind
        return Kind(gateways.facts._replace(destination=party), gateways.dst, gateways.hbone_addr)

    def failed(self, error: HboneError) -> None:
        """See `OutboundConnection`."""
        if self.is_closed:
            return
        if self.kind is None:
            self.opened(self._nested.kind)
        super().failed(error)
        self._close_inner()

    def _flowed(self, flow: Relay | Splice, error: HboneError | None) -> None:
        super()._flowed(flow, error)
        self._close_inner()

    def _close_inner(self) -> None:
        """With it ends the outer tunnel, once all that was said is read; the connection to the gateway stays pooled."""
        if self._inner is not None:
            self._inner.farewell()

    @property
    def protocol(self) -> ConnectionProtocol:
        """How the two proxies speak."""
        return "DOUBLEHBONE"

    # PeerOwner of the inner peer

    def peer_secured(self, peer: Peer) -> None:
        """The tunnel is asked for once its SETTINGS are here."""

    def peer_up(self, peer: Peer) -> None:
        """Whoever we expect is behind the gateway: ask for the tunnel."""
        self._ask(peer)

    def peer_closed(self, peer: Peer, error: HboneError | None) -> None:
        """It never came up, or is lost; what it carried has been told already."""
        if self.flow is None:
            self.failed(error or ConnectionLost("the connection behind the gateway closed"))

    def peer_draining(self, peer: Peer) -> None:
        """It carries one tunnel and no other."""

    def tunnel_requested(self, peer: Peer, event: ev.TunnelRequested) -> None:
        """Servers open no tunnels."""

    def request_refused(self, peer: Peer, event: ev.RequestRefused) -> None:
        """Clients are asked for nothing."""
