"""Two proxies facing each other, of two makes: what the same conversation is held through, whoever they are.

application -> client side -> HBONE -> server side -> application at `address`
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import hbone_py
from hbone_py.aio.reactor import Reactor
from hbone_py.config import Http2Config
from tests.interop.captured import captured, captured_by_ztunnel
from tests.interop.forwarding import forward, relay
from tests.support.tcp_apps import Connection, TcpApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from tests.interop.callers import Caller
    from tests.support.certificates import CertificateFiles
    from tests.support.envoy import Envoy
    from tests.support.processes import PeerProcess
    from tests.support.ztunnel import Ztunnel

HBONE_PORT = 15008
REFERENCE_PAIR = "envoy-to-envoy"
PAIRS_WITH_OURS = (
    "library-to-envoy",
    "envoy-to-library",
    "library-to-library",
    "ztunnel-to-envoy",
    "envoy-to-ztunnel",
    "ztunnel-to-ztunnel",
)


class ClientSide(Protocol):
    """Opens tunnels; how many, and over how many connections, is its own affair."""

    def call(self, authority: str) -> AbstractAsyncContextManager[Caller]:
        """A conversation with the application at `authority`, dropped when the block ends."""
        ...


@dataclass(frozen=True, slots=True)
class EnvoyClient:
    envoy: Envoy

    def call(self, authority: str) -> AbstractAsyncContextManager[Caller]:
        return captured(self.envoy, authority)


@dataclass(frozen=True, slots=True)
class ZtunnelClient:
    """Our node proxy, serving the pod `source`."""

    ztunnel: Ztunnel
    source: str

    def call(self, authority: str) -> AbstractAsyncContextManager[Caller]:
        return captured_by_ztunnel(self.ztunnel, self.source, authority)


@dataclass(frozen=True, slots=True)
class OurClient:
    """The library's own client: one connection a call, to the authority's own IP as node proxies do."""

    credentials: hbone_py.Credentials

    @contextlib.asynccontextmanager
    async def call(self, authority: str) -> AsyncIterator[Caller]:
        host = authority.rpartition(":")[0]
        stream = await hbone_py.connect(host, HBONE_PORT, authority=authority, credentials=self.credentials)
        try:
            yield stream
        finally:
            await stream.aclose()


@dataclass(frozen=True, slots=True)
class Pair:
    """A client side and a server side that serves the pod at `address`."""

    client: ClientSide
    server: Literal["envoy", "ours"]
    address: str
    processes: tuple[PeerProcess, ...] = ()
    """Our node proxies in it."""

    @property
    def is_reference(self) -> bool:
        """Whether both sides are Envoy: what they do is a fact to be told, not ours to mend."""
        return self.server == "envoy" and isinstance(self.client, EnvoyClient)

    def held_bytes(self) -> int:
        """What our sides hold now: the memory of our processes, and what the library here has not yet handed out."""
        return Reactor.current().ledger.used + sum(process.resident_bytes for process in self.processes)

    def call(self, authority: str) -> AbstractAsyncContextManager[Caller]:
        return self.client.call(authority)

    def front(self, authority: str) -> TcpApp:
        """A TCP port that leads through the pair to `authority`, for programs that only dial."""

        async def behave(connection: Connection) -> None:
            async with self.call(authority) as caller:
                await relay(connection, caller)

        return TcpApp(behave)


def our_credentials(files: CertificateFiles) -> hbone_py.Credentials:
    return hbone_py.Credentials.from_files(files.chain, files.key, files.roots)


@contextlib.asynccontextmanager
async def our_server(
    address: str, files: CertificateFiles, config: Http2Config | None = None
) -> AsyncIterator[hbone_py.Server]:
    """The library's server on `address`, forwarding each tunnel to its authority."""
    server = await hbone_py.serve(
        forward,
        address,
        HBONE_PORT,
        credentials=our_credentials(files),
        trust_domain="cluster.local",
        config=config or Http2Config(),
    )
    try:
        yield server
    finally:
        await server.aclose()
