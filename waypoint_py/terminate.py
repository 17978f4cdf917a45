"""15008: a tunnel is understood, then served as HTTP or as bytes.

HTTP gets its 200 at once, and failures become answers. Bytes get theirs once the pod has been reached. Where a service
does not say what it speaks the client's first bytes tell: before them comes the 200 where routes or policies of layer 7
expect requests, else the pod and then the 200 (decision 0018); the first request goes to the pod that was reached.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from hbone_py.errors import HboneError
from mesh_py.exchange.downstream import Downstream
from mesh_py.exchange.lifetimes import serve
from mesh_py.http.codec_h1 import H1Server
from mesh_py.http.codec_h2 import H2Server
from mesh_py.http.detect import Protocol
from mesh_py.model.workload import AppProtocol
from mesh_py.proxy.detection import detect_protocol
from waypoint_py.attached import find_target
from waypoint_py.callers import caller_of
from waypoint_py.http_proxy import HttpProxy

if TYPE_CHECKING:
    from mesh_py.proxy.cluster import Pick
    from mesh_py.proxy.connections import Connections
    from mesh_py.proxy.tunnels import Incoming
    from waypoint_py.attached import Target
    from waypoint_py.byte_proxy import ByteConnection, ByteProxy
    from waypoint_py.callers import Caller
    from waypoint_py.context import WaypointContext
    from waypoint_py.forward import Forwarding

_HTTP = (AppProtocol.HTTP11, AppProtocol.HTTP2, AppProtocol.GRPC)
_BYTES = (AppProtocol.TCP, AppProtocol.TLS)


class Terminate:
    """Serves tunnels."""

    def __init__(
        self, context: WaypointContext, connections: Connections, forwarding: Forwarding, byte_proxy: ByteProxy
    ) -> None:
        self._context, self._connections = context, connections
        self._forwarding, self._bytes = forwarding, byte_proxy

    async def serve(self, tunnel: Incoming) -> None:
        """To its end. Raises HboneError before the 200."""
        context = self._context
        target = find_target(context.state, context.workload, tunnel.request.authority)
        caller = caller_of(context, tunnel)
        spoken = target.meant.app_protocol
        if spoken in _HTTP:
            tunnel.accept()
            await self._serve_http(tunnel, caller, target, await self._detect(tunnel, spoken))
        elif spoken in _BYTES:
            connection = await self._bytes.open(tunnel, caller, target)
            tunnel.accept()
            await connection.carry()
        elif self._is_about_requests(target):
            tunnel.accept()
            if not await self._served_as_http(tunnel, caller, target):
                await (await self._bytes.open(tunnel, caller, target)).carry()
        else:
            connection = await self._bytes.reach(tunnel, caller, target)
            tunnel.accept()
            if await self._served_as_http(tunnel, caller, target, connection):
                return
            await connection.begin()
            await connection.carry()

    def _is_about_requests(self, target: Target) -> bool:
        """Whether routes, rules or policies say that it is HTTP, where the port does not."""
        record, port, context = target.meant.record, target.meant.port, self._context
        if record is not None and (
            context.directory.routes(context.workload, record, port) or self._forwarding.gateway_routes.requests
        ):
            return True
        if record is not None:
            by = self._forwarding.clusters.of(context.workload, record, port).traffic.hash_by
            if by is not None and not by.source_ip:
                return True
        return self._forwarding.chains.has_rules_for_requests(target)

    async def _served_as_http(
        self, tunnel: Incoming, caller: Caller, target: Target, reached: ByteConnection | None = None
    ) -> bool:
        """Whether the first bytes are HTTP's; then it is over. `reached` was opened before anybody knew."""
        found = await detect_protocol(tunnel.stream, self._context.settings.timeouts.detection)
        if found.protocol not in (Protocol.HTTP1, Protocol.HTTP2):
            return False
        first = None
        if reached is not None:
            # A pod with a sidecar may still refuse to shake hands: the requests find out, and are answered.
            with contextlib.suppress(HboneError):
                first = await reached.hand_over(http2=found.protocol is Protocol.HTTP2)
        await self._serve_http(tunnel, caller, target, found.protocol, first)
        return True

    async def _detect(self, tunnel: Incoming, spoken: AppProtocol) -> Protocol:
        """Which HTTP it is; who is silent is waited for as for the rest of a request."""
        if spoken in (AppProtocol.HTTP2, AppProtocol.GRPC):
            return Protocol.HTTP2
        found = await detect_protocol(tunnel.stream, self._context.settings.timeouts.idle)
        return Protocol.HTTP2 if found.protocol is Protocol.HTTP2 else Protocol.HTTP1

    async def _serve_http(
        self, tunnel: Incoming, caller: Caller, target: Target, protocol: Protocol, first: Pick | None = None
    ) -> None:
        context = self._context
        proxy = HttpProxy(self._forwarding, caller, target, first)
        codec = H2Server() if protocol is Protocol.HTTP2 else H1Server()
        timeouts = context.settings.timeouts
        downstream = Downstream(tunnel.stream, codec, proxy, context.reactor.wheel, timeouts)
        with self._connections.draining(downstream):
            await serve(downstream)
