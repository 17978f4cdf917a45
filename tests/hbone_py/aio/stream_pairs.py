"""Two streams that are joined, of each kind: TCP, a tunnel, a tunnel in a tunnel."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import hbone_py
from hbone_py.aio.plain_relay import relay
from hbone_py.aio.tcp_stream import TcpStream
from hbone_py.config import KIB, Http2Config
from hbone_py.errors import HboneError
from tests.support.peers import credentials_of
from tests.support.sockets import Buffers, dialled, tcp_pair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from hbone_py.aio.reactor import Reactor
    from tests.support.certificates import MeshCertificates
    from tests.support.streams import StreamPair

    PairMaker = Callable[[Reactor, MeshCertificates], AbstractAsyncContextManager[StreamPair]]

CONFIG = Http2Config(stream_window=64 * KIB, connection_window=256 * KIB)
AUTHORITY = "10.0.0.1:8080"


@contextlib.asynccontextmanager
async def tcp_streams(reactor: Reactor, _: MeshCertificates) -> AsyncIterator[StreamPair]:
    near, far = (TcpStream(reactor, sock) for sock in tcp_pair(Buffers(64 * KIB, 64 * KIB)))
    yield near, far
    await near.aclose()
    await far.aclose()


@contextlib.asynccontextmanager
async def accepting(
    certificates: MeshCertificates,
) -> AsyncIterator[tuple[hbone_py.Server, asyncio.Queue[hbone_py.TunnelStream]]]:
    """A server that accepts all it is asked for; the streams come by the queue."""
    accepted: asyncio.Queue[hbone_py.TunnelStream] = asyncio.Queue()
    never = asyncio.Event()

    async def accept(tunnel: hbone_py.IncomingTunnel) -> None:
        await accepted.put(await tunnel.accept())
        await never.wait()

    credentials = credentials_of(certificates.server)
    async with await hbone_py.serve(accept, "127.0.0.1", 0, credentials=credentials, config=CONFIG) as server:
        yield server, accepted
        never.set()


@contextlib.asynccontextmanager
async def tunnels(_: Reactor, certificates: MeshCertificates) -> AsyncIterator[StreamPair]:
    async with accepting(certificates) as (server, accepted):
        near = await hbone_py.connect(
            server.host,
            server.port,
            authority=AUTHORITY,
            credentials=credentials_of(certificates.client),
            config=CONFIG,
        )
        yield near, await accepted.get()
        await near.aclose()


@contextlib.asynccontextmanager
async def nested_tunnels(reactor: Reactor, certificates: MeshCertificates) -> AsyncIterator[StreamPair]:
    """The outer tunnel ends at a gateway that carries its bytes on to the inner server, over TCP."""
    credentials = credentials_of(certificates.client)
    async with accepting(certificates) as (inner, accepted):

        async def gateway(tunnel: hbone_py.IncomingTunnel) -> None:
            onward = TcpStream(reactor, dialled(inner.host, inner.port))
            with contextlib.suppress(HboneError):
                await relay(await tunnel.accept(), onward)
            await onward.aclose()

        own = credentials_of(certificates.server)
        async with await hbone_py.serve(gateway, "127.0.0.1", 0, credentials=own, config=CONFIG) as outer:
            carrier = await hbone_py.connect(
                outer.host, outer.port, authority="inner.example:15008", credentials=credentials, config=CONFIG
            )
            async with await hbone_py.connect_over(carrier, credentials=credentials, config=CONFIG) as connection:
                near = await connection.open_tunnel(AUTHORITY)
                yield near, await accepted.get()
                await near.aclose()
            await carrier.aclose()


KINDS: dict[str, PairMaker] = {"tcp": tcp_streams, "tunnel": tunnels, "nested tunnel": nested_tunnels}
