"""Tunnels whose bytes nobody looks into: judged, routed by TCPRoute, and carried on to a pod."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.http.errors import AuthorizerDenied
from mesh_py.http.messages import HttpRequest
from mesh_py.http.rbac_facts import RequestFacts
from mesh_py.model.errors import PolicyDenied
from mesh_py.proxy.dial import FOR_TCP, connect
from mesh_py.proxy.opaque import carry
from mesh_py.proxy.tcp_telemetry import TcpConnection

if TYPE_CHECKING:
    from mesh_py.proxy.dial import AnyStream
    from mesh_py.proxy.directory import Destination
    from mesh_py.proxy.tunnels import Incoming
    from mesh_py.proxy.ways import Endpoint
    from waypoint_py.attached import Target
    from waypoint_py.callers import Caller
    from waypoint_py.forward import Forwarding

_NO_REQUEST = HttpRequest("", "", "")


class ByteProxy:
    """Opens the way for one tunnel after another."""

    def __init__(self, forwarding: Forwarding) -> None:
        self._forwarding = forwarding

    async def open(self, tunnel: Incoming, caller: Caller, target: Target) -> ByteConnection:
        """The pod is reached. Raises PolicyDenied, HboneError."""
        forwarding = self._forwarding
        context = forwarding.context
        self._judge(caller, target)
        meant = self._routed(target)
        endpoint = forwarding.clusters.pick(context.workload, meant, context.now()).endpoint
        upstream = await connect(context, endpoint.way, FOR_TCP, caller.traceparent)
        return ByteConnection(forwarding, tunnel, caller, target, endpoint, upstream)

    def _judge(self, caller: Caller, target: Target) -> None:
        ip, port = target.address
        verdict = self._forwarding.chains.gate(target).connections.judge(
            RequestFacts(_NO_REQUEST, caller.client[0], ip, port, caller.identity)
        )
        if not verdict.allowed:
            raise PolicyDenied(verdict.details)
        if verdict.ask:
            raise AuthorizerDenied(f"{verdict.ask[0]} is asked about requests only, and this is no HTTP")

    def _routed(self, target: Target) -> Destination:
        """Where it goes: by a TCPRoute, to the pod that the client chose, else to any of the service's."""
        context, meant = self._forwarding.context, target.meant
        routed = context.directory.by_tcp_route(context.workload, meant, context.dice.random)
        return routed if routed is not meant else target.pod or meant


class ByteConnection:
    """A tunnel and its pod. Either `carry` or `give_up`."""

    def __init__(
        self,
        forwarding: Forwarding,
        tunnel: Incoming,
        caller: Caller,
        target: Target,
        endpoint: Endpoint,
        upstream: AnyStream,
    ) -> None:
        self._forwarding, self._tunnel, self._upstream = forwarding, tunnel, upstream
        self._caller, self._target, self._endpoint = caller, target, endpoint

    async def give_up(self) -> None:
        """The client turned out to speak HTTP."""
        await self._upstream.aclose()

    async def carry(self) -> None:
        """Both directions, to their ends; counted and logged."""
        context, caller, record = self._forwarding.context, self._caller, self._target.meant.record
        connection = TcpConnection(context, "waypoint", caller.client)
        connection.opened(
            caller.party,
            context.parties.of_known(self._endpoint.workload),
            None if record is None else record.service,
            mutual_tls=True,
            principal=caller.identity,
            there=self._endpoint.address,
            authority=self._tunnel.request.authority,
        )
        connection.closed(await carry(context.reactor, self._tunnel.stream, self._upstream))
