"""15021: is the proxy ready? (hbone-controlplane 7.1)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.admin.http_server import HttpServer, serve_http, text, wrong_method

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from aiohttp import web

    Answer = Callable[[], tuple[int, str]]

PATH = "/healthz/ready"


def serve_readiness(sockets: Sequence[socket.socket], answer: Answer) -> AbstractAsyncContextManager[HttpServer]:
    """Answer probes with what `answer` (such as `Readiness.answer`) says: 200 or 500 and a line of text."""

    async def ready(request: web.Request) -> web.Response:
        if request.method not in ("GET", "HEAD"):
            return wrong_method("GET, HEAD")
        return text(*answer())

    return serve_http(sockets, {PATH: ready})
