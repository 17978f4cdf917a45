"""An application's connection as Envoy captures it: TCP to the proxy, opened by a PROXY protocol header."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.interop.callers import TcpCaller, dial
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.envoy import Envoy

APPLICATION_IP = "127.0.99.9"


def proxy_header(authority: str) -> bytes:
    """The PROXY protocol v1 line that says a connection was meant for `authority` (IPv4:port)."""
    host, _, port = authority.rpartition(":")
    return f"PROXY TCP4 {APPLICATION_IP} {host} 5555 {port}\r\n".encode()


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
