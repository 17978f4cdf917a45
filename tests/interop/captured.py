"""An application's connection as a proxy captures it: TCP to the proxy, opened by a PROXY protocol header."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

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
async def captured(
    envoy: Envoy, authority: str
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to `authority` through Envoy's outbound side, aborted when the block ends."""
    reader, writer = await asyncio.open_connection(envoy.address, envoy.proxy_port)
    try:
        before = envoy.captured_connections()
        writer.write(proxy_header(authority))
        # Envoy drops a connection whose FIN comes together with the PROXY line: let it read that first.
        await eventually(lambda: envoy.captured_connections() > before, "captured")
        yield reader, writer
    finally:
        writer.transport.abort()
