"""15008: connections with mutual TLS, and the tunnels they ask for (hbone-dataplane 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hbone_py.aio.tcp import Listener, SocketAddress, canonical, reset, show, unacknowledged
from hbone_py.aio.transport import TcpTransport
from hbone_py.errors import HboneError, TlsError, TlsTimeout
from hbone_py.tls.verify import verify_inbound
from mesh_py.capture.strangers import MOST, Strangers, TooManyStrangers
from mesh_py.identity.certificates import CertificatePending
from mesh_py.process.file_limit import share_of_files
from ztunnel_py.certificate_wait import wait_for_certificate
from ztunnel_py.held import Held
from ztunnel_py.inbound_tunnel import InboundTunnel
from ztunnel_py.peers import make_peer
from ztunnel_py.plans import Plans

if TYPE_CHECKING:
    import socket

    from hbone_py import events as ev
    from hbone_py.aio.peer import Peer
    from mesh_py.capture.strangers import Stranger
    from mesh_py.identity.certificates import Contexts
    from ztunnel_py.context import ProxyContext
    from ztunnel_py.inbound_plan import InboundPlan
    from ztunnel_py.inbound_share import InboundShare

_PLANS_A_PEER = 64
_LOOK_SECONDS = 0.25
"""Between looks whether a connection that is being drained has become idle."""


def has_unsent(peer: Peer) -> bool:
    """Whether anything we have said is not with the other side's kernel yet: closing now could lose it."""
    transport = peer.transport
    if not peer.tls.handshake_done:
        return False  # nothing was promised to anybody
    if peer.is_stalled or peer.engine.queued_bytes:
        return True
    return isinstance(transport, TcpTransport) and transport.sock.fileno() >= 0 and unacknowledged(transport.sock) > 0


class Arrival(NamedTuple):
    """A connection that has come, before it is decided what becomes of it."""

    sock: socket.socket
    client: SocketAddress
    local: SocketAddress
    place: Stranger


class Inbound:
    """Accepts HBONE connections for every workload of this proxy."""

    def __init__(self, context: ProxyContext) -> None:
        self.context = context
        self.peers: set[InboundPeer] = set()
        self.strangers = Strangers(share_of_files(MOST))
        """Those who have not proved yet who they are."""
        self.share: InboundShare | None = None
        """Where several workers serve the same port: who of them takes which connection."""

    def listen(self, sock: socket.socket) -> Listener:
        """Accept on a bound socket."""
        return Listener(self.context.reactor, sock, self.accepted)

    def accepted(self, sock: socket.socket, client: SocketAddress) -> None:
        """Somebody dialled a workload's 15008."""
        if self.share is None or not self.share.give(sock):
            self.take(sock, client, canonical(sock.getsockname()))

    def take(self, sock: socket.socket, client: SocketAddress, local: SocketAddress) -> None:
        """Serve a connection of `client` to `local`, whose workload discovery may still bring: that is waited for."""
        context = self.context
        place = self.strangers.admit(client[0], context.reactor.wheel.now)
        if place is None:
            reset(sock)
            self._failed(client, local, TooManyStrangers(client[0]))
            return
        arrival = Arrival(sock, client, local, place)
        if not context.may_grow or context.destination_workload(local) is not None:
            self._serve(arrival)
            return
        held = self._hold(arrival)
        context.when(
            lambda: context.destination_workload(local) is not None,
            context.settings.state_wait,
            lambda _: held.go_on(lambda: self._serve(arrival)),
        )

    def _serve(self, arrival: Arrival) -> None:
        try:
            contexts = self._contexts(arrival.local)
        except CertificatePending as pending:
            self._wait(arrival, pending)
            return
        except HboneError as error:
            self._refuse(arrival, error)
            return
        owner = InboundPeer(self, arrival)
        owner.peer = self._peer(owner, arrival.sock, contexts)
        arrival.place.cut = owner.peer.close
        self.peers.add(owner)
        self._count()
        self.context.metrics.traffic.sockets.destination += 1
        owner.peer.start()

    def _wait(self, arrival: Arrival, pending: CertificatePending) -> None:
        """Nobody can be answered in the workload's name before its certificate is here."""
        held = self._hold(arrival)
        wait_for_certificate(
            self.context,
            pending.identity,
            lambda: held.go_on(lambda: self._serve(arrival)),
            lambda error: held.go_on(lambda: self._refuse(arrival, error)),
        )

    def _hold(self, arrival: Arrival) -> Held:
        held = Held(self.context.connections, lambda error: self._refuse(arrival, error))
        arrival.place.cut = held.cut
        return held

    def _refuse(self, arrival: Arrival, error: HboneError) -> None:
        arrival.sock.close()
        self.strangers.settled(arrival.place)
        self._failed(arrival.client, arrival.local, error)

    def _failed(self, client: SocketAddress, local: SocketAddress, error: HboneError) -> None:
        self.context.access.failed("destination", show(client), show(local), str(error))

    def _contexts(self, local: SocketAddress) -> Contexts:
        workload = self.context.destination_workload(local)
        if workload is None:
            raise self.context.no_destination(local)
        return self.context.certificates.contexts_for(workload.identity)

    def _peer(self, owner: InboundPeer, sock: socket.socket, contexts: Contexts) -> Peer:
        own = contexts.credentials.identity
        trust_domain = None if own is None else own.trust_domain
        transport = TcpTransport(self.context.reactor, sock, owner.client)
        return make_peer(
            self.context,
            transport,
            contexts,
            owner,
            lambda found: verify_inbound(found, trust_domain),
            "destination",
        )

    def forget(self, owner: InboundPeer) -> None:
        """Its connection is over."""
        self.strangers.settled(owner.place)
        self.peers.discard(owner)
        self._count()

    def _count(self) -> None:
        if self.share is not None:
            self.share.holds(len(self.peers))

    def drain(self) -> None:
        """Say GOAWAY to every client; open tunnels go on."""
        if self.share is not None:
            self.share.leave()
        for owner in list(self.peers):
            owner.peer.drain()
            owner.close_when_idle()

    def close(self) -> None:
        """End every connection now."""
        if self.share is not None:
            self.share.leave()
        for owner in list(self.peers):
            owner.peer.close()


class InboundPeer:
    """One HBONE connection to one workload (PeerOwner)."""

    __slots__ = ("client", "client_text", "inbound", "local", "peer", "place", "plans")

    def __init__(self, inbound: Inbound, arrival: Arrival) -> None:
        self.inbound, self.client, self.local = inbound, arrival.client, arrival.local
        self.place = arrival.place
        self.client_text = show(self.client)
        self.plans: Plans[InboundPlan] = Plans(inbound.context.state, kept=_PLANS_A_PEER)
        self.peer: Peer

    def peer_secured(self, peer: Peer) -> None:
        """It has proved who it is. Servers open no tunnels."""
        self.inbound.strangers.settled(self.place)

    def peer_up(self, peer: Peer) -> None:
        """A client is there."""

    def peer_draining(self, peer: Peer) -> None:
        """It says GOAWAY; its tunnels go on."""

    def peer_closed(self, peer: Peer, error: HboneError | None) -> None:
        """It is gone, or was never let in."""
        context = self.inbound.context
        self.inbound.forget(self)
        context.metrics.traffic.sockets.destination -= 1
        if not peer.is_up and error is not None:
            is_tls = isinstance(error, TlsError | TlsTimeout)
            text = f"tls handshake error: {error}" if is_tls else str(error)
            context.access.failed("destination", show(self.client), show(self.local), text)

    def tunnel_requested(self, peer: Peer, event: ev.TunnelRequested) -> None:
        """A CONNECT."""
        tunnel = InboundTunnel(self.inbound.context, peer, self.client, self.local, event.stream, self.client_text)
        tunnel.start(event.request, self.plans)

    def request_refused(self, peer: Peer, event: ev.RequestRefused) -> None:
        """What is no CONNECT, or a broken one, is answered by the engine; the log hears of it like of any other."""
        self.inbound.context.access.failed("destination", show(self.client), show(self.local), event.reason)

    def close_when_idle(self) -> None:
        """Draining: end the connection once no tunnel is left, and the client has what was sent to it."""

        def look() -> None:
            if not self.peer.is_closed:
                if self.peer.engine.streams or has_unsent(self.peer):
                    self.inbound.context.reactor.wheel.after(_LOOK_SECONDS, look)
                else:
                    self.peer.close()

        self.inbound.context.reactor.wheel.after(_LOOK_SECONDS, look)
