"""15008: mutual TLS ended, each CONNECT understood, judged, and carried to the workload (hbone-dataplane 3)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hbone_py.aio.peer import Peer
from hbone_py.aio.relay import Relay
from hbone_py.aio.tcp import Connecting, Listener, SocketAddress, canonical, outgoing_socket, reset, show
from hbone_py.aio.transport import TcpTransport
from hbone_py.baggage import parse_baggage
from hbone_py.connect import parse_forwarded_host
from hbone_py.errors import ConnectionFailed, ConnectionLost, ErrorCode, HboneError, StreamReset
from hbone_py.header_blocks import STATUS_200
from hbone_py.tls.verify import verify_inbound
from mesh_py.discovery.inbound import find_inbound_upstream, guess_service, parse_authority, validate_destination
from mesh_py.model.address import parse_ip
from mesh_py.model.errors import MeshError, PolicyChanged, PolicyDenied
from mesh_py.policy.match import ConnectionFacts as PolicyFacts
from mesh_py.policy.rbac import authorize
from mesh_py.telemetry.facts import ConnectionFacts, Party, ServiceFacts
from ztunnel_py.connections import Connection
from ztunnel_py.context import NotOurWorkload
from ztunnel_py.plans import Plans

if TYPE_CHECKING:
    import socket

    from hbone_py import events as ev
    from hbone_py.connect import ConnectRequest
    from hbone_py.streams import Stream
    from mesh_py.discovery.inbound import InboundUpstream
    from mesh_py.model.workload import Workload
    from mesh_py.policy.rbac import Verdict
    from ztunnel_py.context import ProxyContext

log = logging.getLogger("inbound")


class NotYetServed(MeshError):
    """The workload wants something of its proxy that this one does not do."""


@dataclass(frozen=True, slots=True)
class InboundPlan:
    """What is decided about tunnels of one connection that ask for the same."""

    workload: Workload
    upstream: InboundUpstream
    facts: ConnectionFacts
    policy_facts: PolicyFacts
    verdict: Verdict
    answer: bytes
    """The header block of the 200."""


class Inbound:
    """Accepts HBONE connections for every workload of this proxy."""

    def __init__(self, context: ProxyContext) -> None:
        self.context = context
        self.peers: set[InboundPeer] = set()

    def listen(self, sock: socket.socket) -> Listener:
        """Accept on a bound socket."""
        return Listener(self.context.reactor, sock, self.accepted)

    def accepted(self, sock: socket.socket, client: SocketAddress) -> None:
        """Somebody dialled a workload's 15008."""
        context = self.context
        local = canonical(sock.getsockname())
        try:
            workload = context.destination_workload(local)
            if workload is None:
                raise NotOurWorkload(f"unknown destination: no workload of this proxy has the address {local[0]}")
            _, server, credentials = context.certificates.contexts_for(workload.identity)
        except HboneError as error:
            sock.close()
            context.access.failed("destination", show(client), show(local), str(error))
            return
        except OSError:
            sock.close()
            return
        owner = InboundPeer(self, client, local)
        own = credentials.identity
        settings = context.settings
        owner.peer = Peer(
            context.reactor,
            TcpTransport(context.reactor, sock, client),
            server,
            owner,
            check=lambda found: verify_inbound(found, None if own is None else own.trust_domain),
            config=settings.http2,
            deadlines=settings.deadlines,
            keepalive=settings.keepalive,
        )
        self.peers.add(owner)
        context.metrics.traffic.sockets.destination += 1
        owner.peer.start()

    def drain(self) -> None:
        """Say GOAWAY to every client; open tunnels go on."""
        for owner in list(self.peers):
            owner.peer.drain()
            owner.close_when_idle()

    def close(self) -> None:
        """End every connection now."""
        for owner in list(self.peers):
            owner.peer.close()


class InboundPeer:
    """One HBONE connection to one workload (PeerOwner)."""

    __slots__ = ("client", "inbound", "local", "peer", "plans")

    def __init__(self, inbound: Inbound, client: SocketAddress, local: SocketAddress) -> None:
        self.inbound, self.client, self.local = inbound, client, local
        self.plans: Plans[InboundPlan] = Plans(inbound.context.state, kept=64)
        self.peer: Peer

    def peer_up(self, peer: Peer) -> None:
        """A client is there."""

    def peer_draining(self, peer: Peer) -> None:
        """It says GOAWAY; its tunnels go on."""

    def peer_closed(self, peer: Peer, error: HboneError | None) -> None:
        """It is gone, or was never let in."""
        context = self.inbound.context
        self.inbound.peers.discard(self)
        context.metrics.traffic.sockets.destination -= 1
        if not peer.is_up and error is not None:
            context.access.failed("destination", show(self.client), show(self.local), f"tls handshake error: {error}")

    def tunnel_requested(self, peer: Peer, event: ev.TunnelRequested) -> None:
        """A CONNECT."""
        InboundTunnel(self, event).begin(event)

    def close_when_idle(self) -> None:
        """Draining: end the connection once no tunnel is left."""

        def look() -> None:
            if not self.peer.is_closed:
                if self.peer.engine.streams:
                    self.inbound.context.reactor.wheel.after(0.25, look)
                else:
                    self.peer.close()

        self.inbound.context.reactor.wheel.after(0.25, look)


class InboundTunnel(Connection):
    """One CONNECT, from its headers to its end."""

    __slots__ = ("_connecting", "_owner", "_peer", "_plan", "_stream")

    reporter = "destination"
    client_sends = "received"

    def __init__(self, owner: InboundPeer, event: ev.TunnelRequested) -> None:
        super().__init__(owner.inbound.context, owner.client)
        self.dst = owner.local
        self._owner = owner
        self._peer = owner.peer
        self._stream: Stream = event.stream
        self._stream.owner = self
        self._connecting: Connecting | None = None
        self._plan: InboundPlan

    def begin(self, event: ev.TunnelRequested) -> None:
        """Steps 2 to 8 of 3.2: every refusal before the tunnel is a status."""
        request, plans = event.request, self._owner.plans
        headers = dict(request.headers)
        service = headers.get(b"forwarded", b"").partition(b";")[2]
        key = (request.authority, service, headers.get(b"baggage"), headers.get(b"x-forwarded-network"))
        plan = plans.get(key)
        if plan is None:
            try:
                plan = self._decide(request)
            except HboneError as error:
                self._stream.owner = None
                self._peer.engine.reject_tunnel(self._stream, error.status)
                self.refused(error)
                return
            if len(headers) == len(request.headers):  # else a doubled header is not in the key
                plans.put(key, plan)
        self._plan, self.workload = plan, plan.workload
        self.opened(plan.facts, self._owner.local, request.authority)
        if plan.verdict.missing:
            context = self.context
            context.when(lambda: not self.verdict().missing, context.settings.policy_wait, lambda _: self._judged())
        else:
            self._act(plan.verdict)

    def _decide(self, request: ConnectRequest) -> InboundPlan:
        context, owner = self.context, self._owner
        workload = context.destination_workload(owner.local)
        if workload is None:
            raise NotOurWorkload("local workload information is not available")
        authority = parse_authority(request.authority)
        local_ip = parse_ip(owner.local[0])
        validate_destination(context.state, local_ip, workload, authority)
        if workload.application_tunnel is not None:
            raise NotYetServed("application tunnels are not supported yet")
        upstream = find_inbound_upstream(context.state, local_ip, workload, authority, context.illegal_ports)
        policy_facts = PolicyFacts(parse_ip(owner.client[0]), local_ip, upstream.address[1], self._peer.identity)
        return InboundPlan(
            workload=workload,
            upstream=upstream,
            facts=self._facts(request, workload, upstream),
            policy_facts=policy_facts,
            verdict=authorize(context.state.policies.applicable(workload), policy_facts),
            answer=STATUS_200 + context.response_headers(workload),
        )

    def _facts(self, request: ConnectRequest, workload: Workload, upstream: InboundUpstream) -> ConnectionFacts:
        context = self.context
        host = parse_forwarded_host(request.get(b"forwarded"))
        service = guess_service(upstream.services, workload, upstream.address[1], host)
        identity = self._peer.identity
        return ConnectionFacts(
            "destination",
            self._source(request),
            context.parties.of(workload),
            None if service is None else ServiceFacts.of_service(service),
            True,
            "" if identity is None else str(identity),
        )

    def _source(self, request: ConnectRequest) -> Party | None:
        """Whom the mesh knows at the source address, else what the request says of itself (7.4)."""
        context = self.context
        network = request.get(b"x-forwarded-network")
        foreign = network is not None and network.decode("latin-1").lower() != context.settings.network.lower()
        if not foreign:
            known = context.state.workloads.at(context.settings.network, parse_ip(self.src[0]))
            if known is not None:
                return context.parties.of(known)
        if not context.settings.response_baggage:
            return None
        claimed = parse_baggage(request.all(b"baggage"))
        return None if claimed is None else context.parties.claimed(claimed)

    def _judged(self) -> None:
        if not self.is_closed:
            self._act(self.verdict())

    def verdict(self) -> Verdict:
        """What policy says now."""
        assert self.workload is not None, "judged after it was found"
        return authorize(self.context.state.policies.applicable(self.workload), self._plan.policy_facts)

    def recheck(self) -> None:
        """Policy may have changed: an open connection it no longer allows ends (3.8)."""
        current = self.context.destination_workload(self._owner.local)
        if current is not None:
            self.workload = current
        if self.flow is not None and not self.verdict().allowed:
            log.info("connection %s closed because it's no longer allowed after a policy update", show(self.src))
            self.cut(PolicyChanged())

    def _act(self, verdict: Verdict) -> None:
        if not verdict.allowed:
            self._reject(PolicyDenied(verdict.reason))
            return
        context = self.context
        source = context.source_address(self.src[0])
        address = self._plan.upstream.address
        try:
            sock = outgoing_socket(address, context.settings.socket_options, source)
        except OSError as error:
            self._reject(ConnectionFailed(f"connection failed: {error.strerror}"))
            return
        self._connecting = Connecting(context.reactor, sock, address, self)
        self._connecting.start(context.settings.deadlines.connect)

    def connected(self, sock: socket.socket) -> None:
        """The application answered: only now comes the 200."""
        self._connecting = None
        if self.is_closed:
            reset(sock)
            return
        context = self.context
        self._peer.engine.accept_tunnel(self._stream, self._plan.answer)
        context.reactor.touch(self._peer)
        relay = Relay(self._peer, self._stream, sock, self._flowed, lenient=context.settings.lenient_resets)
        self.flow = relay
        self._stream.owner = relay
        relay.start()

    def connect_failed(self, error: HboneError) -> None:
        """The application did not."""
        self._connecting = None
        self._reject(error)

    def _reject(self, error: HboneError) -> None:
        if self.is_closed:
            return
        self._stream.owner = None
        self._peer.engine.reject_tunnel(self._stream, error.status)
        self.context.reactor.touch(self._peer)
        self.closed(error)

    def _flowed(self, flow: Relay, error: HboneError | None) -> None:
        self.closed(error)

    def cut(self, error: HboneError) -> None:
        """End it now: RST_STREAM(CANCEL) to the client, a reset to the application."""
        if isinstance(self.flow, Relay):
            self.flow.cut(error, ErrorCode.CANCEL)
            return
        self._forget_connecting()
        self._reject(error)

    # TunnelDriver, until the relay takes over

    def tunnel_accepted(self, event: ev.TunnelAccepted) -> None:
        """Clients accept nothing."""

    def tunnel_refused(self, status: int) -> None:
        """Clients refuse nothing."""

    def tunnel_ended(self) -> None:
        """The client has said all already: the relay will see it."""

    def tunnel_reset(self, event: ev.TunnelReset) -> None:
        """The client changed its mind."""
        self._forget_connecting()
        self.closed(StreamReset(event.code, by_peer=event.by_peer))

    def tunnel_lost(self, error: HboneError) -> None:
        """The client is gone."""
        self._forget_connecting()
        self.closed(ConnectionLost(str(error)))

    def tunnel_writable(self) -> None:
        """Nothing is sent before the 200."""

    def _forget_connecting(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
