"""One request and its answer, as whoever serves it sees them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Protocol

from hbone_py.errors import ErrorCode
from mesh_py.exchange.body import NO_BODY, Body
from mesh_py.http.errors import DownstreamGone, HttpError, UnwritableMessage
from mesh_py.http.grpc_reply import grpc_reply, is_grpc
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from mesh_py.exchange.downstream import Downstream
    from mesh_py.http.messages import HttpRequest

log = logging.getLogger("http")


class Passenger(Protocol):
    """Who serves an exchange without a task (`lane`)."""

    def left(self) -> None:
        """Nobody waits for the answer any more: let go of everything."""

    def fed(self) -> None:
        """More of the request's body has come, or its end."""

    def may_answer(self) -> None:
        """What was not taken of the answer's body (`Exchange.send_now`) may be sent now."""


class Exchange:
    """Whoever serves it answers once: `send_response`, then `send` and `end`; or `answer` for a short one.

    If a task that serves it raises an HttpError before the head is out, that is the answer; after it the stream is
    cut, so that nobody takes it for whole.
    """

    __slots__ = (
        "_task",
        "_window",
        "body",
        "connection",
        "error",
        "has_body",
        "is_answered",
        "is_over",
        "passenger",
        "request",
        "sent",
        "status",
        "stream",
        "trailers",
    )

    def __init__(self, connection: Downstream, stream: int, request: HttpRequest, *, ended: bool) -> None:
        self.connection, self.stream, self.request = connection, stream, request
        self.body = NO_BODY if ended else Body(self._credit)
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
        self.passenger: Passenger | None = None
        """Who serves it, where no task does."""
        self._window: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None

    def _credit(self, count: int) -> None:
        self.connection.consumed(self.stream, count)

    def send_interim(self, response: HttpResponse) -> None:
        """A 1xx before the answer."""
        connection = self.connection
        connection.codec.send_interim(self.stream, response)
        connection.wire.touch()

    def send_response(self, response: HttpResponse, *, ended: bool = False, follows: bool = False) -> None:
        """The answer's head. Raises UnwritableMessage, and then another may be sent.

        Args:
            follows: the caller sends a piece of the body before it waits for anything: both go out together.
        """
        connection = self.connection
        connection.codec.send_response(self.stream, response, ended=ended)
        self.is_answered, self.status, self.is_over = True, response.status, ended
        if not follows:
            connection.wire.touch()

    def send_whole(self, response: HttpResponse, data: bytes) -> int:
        """The answer, with its body in one piece: how much of that was taken. If it was all, the answer is complete.

        Raises UnwritableMessage, and then another may be sent.
        """
        connection = self.connection
        taken = self.sent = connection.codec.send_whole(self.stream, response, data)
        self.is_answered, self.status, self.is_over = True, response.status, taken == len(data)
        connection.wire.touch()
        return taken

    def send_now(self, data: bytes) -> int:
        """How much of a piece of the answer's body was taken; it goes out with the next `flush`."""
        if self.is_over:
            return len(data)
        taken = self.connection.codec.send_data(self.stream, data)
        self.sent += taken
        return taken

    def flush(self) -> bool:
        """Send what was taken; whether there is room for more."""
        connection = self.connection
        connection.wire.touch()
        connection.stir()
        return connection.wire.has_room

    async def send(self, data: bytes) -> None:
        """A piece of the answer's body; returns when there is room for more."""
        while data and not self.is_over:
            if self._window is None:
                self._window = asyncio.Event()
            self._window.clear()
            taken = self.send_now(data)
            self.flush()
            if taken < len(data):
                data = data[taken:]
                await self._window.wait()
            else:
                data = b""
        await self.connection.wire.room()

    def end(self, trailers: Headers | None = None) -> None:
        """The answer is complete."""
        if not self.is_over:
            self.is_over, self.trailers = True, trailers
            self.connection.codec.end(self.stream, trailers)
            self.connection.wire.touch()

    def beside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start something that runs beside the task that serves it; cancel it before that ends."""
        return self.connection.beside(work)

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
            self.sent, self.is_over = len(body), True
            self.connection.codec.send_last(self.stream, body)
            self.connection.wire.touch()

    def fail(self, error: HttpError) -> None:
        """Give it up: an answer if none was begun, else a cut."""
        self.error = self.error or error
        if self.is_over:
            return
        if not self.is_answered and error.answer:  # some have no status: nobody is there to read it
            with contextlib.suppress(UnwritableMessage):
                self._tell(error)
                return
        self.cut()

    def _tell(self, error: HttpError) -> None:
        """A short answer that says so, to a gRPC call in the form that its client reads."""
        if not is_grpc(self.request):
            self.answer(error.answer, error.text)
            return
        reply = grpc_reply(error.grpc_answer, error.text)
        self.trailers = reply.headers  # gRPC's "Trailers-Only"
        self.answer(reply.status, "", reply.headers)

    def cut(self) -> None:
        """End it so that nobody takes it for complete."""
        self.is_over = True
        self.connection.codec.reset(self.stream, ErrorCode.INTERNAL_ERROR)
        self.connection.wire.touch()

    # What the connection tells ---------------------------------------------

    def window_opened(self) -> None:
        """`send` may go on."""
        if self.passenger is not None:
            self.passenger.may_answer()
        elif self._window is not None:
            self._window.set()

    def lost(self, error: HttpError) -> None:
        """The client is gone, or has broken the request: whoever works on it may stop."""
        self.error = self.error or error
        self.is_over = True
        self.body.fail(error)
        if self.passenger is not None:
            self.passenger.left()
            return
        self.window_opened()
        if self._task is not None:
            self._task.cancel()

    # Who serves it ---------------------------------------------------------

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Serve it in this task; whatever `work` does, there is an end."""
        if self.is_over:  # taken back before its turn came: a rapid reset must not cost an upstream request
            return
        self._task = asyncio.current_task()
        try:
            await work()
        except HttpError as error:
            self.fail(error)
        except asyncio.CancelledError:
            if self.error is None:  # it was not the client: the process ends
                self.fail(DownstreamGone("shutting down"))
                raise
        except Exception as error:
            self.broken(error)
        finally:
            self._task = None
            self.left_alone()

    def broken(self, error: Exception) -> None:
        """A fault of ours."""
        log.error("! %s %s: unexpected error", self.request.method, self.request.path, exc_info=error)
        self.fail(UnwritableMessage("unexpected error"))

    def left_alone(self) -> None:
        """Nobody serves it any more."""
        if not self.is_over:
            self.fail(UnwritableMessage("the handler gave no answer"))
