"""Letting go of what is kept, in order: requests' connections first, then the tunnels they were in, then the peers."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mesh_py.proxy.context import ProxyContext

SECONDS = 0.3
"""How long tunnels that nobody uses may take to end; whoever is at their other end need not answer."""
_LOOK_SECONDS = 0.005


async def let_go(context: ProxyContext[Any]) -> None:
    """End unused tunnels as they should be ended, so that no proxy at their other end takes it for a failure."""
    context.http.close()
    deadline = time.monotonic() + SECONDS
    while context.peers.tunnels and time.monotonic() < deadline:  # noqa: ASYNC110 - streams' ends tell nobody
        await asyncio.sleep(_LOOK_SECONDS)
