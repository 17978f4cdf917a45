"""A client's connection: read by callbacks, its requests served as they come, on the fast lane or each in a task."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from mesh_py.exchange import lane
from mesh_py.exchange.exchange import Exchange
from mesh_py.exchange.reading import HELD, Reading
from mesh_py.exchange.timeouts import DEFAULT_TIMEOUTS, ClientTimeouts
from mesh_py.exchange.wire import Wire
from mesh_py.http import events as ev
from mesh_py.http.codec_h1 import H1Server
from mesh_py.http.codec_h2 import H2Server
from mesh_py.http.errors import DownstreamGone, HttpError, RequestTimeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from hbone_py.aio.wheel import Timer, TimerWheel
    from hbone_py.errors import HboneError
    from mesh_py.exchange.passage import Handler
    from mesh_py.exchange.wire import WireStream
    from mesh_py.http.codec import ServerCodec
    from mesh_py.http.messages import HttpRequest

log = logging.getLogger("http")

_PERIOD = 60.0
_AT_ONCE = 32
"""Requests of one piece that are begun in one turn; those behind them get a task each, and so a turn of their own."""


class Downstream:
    """Serves one client on one stream, until either leaves (`lifetimes.serve`)."""

    def __init__(
        self,
        stream: WireStream,
        codec: ServerCodec,
        handler: Handler,
        wheel: TimerWheel,
        timeouts: ClientTimeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        self.codec = codec
        self.wire = Wire(stream, codec)
        self.wheel = wheel
        self._handler, self.timeouts = handler, timeouts
        self._exchanges: dict[int, Exchange] = {}
        self._tasks: asyncio.TaskGroup
        self._timer: Timer | None = None
        self._due = self._rings = 0.0
        """When the current timeout ends, and when the timer looks whether it has; by the wheel's clock."""
        self._period: Timer | None = None
        self.over = asyncio.Event()
        """Whether the connection is to end."""
        self._reading = Reading(stream, codec, self)
        self._h1 = codec if isinstance(codec, H1Server) else None
        self._is_carrying_out = False
        self._is_reading_head = False
        self._stirred = False  # something has moved since the timer last looked

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return not self._exchanges

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Read, and serve what comes; `tasks` is the parent of what is served in tasks."""
        self._tasks = tasks
        self._count_anew()
        self._watch()
        self._reading.begin()

    def leave(self) -> None:
        """The connection is over: nobody waits for an answer any more."""
        self._reading.end()
        for exchange in list(self._exchanges.values()):
            exchange.lost(DownstreamGone("the connection is over"))

    def end(self) -> None:
        """Let go of everything but the stream."""
        self._reading.end()
        self._interrupt()
        for timer in (self._timer, self._period):
            if timer is not None:
                timer.cancel()
        self.wire.stream.on_room = None

    def _interrupt(self) -> None:
        """The process ends: tasks have been cancelled, and whoever is served by none is let go here."""
        for exchange in list(self._exchanges.values()):
            if exchange.passenger is not None:
                exchange.passenger.left()
                exchange.left_alone()

    def beside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start something whose parent is this connection."""
        return self._tasks.create_task(work)

    def drain(self) -> None:
        """`connection: close` or GOAWAY; requests under way go on."""
        self.codec.drain()
        self.wire.touch()
        self.look()

    def close(self) -> None:
        """End it now."""
        self.over.set()

    # What the reading asks and tells ---------------------------------------------

    def has_enough(self) -> bool:
        """See `Reader`: until a body is read, or an answer is complete."""
        if not self.codec.wants_data:
            return True
        if len(self._exchanges) != 1:
            return False
        [exchange] = self._exchanges.values()
        return exchange.body.held >= HELD

    def came(self) -> None:
        """See `Reader`."""
        self._stirred = True
        self._carry_out()

    def broke(self, error: HboneError) -> None:
        """See `Reader`."""
        self.wire.is_broken = True
        self._gone(DownstreamGone(str(error)))

    def turned(self) -> None:
        """See `Reader`."""
        if not self._exchanges and (self.codec.is_closing or self._reading.is_over):
            self.over.set()  # what is under way ends by itself, or by its deadline

    # What the codec reports ------------------------------------------------------

    def _carry_out(self) -> None:
        """What the codec reports, until it reports nothing more: an answer may set free the next request."""
        if self._is_carrying_out:
            return
        self._is_carrying_out = True
        begun = 0
        has_more = self._h1 is None  # to say than what exchanges say by themselves
        try:
            while events := self.codec.events():
                if len(events) == 1 and isinstance(events[0], ev.RequestReceived):
                    begun += 1
                    self._serve(self._begun(*events[0]), at_once=begun <= _AT_ONCE)
                    continue
                has_more = True
                waiting: list[Exchange] = []
                fed: dict[Exchange, None] = {}
                for event in events:
                    if isinstance(event, ev.RequestReceived):
                        waiting.append(self._begun(*event))  # its body may be among the events behind it
                    else:
                        self._carry_out_one(event, fed)
                for exchange in fed:
                    if exchange.passenger is not None:
                        exchange.passenger.fed()
                for exchange in waiting:
                    begun += 1
                    self._serve(exchange, at_once=begun <= _AT_ONCE)
        finally:
            self._is_carrying_out = False
        if has_more:
            self.wire.touch()
        self._watch()

    def _begun(self, stream: int, request: HttpRequest, ended: bool) -> Exchange:
        exchange = self._exchanges[stream] = Exchange(self, stream, request, ended=ended)
        return exchange

    def _carry_out_one(self, event: ev.Event, fed: dict[Exchange, None]) -> None:
        if isinstance(event, ev.DataReceived):
            if found := self._exchanges.get(event.stream):
                found.body.put(event.data, event.credit)
                fed[found] = None
            else:
                self.consumed(event.stream, event.credit)
        elif isinstance(event, ev.MessageEnded):
            if found := self._exchanges.get(event.stream):
                found.body.end(event.trailers)
                fed[found] = None
        elif isinstance(event, ev.StreamFailed):
            if found := self._exchanges.get(event.stream):
                found.lost(event.error)
        elif isinstance(event, ev.WindowOpened):
            if found := self._exchanges.get(event.stream):
                found.window_opened()
        elif isinstance(event, ev.ConnectionFailed):
            log.info("a client's connection failed: %s", event.error)
            self._gone(event.error)

    def _serve(self, exchange: Exchange, *, at_once: bool) -> None:
        if exchange.is_over:  # taken back before its turn came: a rapid reset must not cost an upstream request
            self._exchanges.pop(exchange.stream, None)
        elif at_once and lane.IS_OPEN:
            lane.begin(exchange, self._handler)
        else:
            self.run(exchange, partial(lane.serve, exchange, self._handler))

    def run(self, exchange: Exchange, work: Callable[[], Awaitable[None]]) -> None:
        """Serve an exchange in a task of its own."""
        exchange.passenger = None
        request = exchange.request
        self._tasks.create_task(self._run(exchange, work), name=f"{request.method} {request.path}")

    async def _run(self, exchange: Exchange, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await exchange.run(work)
        finally:
            self.served(exchange)

    def served(self, exchange: Exchange) -> None:
        """Nobody serves it any more."""
        self._exchanges.pop(exchange.stream, None)
        self.look()

    def _gone(self, error: HttpError) -> None:
        for exchange in list(self._exchanges.values()):
            exchange.lost(error)

    def consumed(self, stream: int, count: int) -> None:
        """A reader of a body has so much."""
        self._stirred = True
        self.codec.consumed(stream, count)
        self.wire.touch()
        if self._reading.is_paused:
            self._reading.resume()

    def look(self) -> None:
        """An answer has ended: what the codec held back may go on, and the connection may be over."""
        self._stirred = True
        if self.codec.has_events:
            self._carry_out()
        else:
            self._watch()
        if self._reading.is_paused:
            self._reading.resume()
        self.turned()

    def stir(self) -> None:
        """Something moves: silence begins anew."""
        self._stirred = True

    def _count_anew(self) -> None:
        """What a client may ask for nothing is bounded per minute, not per connection."""
        if isinstance(self.codec, H2Server):
            self.codec.new_period()
            self._period = self.wheel.after(_PERIOD, self._count_anew)

    # Deadlines -----------------------------------------------------------------

    def _watch(self) -> None:
        """One deadline: for the rest of a head, for silence within requests, for idleness without.

        The timer stays as it is while it is not too late: a deadline that moves on with every request costs no timer.
        """
        reads_head = self._h1 is not None and not self._exchanges and self._h1.is_in_head
        if reads_head and self._is_reading_head and self._timer is not None:
            return  # more bytes of the same head win it no time
        self._is_reading_head, self._stirred = reads_head, False
        timeouts = self.timeouts
        seconds = timeouts.head if reads_head else timeouts.silence if self._exchanges else timeouts.idle
        self._due = self.wheel.time() + seconds
        if self._timer is None or self._due < self._rings:
            self._set_timer(seconds)

    def _set_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings = self._due
        self._timer = self.wheel.after(seconds, self._too_late)

    def _too_late(self) -> None:
        self._timer = None
        if (left := self._due - self.wheel.now) > 0:
            self._set_timer(left)
            return
        if self._exchanges and not self._stirred:
            for exchange in list(self._exchanges.values()):
                exchange.fail(RequestTimeout("nothing moved in time"))
                exchange.lost(RequestTimeout("nothing moved in time"))
        if self._exchanges:
            self._watch()
            return
        if self._is_reading_head and self._h1 is not None:
            log.info("a client did not finish the head of its request in time")
            self._h1.give_up(RequestTimeout("the head of the request did not come in time"))
            self.wire.touch()
        self.over.set()
