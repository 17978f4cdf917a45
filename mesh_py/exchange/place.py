"""All connections of one way: which of them takes the next call, and until when one without calls is kept.

Asked twice for every request, it is apart from the waiting for connections (`pool`), and compiled.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from mesh_py.http.codec_h2 import H2Client

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from hbone_py.aio.wheel import Timer, TimerWheel
    from mesh_py.exchange.pool import PoolLimits
    from mesh_py.exchange.upstream import Upstream

_PERIOD = 60.0


class Place:
    """The pool keeps one for each key."""

    def __init__(self, limits: PoolLimits, wheel: TimerWheel) -> None:
        self.limits = limits
        self.connections: list[Upstream] = []
        self.dialling = 0
        self.waiting: deque[asyncio.Future[None]] = deque()
        self.when_empty: Callable[[], None] | None = None
        """Called where the last connection may have gone."""
        self._wheel = wheel
        self._free: list[Upstream] = []
        """Those without a call, the last one used at the end; some may have changed since."""
        self._timers: dict[Upstream, Timer] = {}

    def lease_now(self) -> Upstream | None:
        """A connection that takes one more call; None if there is none."""
        return self._unused() or self._shared()

    def _unused(self) -> Upstream | None:
        """The one without a call that was used last: the longer others rest, the sooner they are closed."""
        while self._free:
            connection = self._free.pop()
            connection.is_listed = False
            if not connection.calls and connection.can_open:
                return connection
        return None

    def _shared(self) -> Upstream | None:
        """One that takes a call beside others."""
        streams = self.limits.streams
        for connection in self.connections:
            if len(connection.calls) < (streams if connection.is_multiplexed else 1) and connection.can_open:
                return connection
        return None

    def changed(self, connection: Upstream) -> None:
        """A call of it has ended, or the connection has."""
        if connection.is_closed:
            self._gone(connection)
        elif not connection.calls:
            worn = self.limits.calls_per_connection
            if worn and connection.served >= worn:
                connection.close()
                return
            self._is_free(connection)
            if not self.waiting:
                return
        if self.waiting:
            if connection.is_multiplexed:
                self.wake_all()
            else:
                self.wake()
        if not self.connections and self.when_empty is not None:
            self.when_empty()

    def wake(self) -> None:
        """Somebody who waits may look again."""
        while self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def wake_all(self) -> None:
        """Everybody who waits may."""
        for _ in range(len(self.waiting)):
            self.wake()

    def _gone(self, connection: Upstream) -> None:
        if (timer := self._timers.pop(connection, None)) is not None:
            timer.cancel()
        if connection in self.connections:
            self.connections.remove(connection)

    def _is_free(self, connection: Upstream) -> None:
        """It may be leased again. One timer per connection, which rings when that may have been long ago."""
        connection.idle_since = self._wheel.time()
        if not connection.is_listed:
            connection.is_listed = True
            self._free.append(connection)
        if connection not in self._timers:
            self._wait_idle(connection, self.limits.idle)

    def _wait_idle(self, connection: Upstream, seconds: float) -> None:
        self._timers[connection] = self._wheel.after(seconds, lambda: self._look_idle(connection))

    def _look_idle(self, connection: Upstream) -> None:
        del self._timers[connection]
        left = connection.idle_since + self.limits.idle - self._wheel.now
        if not connection.is_idle:
            return  # it will be told when it is
        if left > 0:
            self._wait_idle(connection, left)
        else:
            connection.close()

    def count_anew(self, connection: Upstream) -> None:
        """What a server may ask for nothing is bounded per minute, not per connection."""
        if isinstance(connection.codec, H2Client) and not connection.is_closed:
            connection.codec.new_period()
            self._wheel.after(_PERIOD, lambda: self.count_anew(connection))
