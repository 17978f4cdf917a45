"""Tunnels whose bytes nobody looks into: judged, routed by TCPRoute, and carried on to a pod."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hbone_py.errors import HboneError
from mesh_py.exchange.pool import PoolLimits
from mesh_py.http.errors import AuthorizerDenied
from mesh_py.http.messages import HttpRequest
from mesh_py.http.rbac_facts import RequestFacts
from mesh_py.model.errors import PolicyDenied
from mesh_py.proxy.backends import hand_over
from mesh_py.proxy.dial import FOR_TCP, begin, reach
from mesh_py.proxy.first_words import first_words
from mesh_py.proxy.opaque import Carried, carry
from mesh_py.proxy.tcp_telemetry import TcpConnection

if TYPE_CHECKING:
    from mesh_py.proxy.cluster import Pick
    from mesh_py.proxy.dial import AnyStream, Reached
    from mesh_py.proxy.directory import Destination
    from mesh_py.proxy.first_words import FirstWords
    from mesh_py.proxy.tunnels import Incoming
    from waypoint_py.attached import Target
    from waypoint_py.callers import Caller
    from waypoint_py.forward import Forwarding

_NO_REQUEST = HttpRequest("", "", "")


class ByteProxy:
    """Opens the way for one tunnel after another."""

    def __init__(self, forwarding: Forwarding) -> None:
        self.forwarding = forwarding
        self.open_connections: set[ByteConnection] = set()
        forwarding.context.directory.watch(self._judge_again)

    async def open(self, tunnel: Incoming, caller: Caller, target: Target) -> ByteConnection:
        """The pod is reached, and hears that bytes will come. Raises PolicyDenied, HboneError."""
        connection = await self._reach(tunnel, caller, target, first_words(self.forwarding.context, tunnel.stream))
        await connection.begin()
        return connection

    async def reach(self, tunnel: Incoming, caller: Caller, target: Target) -> ByteConnection:
        """The pod is reached, and has heard nothing yet: it may still turn out to be HTTP. Raises as `open`."""
        return await self._reach(tunnel, caller, target, None)

    async def _reach(
        self, tunnel: Incoming, caller: Caller, target: Target, words: FirstWords | None
    ) -> ByteConnection:
        forwarding = self.forwarding
        context = forwarding.context
        self.judge(caller, target)
        meant = self._routed(target)
        if meant is target.pod:
            pick = forwarding.clusters.pick_pod(context.workload, meant, target.meant)
        else:
            pick = forwarding.clusters.pick(context.workload, meant, context.now(), caller.client[0])
        reached = await reach(context, pick.endpoint.way, caller.traceparent, words)
        return ByteConnection(self, tunnel, caller, target, pick, reached, words)

    def _judge_again(self) -> None:
        """Policies have changed: what they do not allow any more ends."""
        for connection in list(self.open_connections):
            try:
                self.judge(connection.caller, connection.target)
            except HboneError as error:
                connection.cut(error)

    def judge(self, caller: Caller, target: Target) -> None:
        """What the policies say to a connection of bytes. Raises PolicyDenied, AccessDenied, AuthorizerDenied."""
        ip, port = target.address
        verdict = self.forwarding.chains.gate(target).connections.judge(
            RequestFacts(_NO_REQUEST, caller.client[0], ip, port, caller.identity)
        )
        if not verdict.allowed:
            raise PolicyDenied(verdict.details)
        if verdict.ask:
            raise AuthorizerDenied(f"{verdict.ask[0]} is asked about requests only, and this is no HTTP")

    def _routed(self, target: Target) -> Destination:
        """Where it goes: by a TCPRoute of the service or of our Gateway, else to the pod that the client chose, else to
        any of the service's."""
        context, meant = self.forwarding.context, target.meant
        routed = context.directory.by_tcp_route(context.workload, meant, context.dice.random)
        shared = self.forwarding.gateway_routes.backend_of_bytes() if routed is meant and meant.record else None
        if shared is not None:
            return context.directory.by_tcp_backend(context.workload, meant, shared)
        return routed if routed is not meant else target.pod or meant


class ByteConnection:
    """A tunnel and its pod. Either `begin` and `carry`, or `hand_over`."""

    def __init__(
        self,
        proxy: ByteProxy,
        tunnel: Incoming,
        caller: Caller,
        target: Target,
        pick: Pick,
        reached: Reached,
        words: FirstWords | None = None,
    ) -> None:
        """`words`: what of the client's the pod may have got already."""
        self.caller, self.target = caller, target
        self._words = words
        self._proxy, self._tunnel, self._pick, self._reached = proxy, tunnel, pick, reached
        self._upstream: AnyStream = reached
        self._task: asyncio.Task[None] | None = None
        self._denied: HboneError | None = None

    async def begin(self) -> None:
        """It is bytes. Raises HboneError."""
        context = self._proxy.forwarding.context
        self._upstream = await begin(context, self._pick.endpoint.way, self._reached, FOR_TCP)

    async def hand_over(self, *, http2: bool) -> Pick:
        """It is HTTP: what was reached serves the requests to come, of which the first should go there.

        Raises HboneError.
        """
        proxy, pick = self._proxy.forwarding, self._pick
        record, port = self.target.meant.record, self.target.meant.port
        limits = PoolLimits(idle=proxy.context.settings.http_pool_idle)
        if record is not None:
            limits = proxy.clusters.of(proxy.context.workload, record, port).traffic.pool
        await hand_over(proxy.context, pick.endpoint, self._reached, limits, http2=http2)
        return pick

    def cut(self, error: HboneError) -> None:
        """End it now: a reset to both sides."""
        self._denied = error
        if self._task is not None:
            self._task.cancel()

    async def carry(self) -> None:
        """Both directions, to their ends; counted and logged."""
        connection = self._opened()
        self._task = asyncio.current_task()
        self._proxy.open_connections.add(self)
        try:
            reactor = self._proxy.forwarding.context.reactor
            carried = await carry(reactor, self._tunnel.stream, self._upstream, words=self._words)
        except asyncio.CancelledError:
            if self._denied is None or self._task is None:
                raise
            self._task.uncancel()  # a policy wanted it, not the process's end
            carried = Carried(0, 0, self._denied)
        finally:
            self._proxy.open_connections.discard(self)
        connection.closed(carried)

    def _opened(self) -> TcpConnection:
        context, caller, record = self._proxy.forwarding.context, self.caller, self.target.meant.record
        connection = TcpConnection(context, "waypoint", caller.client, caller.traceparent)
        connection.opened(
            caller.party,
            context.parties.of_known(self._pick.endpoint.workload),
            None if record is None else record.service,
            mutual_tls=True,
            principal=caller.identity,
            there=self._pick.endpoint.address,
            authority=self._tunnel.request.authority,
        )
        return connection
