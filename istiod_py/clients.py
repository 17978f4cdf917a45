"""Who is connected: one entry per discovery stream, so that pushes reach it, pages show it, and an end ends it."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from istiod_py.dialects import Subscription
    from istiod_py.node import ProxyNode
    from mesh_py.identity.tokens import Caller

MOST_CLIENTS = 5_000
"""Discovery streams at once."""


class TooManyClientsError(Exception):
    """No stream more fits."""


@dataclass(eq=False)
class Client:
    """One proxy on one stream."""

    id: str
    node: ProxyNode
    caller: Caller | None
    """Who its token or certificate says it is; None in plaintext without one."""
    address: str
    form: str
    """`delta` or `state`."""
    connected_at: float
    """Seconds since the epoch."""
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    """By type URL."""
    pushes: int = 0
    is_ending: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Something may have to be sent."""
        self._wake.set()

    def end(self) -> None:
        """The stream is to end, politely."""
        self.is_ending = True
        self._wake.set()

    async def woken(self) -> None:
        """Wait until somebody has called `wake`, or has since the last time."""
        await self._wake.wait()
        self._wake.clear()


class Clients:
    """All of them."""

    def __init__(self, most: int = MOST_CLIENTS) -> None:
        self._most = most
        self._clients: dict[str, Client] = {}
        self._numbers = itertools.count(1)
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[Client]:
        return iter(tuple(self._clients.values()))

    def join(self, node: ProxyNode, caller: Caller | None, address: str, form: str, now: float) -> Client:
        """A stream begins. Raises TooManyClientsError."""
        if len(self._clients) >= self._most or self._is_closed:
            raise TooManyClientsError
        id = f"{node.name}.{node.namespace}-{next(self._numbers)}"
        client = self._clients[id] = Client(id, node, caller, address, form, now)
        return client

    def leave(self, client: Client) -> None:
        """It is over."""
        self._clients.pop(client.id, None)

    def wake_all(self) -> None:
        """There is a new state."""
        for client in self:
            client.wake()

    def end_all(self) -> None:
        """End every stream politely, and let no other begin."""
        self._is_closed = True
        for client in self:
            client.end()

    def of_proxy(self, proxy: str) -> list[Client]:
        """The streams of a proxy by `name.namespace` (istioctl's way), by node id, or by stream id."""
        return [c for c in self if proxy in (c.id, c.node.id, f"{c.node.name}.{c.node.namespace}")]
