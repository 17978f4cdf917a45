"""15020: metrics as OpenMetrics text (hbone-dataplane 7.2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from mesh_py.admin.encoding import available_encodings, choose_encoding
from mesh_py.admin.http_server import TEXT, HttpServer, serve_http, wrong_method
from mesh_py.telemetry.exposition import render

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from mesh_py.telemetry.snapshot import Snapshot

    TakeSnapshot = Callable[[], Awaitable[Snapshot]]

OPENMETRICS = "application/openmetrics-text;charset=utf-8;version=1.0.0"
_IN_A_THREAD = 64 * 1024
"""Bodies above this many bytes are compressed beside the loop."""


def serve_stats(sockets: Sequence[socket.socket], take: TakeSnapshot) -> AbstractAsyncContextManager[HttpServer]:
    """Serve `/metrics` and `/stats/prometheus`; `take` gives the numbers whenever somebody asks."""
    stats = _Stats(take)
    return serve_http(sockets, {"/metrics": stats.answer, "/stats/prometheus": stats.answer})


class _Stats:
    def __init__(self, take: TakeSnapshot) -> None:
        self._take = take
        self._encodings = available_encodings()
        self._one_at_a_time = asyncio.Lock()  # a text may have tens of megabytes

    async def answer(self, request: web.Request) -> web.Response:
        if request.method not in ("GET", "HEAD"):
            return wrong_method("GET, HEAD")
        async with self._one_at_a_time:
            return await self._encoded(request, await self._text())

    async def _text(self) -> bytes:
        pieces = []
        for piece in render(await self._take()):
            pieces.append(piece.encode())
            await asyncio.sleep(0)  # connections go first
        return b"".join(pieces)

    async def _encoded(self, request: web.Request, body: bytes) -> web.Response:
        wants_openmetrics = "application/openmetrics-text" in request.headers.get("Accept", "")
        headers = {"Content-Type": OPENMETRICS if wants_openmetrics else TEXT, "Vary": "Accept, Accept-Encoding"}
        accepted = ",".join(request.headers.getall("Accept-Encoding", []))
        if (coding := choose_encoding(accepted, self._encodings)) is not None:
            headers["Content-Encoding"] = coding
            compress = self._encodings[coding]
            body = await asyncio.to_thread(compress, body) if len(body) > _IN_A_THREAD else compress(body)
        return web.Response(body=body, headers=headers)
