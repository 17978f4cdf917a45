"""A copy of a request for somebody else, whose answer nobody waits for (HTTPRoute's RequestMirror)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Generic, TypeVar

from hbone_py.errors import HboneError
from mesh_py.exchange.body import Body
from mesh_py.http.errors import HttpError, UpstreamFailure

if TYPE_CHECKING:
    from mesh_py.exchange.attempts import Backend
    from mesh_py.http.messages import HttpRequest

Target = TypeVar("Target")

log = logging.getLogger("http")

HELD = 64 * 1024
"""Bytes of the body that wait for the copy's server; one that is slower loses the copy, and holds up nobody."""
SECONDS = 15.0
"""How long a copy may take, answer and all."""


class Mirror(Generic[Target]):
    """One copy. Give its `body` to the exchange's `copies`; `send` carries it."""

    def __init__(self, request: HttpRequest, backend: Backend[Target], *, has_body: bool) -> None:
        """`request` is the original as it goes out; the copy says `-shadow` behind its host, as Envoy's does."""
        self._request = request.copy()
        self._request.authority = _shadow(request.authority)
        self._backend, self._has_body = backend, has_body
        self.body = BodyCopy()

    async def send(self) -> None:
        """One attempt; whatever becomes of it is no fault of the original."""
        try:
            async with asyncio.timeout(SECONDS):
                await self._send()
        except (HttpError, HboneError, TimeoutError) as error:
            log.info("mirroring to %s failed: %s", self._request.authority, str(error) or "it took too long")
        except Exception:
            log.exception("! mirroring to %s: unexpected error", self._request.authority)

    async def _send(self) -> None:
        target = self._backend.choose(frozenset())
        self._backend.begun(target)
        status = None
        try:
            connection = await self._backend.lease(target)
            call = connection.open(self._request, ended=not self._has_body, interim=None)
            try:
                if self._has_body:
                    while data := await self.body.read():
                        await call.send(data)
                    call.end(self.body.trailers)
                status = (await call.response()).status
                while call.has_answer_body and await call.body.read():
                    pass
            finally:
                call.release()
        finally:
            self._backend.ended(target, status)


class BodyCopy(Body):
    """A body that is filled as another is read, and is given up rather than growing."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(lambda _: None)

    def take(self, data: bytes) -> None:
        """One more piece."""
        if self.held + len(data) > HELD:
            self.fail(UpstreamFailure("slower than the request that it copies"))
        else:
            self.put(data, 0)


def _shadow(authority: str) -> str:
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        return f"{authority}-shadow"
    return f"{host}-shadow:{port}"
