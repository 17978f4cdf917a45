"""A connection to a server: calls go out on it, one after another over HTTP/1, side by side over HTTP/2."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from hbone_py.errors import ErrorCode, HboneError
from mesh_py.exchange.body import Body
from mesh_py.exchange.wire import Wire
from mesh_py.http import events as ev
from mesh_py.http.errors import HttpError, UpstreamReset

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh_py.exchange.wire import WireStream
    from mesh_py.http.codec import ClientCodec
    from mesh_py.http.headers import Headers
    from mesh_py.http.messages import HttpRequest, HttpResponse

HELD = 128 * 1024
"""Bytes of one HTTP/1 body that wait for their reader before the connection is read no further."""


class Call:
    """One request on its way, and its answer."""

    def __init__(self, connection: Upstream, interim: Callable[[HttpResponse], None] | None) -> None:
        self.body = Body(self._credit)
        self.stream = 0
        self.sent = 0
        """Bytes of the request's body so far."""
        self.has_answer_body = True
        self.is_over = False
        """The answer is complete, or will never be."""
        self._connection = connection
        self._interim = interim
        self._response: asyncio.Future[HttpResponse] = asyncio.get_running_loop().create_future()
        self._window = asyncio.Event()
        self._has_ended = False

    def _credit(self, count: int) -> None:
        self._connection.consumed(self.stream, count)

    async def response(self) -> HttpResponse:
        """The answer's head. Raises HttpError when none comes."""
        return await self._response

    async def send(self, data: bytes) -> None:
        """A piece of the request's body; returns when there is room for more. Nothing, once the answer is complete."""
        connection = self._connection
        while data and not self.is_over:
            self._window.clear()
            taken = connection.codec.send_data(self.stream, data)
            self.sent += taken
            connection.wire.touch()
            if taken < len(data):
                data = data[taken:]
                await self._window.wait()
            else:
                data = b""
        await connection.wire.room()

    def end(self, trailers: Headers | None = None) -> None:
        """The request is complete."""
        if not self._has_ended and not self.is_over:
            self._has_ended = True
            self._connection.codec.end(self.stream, trailers)
            self._connection.wire.touch()

    def release(self) -> None:
        """Nobody wants the rest: what is not over is cut."""
        self._connection.release(self)

    # What the connection tells -------------------------------------------------

    def answered(self, response: HttpResponse, *, ended: bool) -> None:
        """The head has come."""
        self.has_answer_body = not ended
        if not self._response.done():
            self._response.set_result(response)
        if ended:
            self.ended(None)

    def interim(self, response: HttpResponse) -> None:
        """A 1xx."""
        if self._interim is not None:
            self._interim(response)

    def ended(self, trailers: Headers | None) -> None:
        """The answer is complete."""
        self.is_over = True
        self.body.end(trailers)
        self._window.set()

    def failed(self, error: HttpError) -> None:
        """It will never be."""
        self.is_over = True
        if not self._response.done():
            self._response.set_exception(error)
            self._response.exception()  # whoever waits is told; nobody need wait
        self.body.fail(error)
        self._window.set()

    def window_opened(self) -> None:
        """`send` may go on."""
        self._window.set()


class Upstream:
    """One connection. `changed(connection)` is called when a call has ended or the connection has."""

    def __init__(self, stream: WireStream, codec: ClientCodec, changed: Callable[[Upstream], None]) -> None:
        self.codec = codec
        self.wire = Wire(stream, codec)
        self.is_closed = False
        self.calls: dict[int, Call] = {}
        self.served = 0
        """Calls begun on it so far."""
        self._stream, self._changed = stream, changed
        self._resumed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.wire.touch()

    @property
    def can_open(self) -> bool:
        """Whether it takes one more call now."""
        return not self.is_closed and not self.wire.is_broken and self.codec.can_open

    @property
    def is_idle(self) -> bool:
        """Whether no call is under way."""
        return not self.calls

    def open(self, request: HttpRequest, *, ended: bool, interim: Callable[[HttpResponse], None] | None = None) -> Call:
        """Send a request's head. Raises UnwritableMessage: nothing was sent."""
        call = Call(self, interim)
        call.stream = self.codec.send_request(request, ended=ended)
        call._has_ended = ended
        self.served += 1
        self.calls[call.stream] = call
        self.wire.touch()
        return call

    def release(self, call: Call) -> None:
        """Nobody wants what is left of it."""
        self.codec.reset(call.stream, ErrorCode.CANCEL)  # of one that has ended, what is unread gives its window back
        self.wire.touch()
        if self.calls.get(call.stream) is call:
            del self.calls[call.stream]
            call.failed(UpstreamReset("given up"))
            self._settle()

    def consumed(self, stream: int, count: int) -> None:
        """A reader of a body has so much."""
        self.codec.consumed(stream, count)
        self.wire.touch()
        self._resumed.set()

    def close(self) -> None:
        """Take no more calls; close when the last one has ended."""
        self.codec.drain()
        self._settle()

    async def run(self) -> None:
        """Read until the connection is over. Its owner runs this as a task."""
        self._task = asyncio.current_task()
        try:
            while not self.codec.is_closing:
                data = await self._stream.receive()
                if data:
                    self.codec.receive_data(data)
                else:
                    self.codec.receive_eof()
                self._carry_out()
                if not data:
                    break
                await self._room()
        except HboneError as error:
            self._lost(UpstreamReset(f"upstream connection broke: {error}"))
        finally:
            await self._end()

    async def _room(self) -> None:
        while not self.codec.is_closing and len(self.calls) == 1:
            [call] = self.calls.values()
            if call.body.held < HELD:
                return
            self._resumed.clear()
            await self._resumed.wait()

    def _carry_out(self) -> None:
        for event in self.codec.events():
            match event:
                case ev.DataReceived(stream, data, credit):
                    if call := self.calls.get(stream):
                        call.body.put(data, credit)
                    else:
                        self.codec.consumed(stream, credit)
                case ev.ResponseReceived(stream, response, ended):
                    if call := self.calls.get(stream):
                        call.answered(response, ended=ended)
                        self._forget(stream, over=ended)
                case ev.MessageEnded(stream, trailers):
                    if call := self.calls.get(stream):
                        call.ended(trailers)
                        self._forget(stream, over=True)
                case ev.StreamFailed(stream, error):
                    if call := self.calls.pop(stream, None):
                        call.failed(error)
                case ev.InterimReceived(stream, response):
                    if call := self.calls.get(stream):
                        call.interim(response)
                case ev.WindowOpened(stream):
                    if call := self.calls.get(stream):
                        call.window_opened()
                case ev.ConnectionFailed(error):
                    self._lost(error)
        self._settle()

    def _forget(self, stream: int, *, over: bool) -> None:
        if over:
            self.calls.pop(stream, None)

    def _settle(self) -> None:
        """After every change: send, wake the reading, tell the owner."""
        self.wire.touch()
        self._resumed.set()
        if self.codec.is_closing and not self.calls:
            self.is_closed = True
            if self._task is not None and self._task is not asyncio.current_task():
                self._task.cancel()
        self._changed(self)

    def _lost(self, error: HttpError) -> None:
        self.is_closed = True
        for call in list(self.calls.values()):
            call.failed(error)
        self.calls.clear()

    async def _end(self) -> None:
        self._task = None
        self._lost(UpstreamReset("the connection is over"))
        self.wire.stream.on_room = None
        with contextlib.suppress(HboneError):
            if self.codec.is_aborted or self.wire.is_broken:
                self._stream.abort()
            else:
                await self._stream.aclose()
        self._changed(self)
