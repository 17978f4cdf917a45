"""A connection to a server: calls go out on it, one after another over HTTP/1, side by side over HTTP/2."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from hbone_py.aio.tcp import show
from hbone_py.aio.tls_stream import TlsStream
from hbone_py.aio.tunnel_stream import TunnelStream
from hbone_py.errors import ErrorCode, HboneError
from mesh_py.exchange.body import NO_BODY, Body
from mesh_py.exchange.reading import HELD, Reading
from mesh_py.exchange.wire import Wire
from mesh_py.http import events as ev
from mesh_py.http.codec_h1 import H1Client
from mesh_py.http.errors import HttpError, UpstreamReset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mesh_py.exchange.wire import WireStream
    from mesh_py.http.codec import ClientCodec
    from mesh_py.http.headers import Headers
    from mesh_py.http.messages import HttpRequest, HttpResponse


class Rider(Protocol):
    """Who is told of an answer as it comes, in place of a coroutine that waits for it."""

    def interim(self, response: HttpResponse) -> None:
        """A 1xx."""

    def answered(self, response: HttpResponse, *, ended: bool) -> None:
        """The head has come; `ended` if there is no body."""

    def whole(self, response: HttpResponse, data: bytes) -> None:
        """All of it has come: its head, and its body in one piece. Nothing else is told."""

    def received(self, data: bytes, credit: int) -> None:
        """A piece of the body; `credit` goes to the connection's `consumed` once it is passed on."""

    def flush(self) -> None:
        """No more has come for now."""

    def ended(self, trailers: Headers | None) -> None:
        """The answer is complete."""

    def failed(self, error: HttpError) -> None:
        """It will never be."""

    def may_send(self) -> None:
        """What was not taken of the request's body (`Call.send_now`) may be sent now."""


class Call:
    """One request on its way, and its answer: told to a rider, or kept for a coroutine."""

    __slots__ = (
        "_connection",
        "_has_ended",
        "_interim",
        "_response",
        "_window",
        "body",
        "has_answer_body",
        "is_over",
        "rider",
        "sent",
        "stream",
    )

    def __init__(
        self, connection: Upstream, interim: Callable[[HttpResponse], None] | None = None, rider: Rider | None = None
    ) -> None:
        self.rider = rider
        self.body = NO_BODY if rider is not None else Body(self._credit)
        self.stream = 0
        self.sent = 0
        """Bytes of the request's body so far."""
        self.has_answer_body = True
        self.is_over = False
        """The answer is complete, or will never be."""
        self._connection = connection
        self._interim = interim
        self._response: asyncio.Future[HttpResponse] | None = None
        self._window: asyncio.Event | None = None
        self._has_ended = False
        if rider is None:
            self._response = asyncio.get_running_loop().create_future()

    def _credit(self, count: int) -> None:
        self._connection.consumed(self.stream, count)

    async def response(self) -> HttpResponse:
        """The answer's head. Raises HttpError when none comes."""
        assert self._response is not None, "a rider is told of it"
        return await self._response

    async def send(self, data: bytes) -> None:
        """A piece of the request's body; returns when there is room for more. Nothing, once the answer is complete."""
        connection = self._connection
        if self._window is None:
            self._window = asyncio.Event()
        while data and not self.is_over:
            self._window.clear()
            taken = self.send_now(data)
            connection.wire.touch()
            if taken < len(data):
                data = data[taken:]
                await self._window.wait()
            else:
                data = b""
        await connection.wire.room()

    def send_now(self, data: bytes) -> int:
        """How much of a piece of the request's body was taken; it goes out with the next `touch` of the wire."""
        taken = self._connection.codec.send_data(self.stream, data)
        self.sent += taken
        return taken

    def end(self, trailers: Headers | None = None) -> None:
        """The request is complete."""
        if not self._has_ended and not self.is_over:
            self._has_ended = True
            self._connection.codec.end(self.stream, trailers)
            self._connection.wire.touch()

    def release(self) -> None:
        """Nobody wants the rest: what is not over is cut."""
        self._connection.release(self)

    def let_go(self) -> None:
        """The same, of a rider who wants to hear no more."""
        self.rider = None
        self.release()

    def hold(self, data: bytes, credit: int) -> None:
        """The rider cannot pass on more for now: from here on the answer's body is kept, this piece first."""
        self.body = Body(self._credit)
        if data:
            self.body.put(data, credit)

    # What the connection tells -------------------------------------------------

    def answered(self, response: HttpResponse, *, ended: bool) -> None:
        """The head has come."""
        self.has_answer_body = not ended
        if self.rider is not None:
            self.is_over = ended
            self.rider.answered(response, ended=ended)
            return
        if self._response is not None and not self._response.done():
            self._response.set_result(response)
        if ended:
            self.ended(None)

    def received(self, data: bytes, credit: int) -> None:
        """A piece of the body has come."""
        if self.rider is not None:
            self.rider.received(data, credit)
        else:
            self.body.put(data, credit)

    def interim(self, response: HttpResponse) -> None:
        """A 1xx."""
        if self.rider is not None:
            self.rider.interim(response)
        elif self._interim is not None:
            self._interim(response)

    def ended(self, trailers: Headers | None) -> None:
        """The answer is complete."""
        self.is_over = True
        if self.rider is not None:
            self.rider.ended(trailers)
            return
        self.body.end(trailers)
        self.window_opened()

    def failed(self, error: HttpError) -> None:
        """It will never be."""
        self.is_over = True
        if self.rider is not None:
            self.rider.failed(error)
            return
        if self._response is not None and not self._response.done():
            self._response.set_exception(error)
            self._response.exception()  # whoever waits is told; nobody need wait
        self.body.fail(error)
        self.window_opened()

    def window_opened(self) -> None:
        """`send` may go on."""
        if self.rider is not None:
            self.rider.may_send()
        elif self._window is not None:
            self._window.set()


def _tunnel_of(stream: WireStream) -> TunnelStream | None:
    if isinstance(stream, TlsStream):
        return stream.tunnel
    return stream if isinstance(stream, TunnelStream) else None


def _own_end(stream: WireStream) -> str:
    try:
        return show(stream.local_address)
    except OSError:  # it is closed already, as whoever calls will learn
        return ""


class Upstream:
    """One connection. `changed(connection)` is called when a call has ended or the connection has."""

    def __init__(self, stream: WireStream, codec: ClientCodec, changed: Callable[[Upstream], None]) -> None:
        self.codec = codec
        self.wire = Wire(stream, codec)
        self.local = _own_end(stream)
        """Our end of the TCP connection below, for the log."""
        self.is_closed = False
        self.calls: dict[int, Call] = {}
        self.served = 0
        """Calls begun on it so far."""
        self.is_multiplexed = type(codec) is not H1Client
        """Whether calls go side by side; HTTP/1's codec has nothing to say of its own."""
        self.is_listed = False
        """Whether its pool has it among those that are free."""
        self.idle_since = 0.0
        """By its pool's clock."""
        self._changed = changed
        self._tunnel = _tunnel_of(stream)
        self.over = asyncio.Event()
        """Whether the connection is to end."""
        self._reading = Reading(stream, codec, self)
        self.wire.touch()

    @property
    def can_open(self) -> bool:
        """Whether it takes one more call now. A tunnel beside others that nobody reads may never get its answer."""
        if self._tunnel is not None and self._tunnel.peer.engine.is_crowded:
            return False
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

    def begin(self, request: HttpRequest, rider: Rider, body: Sequence[bytes] | None, *, follows: bool = False) -> Call:
        """Send a request, whole, in one piece; `rider` is told of the answer. Raises UnwritableMessage.

        Args:
            body: short enough for a socket, and for the codec's `first_room`; None: it has none.
            follows: it has one, which the caller begins to send before it waits: head and body go together.
        """
        call = Call(self, rider=rider)
        codec = self.codec
        call.stream = codec.send_request(request, ended=body is None and not follows)
        call._has_ended = not follows
        self.served += 1
        self.calls[call.stream] = call
        if follows:
            return call
        if body is not None:
            for piece in body:
                call.sent += codec.send_data(call.stream, piece)
            codec.end(call.stream)
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
        if self.is_multiplexed:
            self.codec.consumed(stream, count)
            self.wire.touch()
        if self._reading.is_paused:
            self._reading.resume()

    def close(self) -> None:
        """Take no more calls; close when the last one has ended."""
        self.codec.drain()
        self._settle()

    def begin_reading(self) -> None:
        """Take what is there, and what comes (`lifetimes.keep`)."""
        self._reading.begin()

    def end(self) -> None:
        """Let go of everything but the stream."""
        self._reading.end()
        self._lost(UpstreamReset("the connection is over"))
        self.wire.stream.on_room = None

    def ended(self) -> None:
        """The stream is closed."""
        self._changed(self)

    # What the reading asks and tells -------------------------------------------

    def has_enough(self) -> bool:
        """See `Reader`."""
        if len(self.calls) != 1:
            return False
        [call] = self.calls.values()
        return call.body.held >= HELD

    def came(self) -> None:
        """See `Reader`."""
        self._carry_out()

    def broke(self, error: HboneError) -> None:
        """See `Reader`."""
        self._lost(UpstreamReset(f"upstream connection broke: {error}"))

    def turned(self) -> None:
        """See `Reader`."""
        if self.codec.is_closing or self._reading.is_over:
            self.over.set()

    # What the codec reports ----------------------------------------------------

    def _carry_out(self) -> None:
        events = self.codec.events()
        if len(events) == 1 and isinstance(events[0], ev.AnswerReceived):
            self._tell_whole(*events[0])
        else:
            self._carry_out_each(events)
        self._settle()

    def _carry_out_each(self, events: list[ev.Event]) -> None:
        told: list[Call] = []
        calls = self.calls
        for event in events:
            if isinstance(event, ev.DataReceived):
                stream, data, credit = event
                if call := calls.get(stream):
                    call.received(data, credit)
                    if not told or told[-1] is not call:
                        told.append(call)
                else:
                    self.codec.consumed(stream, credit)
            elif isinstance(event, ev.ResponseReceived):
                stream, response, ended = event
                if call := calls.get(stream):
                    if ended:
                        del calls[stream]
                    call.answered(response, ended=ended)
                    told.append(call)
            elif isinstance(event, ev.MessageEnded):
                if call := calls.pop(event.stream, None):
                    call.ended(event.trailers)
            else:
                self._carry_out_rare(event)
        for call in told:
            if call.rider is not None and not call.is_over:
                call.rider.flush()

    def _tell_whole(self, stream: int, response: HttpResponse, data: bytes) -> None:
        """A short answer of HTTP/1, which a rider gets in one call."""
        call = self.calls.pop(stream, None)
        if call is None:
            return
        if call.rider is not None:
            call.is_over = True
            call.rider.whole(response, data)
        else:
            call.answered(response, ended=False)
            call.received(data, len(data))
            call.ended(None)

    def _carry_out_rare(self, event: ev.Event) -> None:
        if isinstance(event, ev.AnswerReceived):
            self._tell_whole(*event)
        elif isinstance(event, ev.StreamFailed):
            if call := self.calls.pop(event.stream, None):
                call.failed(event.error)
        elif isinstance(event, ev.InterimReceived):
            if call := self.calls.get(event.stream):
                call.interim(event.response)
        elif isinstance(event, ev.WindowOpened):
            if call := self.calls.get(event.stream):
                call.window_opened()
        elif isinstance(event, ev.ConnectionFailed):
            self._lost(event.error)

    def _settle(self) -> None:
        """After every change: send, read on, tell the owner."""
        if self.is_multiplexed:
            self.wire.touch()
        if self._reading.is_paused:
            self._reading.resume()
        if self.codec.is_closing and not self.calls:
            self.is_closed = True
            self.over.set()
        self._changed(self)

    def _lost(self, error: HttpError) -> None:
        self.is_closed = True
        calls = list(self.calls.values())
        self.calls.clear()
        for call in calls:
            call.failed(error)
