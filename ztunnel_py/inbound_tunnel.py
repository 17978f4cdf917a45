"""One CONNECT that reached a workload: understood, judged, carried to the application (hbone-dataplane 3.2 to 3.6)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hbone_py.aio.relay import Relay
from hbone_py.aio.tcp import SocketAddress, show
from hbone_py.baggage import parse_baggage
from hbone_py.connect import parse_forwarded_host
from hbone_py.errors import ConnectionLost, ErrorCode, HboneError, StreamReset
from hbone_py.header_blocks import STATUS_200
from hbone_py.proxy_protocol import build_preamble
from mesh_py.discovery.inbound import (
    find_inbound_upstream,
    guess_service,
    parse_authority,
    validate_destination,
)
from mesh_py.discovery.missing import missing_for_inbound
from mesh_py.model.address import parse_ip
from mesh_py.model.errors import BadAuthority, SelfCall
from mesh_py.policy.match import ConnectionFacts as PolicyFacts
from mesh_py.policy.rbac import authorize
from mesh_py.telemetry.facts import ConnectionFacts, Party, ServiceFacts
from ztunnel_py.connections import Unexpected, log
from ztunnel_py.context import NotOurWorkload
from ztunnel_py.inbound_plan import InboundPlan
from ztunnel_py.judged import JudgedConnection
from ztunnel_py.kind import Kind
from ztunnel_py.tunnel_spans import begin_inbound

if TYPE_CHECKING:
    import socket
    from collections.abc import Hashable

    from hbone_py import events as ev
    from hbone_py.aio.peer import Peer
    from hbone_py.connect import ConnectRequest
    from hbone_py.streams import Stream
    from mesh_py.discovery.inbound import InboundUpstream
    from mesh_py.model.workload import Workload
    from ztunnel_py.context import ProxyContext
    from ztunnel_py.plans import Plans

_LONGEST_KEPT = 2048
"""Bytes of headers up to which a request's plan is remembered: peers must not choose how much memory that takes."""


class InboundTunnel(JudgedConnection):
    """From its headers to its end; drives its stream until the 200, then a `Relay` does."""

    __slots__ = ("_peer", "_plan", "_stream")

    client_sends = "received"

    def __init__(
        self,
        context: ProxyContext,
        peer: Peer,
        client: SocketAddress,
        local: SocketAddress,
        stream: Stream,
        client_text: str = "",
    ) -> None:
        super().__init__(context, client, local, client_text)
        self._peer = peer
        self._stream = stream
        self._plan: InboundPlan
        stream.owner = self

    def start(self, request: ConnectRequest, plans: Plans[InboundPlan]) -> None:
        """Steps 2 to 8 of 3.2: every refusal before the tunnel is a status."""
        if self.context.may_grow:
            self.when_known(partial(self._missing, request), lambda: self._begin(request, plans))
        else:
            self._begin(request, plans)

    def _missing(self, request: ConnectRequest, workload: Workload) -> tuple[str, ...]:
        """What to ask for before the request can be judged; a broken one is refused without."""
        try:
            authority = parse_authority(request.authority)
        except BadAuthority:
            return ()
        return missing_for_inbound(self.context.state, parse_ip(self._local[0]), workload, authority)

    def _begin(self, request: ConnectRequest, plans: Plans[InboundPlan]) -> None:
        try:
            plan = self._plan_for(request, plans)
        except HboneError as error:
            self._refuse(error)
            return
        except Exception as error:  # a bug of ours ends this tunnel; its neighbours go on
            log.exception("! CONNECT %s: unexpected error", request.authority)
            self._refuse(Unexpected(error))
            return
        self._plan, self.workload, self.policy_facts = plan, plan.workload, plan.policy_facts
        self.opened(plan.kind)
        if self.context.tracer is not None:
            self.span = begin_inbound(self.context.tracer, request)
        self.judge(plan.policies, plan.verdict)

    def _refuse(self, error: HboneError) -> None:
        self._answer(error.status)
        self.refused(error)

    # Understanding ---------------------------------------------------------------

    def _plan_for(self, request: ConnectRequest, plans: Plans[InboundPlan]) -> InboundPlan:
        key = _key_of(request)
        plan = None if key is None else plans.get(key)
        if plan is None:
            plan = self._decide(request)
            if key is not None:
                plans.put(key, plan)
        return plan

    def _decide(self, request: ConnectRequest) -> InboundPlan:
        context = self.context
        workload = context.destination_workload(self._local)
        if workload is None:
            raise NotOurWorkload("local workload information is not available")
        upstream = self._upstream(request, workload)
        host = parse_forwarded_host(request.get(b"forwarded"))
        local_ip, port = parse_ip(self._local[0]), upstream.address[1]
        policy_facts = PolicyFacts(parse_ip(self.src[0]), local_ip, port, self._peer.identity)
        policies = context.state.policies.applicable(workload)
        dial, source_address = self._way_to(upstream)
        if context.is_ourselves(dial):  # by an application tunnel, or where a workload has our own address
            raise SelfCall
        return InboundPlan(
            workload=workload,
            upstream=upstream,
            dial=dial,
            source_address=source_address,
            preamble=self._preamble(upstream),
            host=host,
            kind=Kind(self._facts(request, workload, upstream, host), self._local, request.authority),
            policy_facts=policy_facts,
            policies=policies,
            verdict=authorize(policies, policy_facts),
            answer=STATUS_200 + context.response_headers(workload),
        )

    def _upstream(self, request: ConnectRequest, workload: Workload) -> InboundUpstream:
        state, local_ip = self.context.state, parse_ip(self._local[0])
        authority = parse_authority(request.authority)
        validate_destination(state, local_ip, workload, authority)
        upstream = find_inbound_upstream(state, local_ip, workload, authority, self.context.illegal_ports)
        return upstream

    def _way_to(self, upstream: InboundUpstream) -> tuple[SocketAddress, str | None]:
        """Where to connect, and from which address. Who hears of the client in a preamble need not see it (3.6)."""
        host, port = upstream.address
        if upstream.proxy_destination is not None and self.context.settings.localhost_app_tunnel:
            return ("::1" if ":" in host else "127.0.0.1", port), None
        return upstream.address, self.context.source_address(self.src[0], host)

    def _preamble(self, upstream: InboundUpstream) -> bytes:
        """The client's address, what it asked for, and who it proved to be (3.5)."""
        if upstream.proxy_destination is None:
            return b""
        identity = self._peer.identity
        return build_preamble(self.src, upstream.proxy_destination, None if identity is None else str(identity))

    def _facts(
        self, request: ConnectRequest, workload: Workload, upstream: InboundUpstream, host: str | None
    ) -> ConnectionFacts:
        service = guess_service(upstream.services, workload, upstream.address[1], host)
        identity = self._peer.identity
        return ConnectionFacts(
            "destination",
            self._source(request),
            self.context.parties.of(workload),
            None if service is None else ServiceFacts.of_service(service),
            True,
            "" if identity is None else str(identity),
        )

    def _source(self, request: ConnectRequest) -> Party | None:
        """Whom the mesh knows at the source address, else what the request says of itself (7.4)."""
        context = self.context
        network = request.get(b"x-forwarded-network")
        is_foreign = network is not None and network.decode("latin-1").lower() != context.settings.network.lower()
        known = None if is_foreign else context.state.workloads.at(context.settings.network, parse_ip(self.src[0]))
        if known is not None:
            return context.parties.of(known)
        if not context.settings.response_baggage:
            return None
        claimed = parse_baggage(request.all(b"baggage"))
        return None if claimed is None else context.parties.claimed(claimed)

    # Carrying ---------------------------------------------------------------

    def let_in(self) -> None:
        """See `JudgedConnection`."""
        self.connect_to(self._plan.dial, self._plan.source_address)

    def carry(self, sock: socket.socket) -> None:
        """The application answered: only now comes the 200."""
        context = self.context
        self._peer.engine.accept_tunnel(self._stream, self._plan.answer)
        context.reactor.touch(self._peer)
        relay = Relay(self._peer, self._stream, sock, self._flowed, lenient=context.settings.lenient_resets)
        self.flow = relay
        self._stream.owner = relay
        if self._plan.preamble and not _taken(sock, self._plan.preamble):
            relay.cut(ConnectionLost("the application did not take the PROXY preamble"), ErrorCode.INTERNAL_ERROR)
        else:
            relay.start()

    def _flowed(self, flow: Relay, error: HboneError | None) -> None:
        self.closed(error)

    def turned_away(self, error: HboneError) -> None:
        """See `JudgedConnection`."""
        if not self.is_closed:
            self.stop_connecting()
            self._answer(error.status)
            self.closed(error)

    def _answer(self, status: int) -> None:
        """Instead of the 200."""
        self._stream.owner = None
        self._peer.engine.reject_tunnel(self._stream, status)
        self.context.reactor.touch(self._peer)

    def cut(self, error: HboneError) -> None:
        """End it now: RST_STREAM(CANCEL) to the client, a reset to the application."""
        if isinstance(self.flow, Relay):
            self.flow.cut(error, ErrorCode.CANCEL)
        else:
            self.turned_away(error)

    def tunnel_reset(self, event: ev.TunnelReset) -> None:
        """The client changed its mind before the answer."""
        self.stop_connecting()
        self.closed(StreamReset(event.code, by_peer=event.by_peer))

    def tunnel_lost(self, error: HboneError) -> None:
        """The client is gone before the answer."""
        self.stop_connecting()
        self.closed(ConnectionLost(str(error)))

    @property
    def original_dst(self) -> str | None:
        """The service that the client says it means."""
        return self._plan.host

    @property
    def actual_dst(self) -> str:
        """The application."""
        return show(self._plan.dial)


def _taken(sock: socket.socket, preamble: bytes) -> bool:
    """Behind the 200, before any tunnelled byte, counted nowhere. A new socket has room for it."""
    try:
        return sock.send(preamble) == len(preamble)
    except OSError:
        return False


def _key_of(request: ConnectRequest) -> Hashable | None:
    """Equal for requests that are decided alike; None for those too large or too odd to remember.

    The client's own address in `forwarded` differs each time and decides nothing.
    """
    if request.opening:
        forwarded = request.headers[-2][1]
        if forwarded.startswith(b"for=") and len(request.opening) + len(forwarded) <= _LONGEST_KEPT:
            return request.opening, forwarded.partition(b";")[2]
    headers = dict(request.headers)
    forwarded, baggage = headers.get(b"forwarded", b""), headers.get(b"baggage", b"")
    if len(headers) != len(request.headers) or len(forwarded) + len(baggage) > _LONGEST_KEPT:
        return None
    if forwarded.startswith(b"for="):
        forwarded = forwarded.partition(b";")[2]
    return request.authority, forwarded, baggage, headers.get(b"x-forwarded-network")
