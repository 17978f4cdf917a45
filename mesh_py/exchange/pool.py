"""Connections to servers, kept for the next call that goes the same way."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from hbone_py.errors import HboneError
from mesh_py.exchange.lifetimes import keep
from mesh_py.exchange.upstream import Upstream
from mesh_py.http.codec_h2 import H2Client
from mesh_py.http.errors import HttpError, UpstreamFailure, UpstreamOverflow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from hbone_py.aio.wheel import Timer, TimerWheel
    from mesh_py.exchange.wire import WireStream
    from mesh_py.http.codec import ClientCodec

    Dial = Callable[[], Awaitable[tuple[WireStream, ClientCodec]]]
    """Connects. Raises HboneError, HttpError among them."""

_PERIOD = 60.0
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


@dataclass(slots=True)
class _Place:
    """All connections of one way."""

    limits: PoolLimits
    connections: list[Upstream] = field(default_factory=list)
    dialling: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    free: list[Upstream] = field(default_factory=list)
    """Those without a call, the last one used at the end; some may have changed since."""
    timers: dict[Upstream, Timer] = field(default_factory=dict)

    def wake(self) -> None:
        """Somebody who waits may look again."""
        while self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


class Pool:
    """Connections by key. `serve` is their parent."""

    def __init__(self, wheel: TimerWheel) -> None:
        self._wheel = wheel
        self._places: dict[Hashable, _Place] = {}
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
        return None if place is None else _free(place) or _shared(place)

    async def lease(self, key: Hashable, dial: Dial, limits: PoolLimits, *, multiplexed: bool) -> Upstream:
        """A connection that takes one more call: call `open` on it before anything else is awaited.

        Raises UpstreamOverflow at a limit, UpstreamFailure when there is no connecting, and what `dial` raises.
        """
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = _Place(limits)
        place.limits = limits  # a rule may have been edited
        while True:
            if (found := _free(place) or _shared(place)) is not None:
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
        place = self._places.setdefault(key, _Place(limits))
        unused = next((one for one in place.connections if one.is_idle and one.served), None)
        if unused is not None:
            unused.close()
        elif len(place.connections) + place.dialling >= limits.connections:
            return False
        connection = self._keep(key, place, stream, codec)
        place.connections.insert(0, place.connections.pop())
        self._changed(key, place, connection)
        return True

    async def _wait(self, place: _Place) -> None:
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

    async def _connect(self, key: Hashable, place: _Place, dial: Dial) -> Upstream:
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
            self._wake_all(place)
            self._tidy(key, place)
        return self._keep(key, place, stream, codec)

    def _keep(self, key: Hashable, place: _Place, stream: WireStream, codec: ClientCodec) -> Upstream:
        assert self._tasks is not None, "the pool is not served"
        connection = Upstream(stream, codec, partial(self._changed, key, place))
        place.connections.append(connection)
        self._places[key] = place
        self._tasks.create_task(keep(connection), name=f"upstream {key}")
        self._count_anew(connection)
        return connection

    def _count_anew(self, connection: Upstream) -> None:
        """What a server may ask for nothing is bounded per minute, not per connection."""
        if isinstance(connection.codec, H2Client) and not connection.is_closed:
            connection.codec.new_period()
            self._wheel.after(_PERIOD, lambda: self._count_anew(connection))

    def _wake_all(self, place: _Place) -> None:
        for _ in range(len(place.waiting)):
            place.wake()

    def _changed(self, key: Hashable, place: _Place, connection: Upstream) -> None:
        if connection.is_closed:
            self._gone(place, connection)
        elif connection.is_idle:
            worn = place.limits.calls_per_connection
            if worn and connection.served >= worn:
                connection.close()
                return
            self._is_free(place, connection)
            if not place.waiting:
                return
        if place.waiting:
            if isinstance(connection.codec, H2Client):
                self._wake_all(place)
            else:
                place.wake()
        self._tidy(key, place)

    def _gone(self, place: _Place, connection: Upstream) -> None:
        if (timer := place.timers.pop(connection, None)) is not None:
            timer.cancel()
        if connection in place.connections:
            place.connections.remove(connection)

    def _is_free(self, place: _Place, connection: Upstream) -> None:
        """It may be leased again. One timer per connection, which rings when that may have been long ago."""
        connection.idle_since = self._wheel.now
        if not connection.is_listed:
            connection.is_listed = True
            place.free.append(connection)
        if connection not in place.timers:
            self._wait_idle(place, connection, place.limits.idle)

    def _wait_idle(self, place: _Place, connection: Upstream, seconds: float) -> None:
        place.timers[connection] = self._wheel.after(seconds, lambda: self._look_idle(place, connection))

    def _look_idle(self, place: _Place, connection: Upstream) -> None:
        del place.timers[connection]
        left = connection.idle_since + place.limits.idle - self._wheel.now
        if not connection.is_idle:
            return  # it will be told when it is
        if left > 0:
            self._wait_idle(place, connection, left)
        else:
            connection.close()

    def _tidy(self, key: Hashable, place: _Place) -> None:
        if not place.connections and not place.dialling and not place.waiting and self._places.get(key) is place:
            del self._places[key]

    def close(self) -> None:
        """Every connection ends once its calls have."""
        for place in list(self._places.values()):
            for connection in list(place.connections):
                connection.close()


def _free(place: _Place) -> Upstream | None:
    """The connection without a call that was used last: the longer others rest, the sooner they are closed."""
    while place.free:
        connection = place.free.pop()
        connection.is_listed = False
        if connection.can_open and connection.is_idle:
            return connection
    return None


def _shared(place: _Place) -> Upstream | None:
    """One that takes a call beside others."""
    streams = place.limits.streams
    for connection in place.connections:
        if len(connection.calls) < (streams if connection.is_multiplexed else 1) and connection.can_open:
            return connection
    return None
