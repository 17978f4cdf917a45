"""An application's connection as a proxy captures it: TCP to the proxy, opened by a PROXY protocol header."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.interop.callers import TcpCaller, dial
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.envoy import Envoy
    from tests.support.ztunnel import Ztunnel

APPLICATION_IP = "127.0.99.9"


def proxy_header(authority: str, source: str = APPLICATION_IP) -> bytes:
    """The PROXY protocol v1 line: a connection from `source` was meant for `authority` (IPv4:port)."""
    host, _, port = authority.rpartition(":")
    return f"PROXY TCP4 {source} {host} 5555 {port}\r\n".encode()


@contextlib.asynccontextmanager
async def captured(envoy: Envoy, authority: str, *, ends_early: bool = True) -> AsyncIterator[TcpCaller]:
    """A connection to `authority` through Envoy's outbound side, dropped when the block ends.

    Envoy drops a connection whose FIN comes together with the PROXY line: with `ends_early` we wait until it
    has read that line.
    """
    async with dial(envoy.address, envoy.proxy_port) as caller:
        before = envoy.captured_connections() if ends_early else 0
        await caller.send(proxy_header(authority))
        if ends_early:
            await eventually(lambda: envoy.captured_connections() > before, "captured")
        yield caller


@contextlib.asynccontextmanager
async def captured_by_ztunnel(ztunnel: Ztunnel, source: str, authority: str) -> AsyncIterator[TcpCaller]:
    """A connection of the pod `source` to `authority` through our node proxy, dropped when the block ends."""
    async with dial(ztunnel.address, ztunnel.capture_port) as caller:
        await caller.send(proxy_header(authority, source))
        yield caller
