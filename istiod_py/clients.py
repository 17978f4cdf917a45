"""Who is connected: one entry per discovery stream, so that pushes reach it, pages show it, and an end ends it."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from istiod_py.subscription import TooManyNamesError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from istiod_py.dialects import Subscription
    from istiod_py.node import ProxyNode
    from mesh_py.identity.tokens import Caller

MOST_CLIENTS = 5_000
"""Discovery streams at once."""


class TooManyClientsError(Exception):
    """No stream more fits."""


class NameBudget:
    """What clients say of themselves, and the names that they ask for, may cost us so many bytes: each alone, and less
    when all together take much.

    A modest client is never refused for what others do.
    """

    ALL = 512 << 20
    ONE = 16 << 20
    MODEST = 256 << 10

    def __init__(self) -> None:
        self.spent = 0

    @property
    def share(self) -> int:
        """What one client may take now."""
        return max(self.MODEST, min(self.ONE, self.ALL - self.spent))


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
    budget: NameBudget
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    """By type URL."""
    pushes: int = 0
    is_ending: bool = False
    names_cost: int = 0
    """Bytes of the common budget that its node and its names take."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Something may have to be sent."""
        self._wake.set()

    def end(self) -> None:
        """The stream is to end, politely."""
        self.is_ending = True
        self._wake.set()

    def remember(self, more: int) -> None:
        """It, or its names, cost so many bytes more, or less. Raises TooManyNamesError."""
        self.names_cost += more
        self.budget.spent += more
        if more > 0 and self.names_cost > self.budget.share:
            raise TooManyNamesError(
                f"node and names of {self.names_cost} bytes in all: unsubscribe some, or come back later"
            )

    async def woken(self) -> None:
        """Wait until somebody has called `wake`, or has since the last time."""
        await self._wake.wait()
        self._wake.clear()


class Clients:
    """All of them."""

    def __init__(self, most: int = MOST_CLIENTS) -> None:
        self._most = most
        self.names = NameBudget()
        self._clients: dict[str, Client] = {}
        self._numbers = itertools.count(1)
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[Client]:
        return iter(tuple(self._clients.values()))

    def join(self, node: ProxyNode, caller: Caller | None, address: str, form: str, now: float) -> Client:
        """A stream begins. Raises TooManyClientsError, TooManyNamesError."""
        if len(self._clients) >= self._most or self._is_closed:
            raise TooManyClientsError
        id = f"{node.name}.{node.namespace}-{next(self._numbers)}"
        client = Client(id, node, caller, address, form, now, self.names)
        try:
            client.remember(node.cost)
        except TooManyNamesError:
            self.names.spent -= client.names_cost
            raise
        self._clients[id] = client
        return client

    def leave(self, client: Client) -> None:
        """It is over."""
        if self._clients.pop(client.id, None) is not None:
            self.names.spent -= client.names_cost

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
