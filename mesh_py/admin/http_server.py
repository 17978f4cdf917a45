"""A small HTTP server inside the running loop, bounded in every way a stranger could stretch it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence, Set

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

IDLE_SECONDS = 20.0
"""How long a connection may send no complete request: the first, or the next."""

GRACE_SECONDS = 5.0
"""How long open requests may take once the server closes."""

MAX_BODY = 64 * 1024
MAX_LINE = 8 * 1024
MAX_CONNECTIONS = 256
"""With more than this many, those that ask nothing are closed, the oldest first; where all do ask, they hear 503."""

TEXT = "text/plain; charset=utf-8"


class _Log(logging.LoggerAdapter[logging.Logger]):
    """What aiohttp says. Bytes that are no request are nobody's bug: a line below the usual level, no traceback."""

    def exception(self, msg: object, *args: object, exc_info: Any = True, **more: Any) -> None:
        """See `logging.LoggerAdapter`."""
        if isinstance(exc_info, HttpProcessingError):
            self.debug(
                "no request, from %s: %s", args[0] if args else "somebody", " ".join(str(exc_info).split())[:200]
            )
        else:
            super().exception(msg, *args, exc_info=exc_info, **more)


class HttpServer:
    """A running server."""

    def __init__(self, runner: web.AppRunner, busy: Set[web.RequestHandler]) -> None:
        self._runner, self._busy = runner, busy
        self._listeners: list[asyncio.Server] = []

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each listening socket."""
        names = [sock.getsockname() for listener in self._listeners for sock in listener.sockets]
        return [(name[0], name[1]) for name in names]

    async def listen(self, sock: socket.socket) -> None:
        """Serve on a bound socket. Whoever connects counts, also before he asks anything."""
        self._listeners.append(await asyncio.get_running_loop().create_server(self._connection, sock=sock))

    def stop_listening(self) -> None:
        """Nobody else is served."""
        for listener in self._listeners:
            listener.close()

    def _connection(self) -> web.RequestHandler:
        server = self._runner.server
        assert server is not None, "it was set up"
        _has_room(self._runner, self._busy)
        return server()

    async def drain(self) -> None:
        """Stop accepting and close idle connections; open requests go on, up to the end of the context."""
        self.stop_listening()
        if (server := self._runner.server) is not None:
            server.pre_shutdown()  # keeps idle connections open, and deaf
            for connection in set(server.connections) - self._busy:
                connection.force_close()


@asynccontextmanager
async def serve_http(
    sockets: Sequence[socket.socket],
    routes: Mapping[str, Handler],
    *,
    middlewares: Sequence[Any] = (),
    grace: float = GRACE_SECONDS,
) -> AsyncIterator[HttpServer]:
    """Serve `routes` (path to handler, every method) on bound sockets; any other path is an empty 404.

    The sockets are the server's from here on. Leaving the context drains, then cuts what takes longer than `grace`
    seconds.
    """
    app = web.Application(client_max_size=MAX_BODY, middlewares=[_bounded, *middlewares])
    for path, handler in routes.items():
        app.router.add_route("*", path, handler)
    app.router.add_route("*", "/{other:.*}", _not_found)
    app.on_response_prepare.append(_no_server_header)
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=IDLE_SECONDS,
        shutdown_timeout=grace,
        max_line_size=MAX_LINE,
        max_field_size=MAX_LINE,
        handler_cancellation=True,
        logger=_Log(logging.getLogger("admin")),
    )
    busy: set[web.RequestHandler] = set()
    app[_RUNNER], app[_BUSY] = runner, busy
    await runner.setup()
    server = HttpServer(runner, busy)
    try:
        for sock in sockets:
            await server.listen(sock)
        yield server
    finally:
        server.stop_listening()
        await runner.cleanup()
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.close()


def text(status: int, body: str = "", content_type: str = TEXT, **headers: str) -> web.Response:
    """A short answer; header names with underscores for dashes."""
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return web.Response(status=status, body=body.encode(), headers={"Content-Type": content_type, **named})


def wrong_method(allowed: str, help: str = "") -> web.Response:
    """405, naming the methods that would do."""
    return text(405, help, allow=allowed)


_RUNNER: web.AppKey[web.AppRunner] = web.AppKey("runner", web.AppRunner)
_BUSY: web.AppKey[set[web.RequestHandler]] = web.AppKey("busy", set)
"""Connections with a request under way."""


@web.middleware
async def _bounded(request: web.Request, handler: Handler) -> web.StreamResponse:
    busy = request.app[_BUSY]
    busy.add(request.protocol)
    try:
        if not _has_room(request.app[_RUNNER], busy):
            response = text(503, "too many connections\n")
            response.force_close()
            return response
        return await handler(request)
    finally:
        busy.discard(request.protocol)


def _has_room(runner: web.AppRunner, busy: Set[web.RequestHandler]) -> bool:
    """Whether no more connections are open than may be, once idle ones have made room: whoever holds them costs us a
    probe or a scrape."""
    if (server := runner.server) is None:
        return True
    excess = len(server.connections) - MAX_CONNECTIONS
    for connection in server.connections if excess > 0 else ():
        if excess > 0 and connection not in busy:
            connection.force_close()
            excess -= 1
    return excess <= 0


async def _not_found(_: web.Request) -> web.Response:
    return web.Response(status=404)


async def _no_server_header(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.popall("Server", None)
