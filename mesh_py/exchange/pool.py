"""Connections to servers, kept for the next call that goes the same way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from hbone_py.errors import HboneError
from mesh_py.exchange.lifetimes import keep
from mesh_py.exchange.place import Place
from mesh_py.exchange.upstream import Upstream
from mesh_py.http.errors import HttpError, UpstreamFailure, UpstreamOverflow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from hbone_py.aio.wheel import TimerWheel
    from mesh_py.exchange.wire import WireStream
    from mesh_py.http.codec import ClientCodec

    Dial = Callable[[], Awaitable[tuple[WireStream, ClientCodec]]]
    """Connects. Raises HboneError, HttpError among them."""

STREAMS = 100
"""Calls side by side on one HTTP/2 connection: what servers of a mesh allow before they have said so."""


@dataclass(slots=True)
class PoolLimits:
    """What one destination may cost (a DestinationRule's connectionPool)."""

    connections: int = 1024
    """Connections at once."""
    waiting: int = 1024
    """Calls that wait for a connection."""
    calls_per_connection: int = 0
    """After so many a connection is replaced; 0: never."""
    idle: float = 90.0
    """Seconds until an unused connection closes: before most servers do."""
    connect: float | None = None
    """Seconds that connecting may take; None: as long as whoever connects waits by itself."""
    streams: int = STREAMS
    """Calls side by side on one HTTP/2 connection."""


class Pool:
    """Connections by key. `serve` is their parent."""

    def __init__(self, wheel: TimerWheel) -> None:
        self._wheel = wheel
        self._places: dict[Hashable, Place] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def serve(self) -> None:
        """The parent of every connection's reading; until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            await asyncio.get_running_loop().create_future()

    def __len__(self) -> int:
        return sum(len(place.connections) for place in self._places.values())

    def lease_now(self, key: Hashable) -> Upstream | None:
        """The same, of those that are here: None if there is none to be had without waiting."""
        place = self._places.get(key)
        return None if place is None else place.lease_now()

    async def lease(self, key: Hashable, dial: Dial, limits: PoolLimits, *, multiplexed: bool) -> Upstream:
        """A connection that takes one more call: call `open` on it before anything else is awaited.

        Raises UpstreamOverflow at a limit, UpstreamFailure when there is no connecting, and what `dial` raises.
        """
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = Place(limits, self._wheel)
        place.limits = limits  # a rule may have been edited
        while True:
            if (found := place.lease_now()) is not None:
                return found
            is_full = len(place.connections) + place.dialling >= limits.connections
            if is_full or (multiplexed and place.dialling):
                await self._wait(place)
            else:
                return await self._connect(key, place, dial)

    def adopt(self, key: Hashable, stream: WireStream, codec: ClientCodec, limits: PoolLimits) -> bool:
        """Keep a connection that was opened for another reason: the next call takes it before any other.

        It takes the place of one that has served and stands unused, so that no more are kept than are asked for.
        False where there are as many as may be: the caller still has it.
        """
        place = self._places.setdefault(key, Place(limits, self._wheel))
        unused = next((one for one in place.connections if one.is_idle and one.served), None)
        if unused is not None:
            unused.close()
        elif len(place.connections) + place.dialling >= limits.connections:
            return False
        connection = self._keep(key, place, stream, codec)
        place.connections.insert(0, place.connections.pop())
        place.changed(connection)
        return True

    async def _wait(self, place: Place) -> None:
        if len(place.waiting) >= place.limits.waiting:
            raise UpstreamOverflow("too many calls wait for a connection")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place.waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                place.wake()  # the turn was ours and we do not take it
            raise

    async def _connect(self, key: Hashable, place: Place, dial: Dial) -> Upstream:
        place.dialling += 1
        try:
            async with asyncio.timeout(place.limits.connect):
                stream, codec = await dial()
        except TimeoutError:
            raise UpstreamFailure("no connection to upstream in time") from None
        except HttpError:
            raise
        except HboneError as error:
            raise UpstreamFailure(str(error)) from error
        finally:
            place.dialling -= 1
            place.wake_all()
            self._tidy(key, place)
        return self._keep(key, place, stream, codec)

    def _keep(self, key: Hashable, place: Place, stream: WireStream, codec: ClientCodec) -> Upstream:
        assert self._tasks is not None, "the pool is not served"
        connection = Upstream(stream, codec, place.changed)
        place.connections.append(connection)
        place.when_empty = partial(self._tidy, key, place)
        self._places[key] = place
        self._tasks.create_task(keep(connection), name=f"upstream {key}")
        place.count_anew(connection)
        return connection

    def _tidy(self, key: Hashable, place: Place) -> None:
        if not place.connections and not place.dialling and not place.waiting and self._places.get(key) is place:
            del self._places[key]
            place.when_empty = None  # it knows us, and itself by us

    def close(self) -> None:
        """Every connection ends once its calls have."""
        for place in list(self._places.values()):
            for connection in list(place.connections):
                connection.close()
