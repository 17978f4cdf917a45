"""Copies of requests, sent to other backends beside the request itself; nobody waits for their answers (HTTPRoute's
RequestMirror)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Generic, TypeVar

from hbone_py.errors import HboneError

if TYPE_CHECKING:
    from mesh_py.exchange.body import Body
    from mesh_py.exchange.exchange import Exchange
    from mesh_py.exchange.passage import Backend
    from mesh_py.exchange.upstream import Call
    from mesh_py.http.messages import HttpRequest
    from mesh_py.proxy.connections import Connections

Target = TypeVar("Target")

log = logging.getLogger("proxy")

SECONDS = 15.0
"""How long a copy may take, answer and all."""
HELD = 256 * 1024
"""Bytes of its body that may wait for a slow mirror; one that falls behind by more is given up."""
MOST = 256
"""Copies under way at once; further ones are not made."""


class Mirrors:
    """Sends copies. They count as connections: a drain waits for them."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._open = 0

    def send(self, exchange: Exchange, backend: Backend[Target], name: str) -> None:
        """Begin to send a copy of the request, as it is now, to an endpoint of `backend`, which logs call `name`.

        A tunnel has no copy: its bytes would be half a conversation.
        """
        if exchange.request.is_tunnel:
            return
        if self._open >= MOST or not self._connections.has_room:
            log.info("a request is not mirrored to %s: %d copies are under way", name, self._open)
            return
        request = exchange.request.copy()
        request.authority = _shadow(request.authority)
        body = exchange.body.copy(HELD) if exchange.has_body else None
        self._open += 1
        self._connections.run(self._guarded(_Copy(request, body, backend), name))

    async def _guarded(self, copy: _Copy[Target], name: str) -> None:
        """Whatever becomes of a copy is no fault of the original."""
        try:
            async with asyncio.timeout(SECONDS):
                await copy.send()
        except (HboneError, TimeoutError) as error:
            log.info("mirror to %s: %s", name, str(error) or "too slow")
        except Exception:
            log.exception("! mirror to %s: unexpected error", name)
        finally:
            self._open -= 1


class _Copy(Generic[Target]):
    """One request on its way; it is tried once."""

    def __init__(self, request: HttpRequest, body: Body | None, backend: Backend[Target]) -> None:
        self._request, self._body, self._backend = request, body, backend

    async def send(self) -> None:
        """To the end of its answer. Raises HboneError."""
        backend = self._backend
        target = backend.choose(frozenset())
        backend.begun(target)
        status: int | None = None
        try:
            call = (await backend.lease(target)).open(self._request, ended=self._body is None)
            try:
                if self._body is not None:
                    await _pass_on(self._body, call)
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
