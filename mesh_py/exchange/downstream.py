"""A client's connection: its requests become exchanges, each a task of its own beside the reading of the connection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from hbone_py.errors import ErrorCode, HboneError
from mesh_py.exchange.body import Body
from mesh_py.exchange.patience import USUAL, Patience
from mesh_py.exchange.wire import Wire
from mesh_py.http import events as ev
from mesh_py.http.codec_h1 import H1Server
from mesh_py.http.codec_h2 import H2Server
from mesh_py.http.errors import DownstreamGone, HttpError, RequestTimeout, UnwritableMessage
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from hbone_py.aio.wheel import Timer, TimerWheel
    from mesh_py.exchange.wire import WireStream
    from mesh_py.http.codec import ServerCodec
    from mesh_py.http.messages import HttpRequest

    Handler = Callable[["Exchange"], Awaitable[None]]

log = logging.getLogger("http")

_PERIOD = 60.0
HELD = 128 * 1024
"""Bytes of one HTTP/1 body that wait for their reader before the connection is read no further."""


class Exchange:
    """One request and its answer, as a handler sees it.

    The handler answers once: `send_response`, then `send` and `end`; or `answer` for a short one. If it raises an
    HttpError before the head is out, that is the answer; after it the stream is cut, so that nobody takes it for whole.
    """

    def __init__(self, connection: Downstream, stream: int, request: HttpRequest, *, ended: bool) -> None:
        self.request = request
        self.body = Body(self._credit)
        self.has_body = not ended
        self.is_answered = False
        self.is_over = False
        """The answer is complete, or will never be."""
        self.sent = 0
        """Bytes of the answer's body so far."""
        self.status = 0
        self.trailers: Headers | None = None
        """What went behind the answer's body."""
        self.error: HttpError | None = None
        """Why it failed, if it did."""
        self._connection, self._stream = connection, stream
        self._window = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        if ended:
            self.body.end()

    def _credit(self, count: int) -> None:
        self._connection.consumed(self._stream, count)

    def send_interim(self, response: HttpResponse) -> None:
        """A 1xx before the answer."""
        connection = self._connection
        connection.codec.send_interim(self._stream, response)
        connection.wire.touch()

    def send_response(self, response: HttpResponse, *, ended: bool = False, follows: bool = False) -> None:
        """The answer's head. Raises UnwritableMessage, and then another may be sent.

        Args:
            follows: the caller sends a piece of the body before it waits for anything: both go out together.
        """
        connection = self._connection
        connection.codec.send_response(self._stream, response, ended=ended)
        self.is_answered, self.status, self.is_over = True, response.status, ended
        if not follows:
            connection.wire.touch()
            connection.look()

    async def send(self, data: bytes) -> None:
        """A piece of the answer's body; returns when there is room for more."""
        connection = self._connection
        while data and not self.is_over:
            self._window.clear()
            taken = connection.codec.send_data(self._stream, data)
            self.sent += taken
            connection.wire.touch()
            connection.stir()
            if taken < len(data):
                data = data[taken:]
                await self._window.wait()
            else:
                data = b""
        await connection.wire.room()

    def end(self, trailers: Headers | None = None) -> None:
        """The answer is complete."""
        if not self.is_over:
            self.is_over, self.trailers = True, trailers
            self._connection.codec.end(self._stream, trailers)
            self._connection.wire.touch()
            self._connection.look()

    def beside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start something that runs beside the handler; cancel it before the handler ends."""
        return self._connection.begin(work)

    def answer(self, status: int, text: str | bytes = "", headers: Headers | None = None) -> None:
        """A short answer of our own, as Envoy gives it."""
        fields = headers.copy() if headers is not None else Headers()
        body = text if isinstance(text, bytes) else text.encode()
        fields.set("content-length", str(len(body)))
        if body and "content-type" not in fields:
            fields.add("content-type", "text/plain")
        is_bare = not body or self.request.method == "HEAD"
        self.send_response(HttpResponse(status, fields), ended=is_bare)
        if not is_bare:
            self.sent += self._connection.codec.send_data(self._stream, body)
            self.end()

    def fail(self, error: HttpError) -> None:
        """Give it up: an answer if none was begun, else a cut."""
        self.error = self.error or error
        if self.is_over:
            return
        if not self.is_answered:
            with contextlib.suppress(UnwritableMessage):
                self.answer(error.answer, error.text)
                return
        self.cut()

    def cut(self) -> None:
        """End it so that nobody takes it for complete."""
        self.is_over = True
        self._connection.codec.reset(self._stream, ErrorCode.INTERNAL_ERROR)
        self._connection.wire.touch()
        self._connection.look()

    # What the connection tells ---------------------------------------------

    def window_opened(self) -> None:
        """`send` may go on."""
        self._window.set()

    def lost(self, error: HttpError) -> None:
        """The client is gone, or has broken the request: whoever works on it may stop."""
        self.error = self.error or error
        self.is_over = True
        self.body.fail(error)
        self._window.set()
        if self._task is not None:
            self._task.cancel()

    async def run(self, handler: Handler) -> None:
        """Serve it; whatever the handler does, there is an end."""
        if self.is_over:  # taken back before its turn came: a rapid reset must not cost an upstream request
            return
        self._task = asyncio.current_task()
        try:
            await handler(self)
        except HttpError as error:
            self.fail(error)
        except asyncio.CancelledError:
            if self.error is None:  # it was not the client: the process ends
                self.fail(DownstreamGone("shutting down"))
                raise
        except Exception:
            log.exception("! %s %s: unexpected error", self.request.method, self.request.path)
            self.fail(UnwritableMessage("unexpected error"))
        finally:
            self._task = None
            if not self.is_over:
                self.fail(UnwritableMessage("the handler gave no answer"))


class Downstream:
    """Serves one client on one stream, until either leaves."""

    def __init__(
        self,
        stream: WireStream,
        codec: ServerCodec,
        handler: Handler,
        wheel: TimerWheel,
        patience: Patience = USUAL,
    ) -> None:
        self.codec = codec
        self.wire = Wire(stream, codec)
        self._stream, self._handler, self._wheel, self._patience = stream, handler, wheel, patience
        self._exchanges: dict[int, Exchange] = {}
        self._tasks: asyncio.TaskGroup
        self._timer: Timer | None = None
        self._due = self._rings = 0.0
        """When patience ends, and when the timer looks whether it has; by the wheel's clock."""
        self._period: Timer | None = None
        self._resumed = asyncio.Event()
        self._closing = asyncio.Event()
        self._is_reading_head = False
        self._stirred = False  # something has moved since the timer last looked
        self._reader: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return not self._exchanges

    async def serve(self) -> None:
        """Until the connection is over. Never raises what a client can cause."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._count_anew()
                self._reader = self._tasks.create_task(self._read(), name="client")
                await self._closing.wait()
                self._reader.cancel()
                for exchange in list(self._exchanges.values()):
                    exchange.lost(DownstreamGone("the connection is over"))
            await self._farewell()
        finally:
            for timer in (self._timer, self._period):
                if timer is not None:
                    timer.cancel()
            self.wire.stream.on_room = None
            self.wire.stream.abort() if self.codec.is_aborted or self.wire.is_broken else await self._stream.aclose()

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start something whose parent is this connection."""
        return self._tasks.create_task(work)

    def drain(self) -> None:
        """`connection: close` or GOAWAY; requests under way go on."""
        self.codec.drain()
        self.wire.touch()
        self.look()

    def close(self) -> None:
        """End it now."""
        self._closing.set()

    async def _read(self) -> None:
        codec = self.codec
        self._watch()
        try:
            while not codec.is_closing:
                data = await self._stream.receive()
                self._stirred = True
                if data:
                    codec.receive_data(data)
                else:
                    codec.receive_eof()
                self._carry_out()
                if not data:
                    break
                await self._room()
        except HboneError as error:
            self._gone(DownstreamGone(str(error)))
            self.wire.is_broken = True
        while self._exchanges:  # what is under way ends by itself, or by its deadline
            self._resumed.clear()
            await self._resumed.wait()
        self._closing.set()

    async def _room(self) -> None:
        """Read no further while the codec, or the reader of a body, has enough."""
        while not self.codec.is_closing and (not self.codec.wants_data or self._is_full()):
            self._resumed.clear()
            await self._resumed.wait()

    def _is_full(self) -> bool:
        if len(self._exchanges) != 1:
            return False
        return next(iter(self._exchanges.values())).body.held >= HELD

    def _carry_out(self) -> None:
        for event in self.codec.events():
            match event:
                case ev.DataReceived(stream, data, credit):
                    self._received(stream, data, credit)
                case ev.RequestReceived(stream, request, ended):
                    self._begin(stream, request, ended=ended)
                case ev.MessageEnded(stream, trailers):
                    if exchange := self._exchanges.get(stream):
                        exchange.body.end(trailers)
                case ev.StreamFailed(stream, error):
                    if exchange := self._exchanges.get(stream):
                        exchange.lost(error)
                case ev.WindowOpened(stream):
                    if exchange := self._exchanges.get(stream):
                        exchange.window_opened()
                case ev.ConnectionFailed(error):
                    log.info("a client's connection failed: %s", error)
                    self._gone(error)
        self.wire.touch()
        self._watch()

    def _received(self, stream: int, data: bytes, credit: int) -> None:
        exchange = self._exchanges.get(stream)
        if exchange is None:
            self.consumed(stream, credit)
        else:
            exchange.body.put(data, credit)

    def _begin(self, stream: int, request: HttpRequest, *, ended: bool) -> None:
        exchange = self._exchanges[stream] = Exchange(self, stream, request, ended=ended)
        self._tasks.create_task(self._run(stream, exchange), name=f"{request.method} {request.path}")

    async def _run(self, stream: int, exchange: Exchange) -> None:
        try:
            await exchange.run(self._handler)
        finally:
            self._exchanges.pop(stream, None)
            self.look()

    def _gone(self, error: HttpError) -> None:
        for exchange in list(self._exchanges.values()):
            exchange.lost(error)

    def consumed(self, stream: int, count: int) -> None:
        """A reader of a body has so much."""
        self._stirred = True
        self.codec.consumed(stream, count)
        self.wire.touch()
        self._resumed.set()

    def look(self) -> None:
        """An answer has ended: what the codec held back may go on, and the connection may be over."""
        self._stirred = True
        self._carry_out()
        self._resumed.set()
        if self.codec.is_closing and not self._exchanges:
            self._closing.set()

    def stir(self) -> None:
        """Something moves: silence begins anew."""
        self._stirred = True

    def _count_anew(self) -> None:
        """What a client may ask for nothing is bounded per minute, not per connection."""
        if isinstance(self.codec, H2Server):
            self.codec.new_period()
            self._period = self._wheel.after(_PERIOD, self._count_anew)

    # Deadlines -----------------------------------------------------------------

    def _watch(self) -> None:
        """One deadline: for the rest of a head, for silence within requests, for idleness without.

        The timer stays as it is while it is not too late: a deadline that moves on with every request costs no timer.
        """
        reads_head = isinstance(self.codec, H1Server) and self.codec.is_in_head
        if reads_head and self._is_reading_head and self._timer is not None:
            return  # more bytes of the same head win it no time
        self._is_reading_head, self._stirred = reads_head, False
        patience = self._patience
        seconds = patience.head if reads_head else patience.silence if self._exchanges else patience.idle
        self._due = self._wheel.now + seconds
        if self._timer is None or self._due < self._rings:
            self._set_timer(seconds)

    def _set_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings = self._due
        self._timer = self._wheel.after(seconds, self._too_late)

    def _too_late(self) -> None:
        self._timer = None
        if (left := self._due - self._wheel.now) > 0:
            self._set_timer(left)
            return
        if self._exchanges and not self._stirred:
            for exchange in list(self._exchanges.values()):
                exchange.fail(RequestTimeout("nothing moved in time"))
                exchange.lost(RequestTimeout("nothing moved in time"))
        if self._exchanges:
            self._watch()
            return
        if self._is_reading_head and isinstance(self.codec, H1Server):
            log.info("a client did not finish the head of its request in time")
            self.codec.give_up(RequestTimeout("the head of the request did not come in time"))
            self.wire.touch()
        self._closing.set()

    async def _farewell(self) -> None:
        """Our last bytes go out, and the client's are read a little longer: closing over them would reset the line."""
        if self.codec.is_aborted or self.wire.is_broken:
            return
        with contextlib.suppress(HboneError, TimeoutError):
            async with asyncio.timeout(self._patience.linger):
                self.wire.touch()
                await self.wire.flushed()
                await _say_end(self._stream)
                while await self._stream.receive():
                    pass


async def _say_end(stream: WireStream) -> None:
    """End our direction as far as the stream can."""
    end = getattr(stream, "send_eof", None) or getattr(stream, "send_close_notify", None)
    if end is not None:
        await end()
