"""An HTTP server behind a pool: streams in memory would prove little, so it is a socket."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hbone_py.aio.dialling import connect_tcp
from hbone_py.aio.reactor import Reactor
from hbone_py.aio.tcp import SocketOptions
from hbone_py.aio.tcp_stream import TcpStream
from mesh_py.exchange.pool import Pool, PoolLimits
from mesh_py.http.codec_h1 import H1Client
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest
from mesh_py.process.background import background
from tests.support.tcp_apps import TcpApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mesh_py.exchange.upstream import Call, Upstream
    from mesh_py.exchange.wire import WireStream
    from mesh_py.http.codec import ClientCodec
    from tests.support.tcp_apps import Behaviour, Connection

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def answering(connection: Connection) -> None:
    """One `ok` for each head."""
    while data := await connection.receive():
        for _ in range(data.count(b"\r\n\r\n")):
            await connection.send(OK)


@dataclass
class Asked:
    """A pool towards one server."""

    pool: Pool
    app: TcpApp
    limits: PoolLimits = field(default_factory=PoolLimits)
    dials: int = 0

    async def lease(self) -> Upstream:
        return await self.pool.lease("server", self._dial, self.limits, multiplexed=False)

    async def adopt(self) -> bool:
        """Open a connection beside the pool and give it one; whether it was taken."""
        stream, codec = await self._dial()
        taken = self.pool.adopt("server", stream, codec, self.limits)
        if not taken:
            await stream.aclose()
        return taken

    async def _dial(self) -> tuple[WireStream, ClientCodec]:
        self.dials += 1
        sock = await connect_tcp((self.app.host, self.app.port), SocketOptions(), 5)
        return TcpStream(Reactor.current(), sock), H1Client()

    async def open(self) -> Call:
        return (await self.lease()).open(HttpRequest("GET", "/", "server", Headers()), ended=True)


async def whole(call: Call) -> tuple[int, bytes]:
    """The answer's status and body."""
    response = await call.response()
    body = b""
    while piece := await call.body.read():
        body += piece
    return response.status, body


@contextlib.asynccontextmanager
async def asked(behaviour: Behaviour = answering) -> AsyncIterator[Asked]:
    pool = Pool(Reactor.current().wheel)
    async with TcpApp(behaviour) as app, background(pool.serve()):
        await asyncio.sleep(0)  # the pool is served from here on
        yield Asked(pool, app)
