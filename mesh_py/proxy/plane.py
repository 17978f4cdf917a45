"""What the data planes of sidecar and waypoint have in common: they are served, drained and ended alike."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from mesh_py.proxy.farewell import let_go

if TYPE_CHECKING:
    from hbone_py.aio.tcp import Listener
    from mesh_py.proxy.clusters import Clusters
    from mesh_py.proxy.connections import Connections
    from mesh_py.proxy.context import ProxyContext
    from mesh_py.proxy.key_sets import KeySets
    from mesh_py.proxy.tunnels import TunnelServer

Context = TypeVar("Context", bound="ProxyContext")  # type: ignore[type-arg]
_LOOK_SECONDS = 0.05


@dataclass(slots=True)
class Layer7Plane(Generic[Context]):
    """Listeners and what serves them. A role says what listens (`listen`)."""

    context: Context
    connections: Connections
    clusters: Clusters
    key_sets: KeySets
    tunnels: TunnelServer
    listeners: dict[str, Listener] = field(default_factory=dict, init=False)
    """By name, once they listen."""
    listening: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    """Set once connections are accepted."""

    def listen(self) -> None:
        """Fill `listeners`: connections are accepted from now on."""
        raise NotImplementedError

    async def background(self) -> None:
        """Serve until cancelled: the parents of all that is under way, then the listeners."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.connections.serve(), name="connections")
            group.create_task(self.context.http.serve(), name="upstreams")
            group.create_task(self.key_sets.serve(), name="key sets")
            await asyncio.sleep(0)  # from here on they are there
            self.listen()
            self.listening.set()

    async def drain(self, seconds: float) -> bool:
        """Stop accepting at once, let connections end, cut what is left; True if none was cut."""
        begun = time.monotonic()
        for listener in self.listeners.values():
            listener.close()
        self.tunnels.drain()
        clean = await self.connections.drain(seconds)
        deadline = begun + seconds
        while self.tunnels.clients and time.monotonic() < deadline:  # noqa: ASYNC110 - farewells tell nobody
            await asyncio.sleep(_LOOK_SECONDS)
        await let_go(self.context)
        self.close()
        return clean

    async def cut(self) -> None:
        """End everything now."""
        await self.connections.cut()
        self.close()

    def close(self) -> None:
        """Let go of kept connections."""
        self.context.http.close()
        self.context.peers.close()
        self.tunnels.close()
