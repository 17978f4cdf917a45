"""Copies of requests, sent to other backends beside the request itself; nobody waits for their answers."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from hbone_py.errors import HboneError
from mesh_py.http.balancing import NO_WISH
from mesh_py.proxy.backends import ServiceBackend

if TYPE_CHECKING:
    from mesh_py.exchange.body import Body
    from mesh_py.exchange.downstream import Exchange
    from mesh_py.exchange.upstream import Call
    from mesh_py.http.messages import HttpRequest
    from mesh_py.proxy.clusters import Cluster
    from mesh_py.proxy.connections import Connections
    from waypoint_py.context import WaypointContext

log = logging.getLogger("proxy")

SECONDS = 15.0
"""How long a copy may take."""
HELD = 256 * 1024
"""Bytes of its body that may wait for a slow mirror; one that falls behind by more is given up."""
MOST = 1024
"""Copies under way at once; further ones are not made."""


class Mirrors:
    """Sends copies. They count as connections: a drain waits for them."""

    def __init__(self, context: WaypointContext, connections: Connections) -> None:
        self._context, self._connections = context, connections
        self._open = 0

    def send(self, exchange: Exchange, cluster: Cluster, *, http2: bool) -> None:
        """Begin to send a copy of the request, as it is now, to one of a cluster's endpoints."""
        if self._open >= MOST:
            log.info("a request is not mirrored to %s: %d copies are under way", cluster.name, MOST)
            return
        request = exchange.request.copy()
        request.authority = _shadow(request.authority)
        body = exchange.body.copy(HELD) if exchange.has_body else None
        self._open += 1
        self._connections.run(self._guarded(request, body, cluster, http2=http2))

    async def _guarded(self, request: HttpRequest, body: Body | None, cluster: Cluster, *, http2: bool) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                await self._send(request, body, cluster, http2=http2)
        except (HboneError, TimeoutError) as error:
            log.info("mirror to %s: %s", cluster.name, str(error) or "too slow")
        finally:
            self._open -= 1

    async def _send(self, request: HttpRequest, body: Body | None, cluster: Cluster, *, http2: bool) -> None:
        backend = ServiceBackend(self._context, cluster, NO_WISH, http2=http2)
        target = backend.choose(frozenset())
        backend.begun(target)
        status: int | None = None
        try:
            call = (await backend.lease(target)).open(request, ended=body is None)
            try:
                if body is not None:
                    await _pass_on(body, call)
                status = (await call.response()).status
                while call.has_answer_body and await call.body.read():
                    pass
            finally:
                call.release()
        finally:
            backend.ended(target, status)


async def _pass_on(body: Body, call: Call) -> None:
    while data := await body.read():
        await call.send(data)
    call.end(body.trailers)


def _shadow(authority: str) -> str:
    """The host with `-shadow` behind it, as Envoy marks copies; an address stays as it is."""
    if authority.startswith("[") or authority.replace(".", "").replace(":", "").isdigit():
        return authority
    host, colon, port = authority.partition(":")
    return f"{host}-shadow{colon}{port}"
