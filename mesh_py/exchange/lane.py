"""The fast lane: a request served by plain calls, from the read of its head to the write of its answer.

No task, no future, no event, and a timer only where the route has a time limit. It carries a request that is decided
at once and finds a kept connection free; bodies pass as they come, both ways at once, as far as there is room (`flow`).
Where it has to wait for anything else (no connection, a failure to try again on) it hands over to the coroutine of
`attempts`, which goes on where it stands. A table of requests and faults that drives both lanes finds no difference
(docs/decisions/0022).
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hbone_py.errors import HboneError
from mesh_py.exchange.attempts import Stale, TryAgain, forward, is_stale, note, over_time
from mesh_py.exchange.deadline import Deadline
from mesh_py.exchange.flow import Flow
from mesh_py.exchange.passage import Plan
from mesh_py.exchange.replay import KEPT, Replay
from mesh_py.http.errors import HttpError, UpstreamTimeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mesh_py.exchange.exchange import Exchange
    from mesh_py.exchange.passage import Handler, Later, Passage
    from mesh_py.exchange.upstream import Call, Upstream
    from mesh_py.http.headers import Headers
    from mesh_py.http.messages import HttpResponse

Target = TypeVar("Target")

IS_OPEN = True
"""Whether anything goes this way. Tests close it, to see the same by the other."""

_NOBODY: frozenset[Any] = frozenset()


def begin(exchange: Exchange, handler: Handler) -> None:
    """Serve it, here or in a task."""
    connection = exchange.connection
    try:
        passage = handler.passage(exchange)
        try:
            decided = passage.decide()
        except HboneError as error:
            decided = None
            passage.failed(error)
        if isinstance(decided, Plan):
            Ride(exchange, passage, decided).start()
            return
        if decided is not None:
            connection.run(exchange, partial(_closed, passage, partial(_decided_later, exchange, passage, decided)))
            return
        passage.close()
    except Exception as error:
        exchange.broken(error)
    exchange.left_alone()
    connection.served(exchange)


async def serve(exchange: Exchange, handler: Handler) -> None:
    """Serve it in this task from its beginning."""
    passage = handler.passage(exchange)
    await _closed(passage, partial(_decided, exchange, passage))


async def _decided(exchange: Exchange, passage: Passage[Any]) -> None:
    decided = passage.decide()
    if isinstance(decided, Plan):
        await forward(exchange, passage, decided)
    elif decided is not None:
        await _decided_later(exchange, passage, decided)


async def _decided_later(exchange: Exchange, passage: Passage[Any], decided: Later) -> None:
    plan = await decided()
    if plan is not None:
        await forward(exchange, passage, plan)


async def _closed(passage: Passage[Any], work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except HboneError as error:
        passage.failed(error)
    finally:
        passage.close()


class Ride(Generic[Target]):
    """One request on the fast lane: told by its call of the answer, and by its exchange that the client has left."""

    __slots__ = (
        "_answer",
        "_body",
        "_call",
        "_connection",
        "_deadline",
        "_exchange",
        "_passage",
        "_plan",
        "_status",
        "_target",
    )

    _call: Call
    _connection: Upstream
    _target: Target

    def __init__(self, exchange: Exchange, passage: Passage[Target], plan: Plan[Target]) -> None:
        self._exchange, self._passage, self._plan = exchange, passage, plan
        self._status: int | None = None
        self._deadline: Deadline | None = None
        self._body: Flow | None = None  # of the request, as long as there is more to send
        self._answer: Flow | None = None  # of the answer, once it has had to wait for the client

    def start(self) -> None:
        """Send the request, or hand it over to the slow lane."""
        plan = self._plan
        if plan.request.is_tunnel:
            self._hand_over()
            return
        outcome = plan.outcome
        try:
            target = outcome.target = self._target = plan.backend.choose(_NOBODY)
        except HttpError as error:
            outcome.tries = 1
            self._hand_over(failure=error)
            return
        connection = plan.backend.lease_now(target)
        if connection is None:
            self._hand_over(chosen=target)
            return
        self._connection = outcome.connection = connection
        outcome.tries = 1
        try:
            plan.backend.begun(target)
        except HttpError as error:
            self._hand_over(failure=error)
            return
        self._open(connection)

    def _open(self, connection: Upstream) -> None:
        plan, exchange = self._plan, self._exchange
        body: Replay | None = None
        pieces: list[bytes] | None = None
        if exchange.has_body:
            body = plan.outcome.body = Replay(exchange.body)
            if self._has_short_body(connection):
                pieces = body.read_whole()
        follows = body is not None and pieces is None
        exchange.passenger = self
        if plan.limits.is_timed:
            self._time_attempt()
        try:
            call = self._call = connection.begin(plan.request, self, pieces, follows=follows)
        except HttpError as error:
            plan.backend.ended(self._target, None)
            self._hand_over(failure=error)
            return
        if body is not None and follows:
            self._body = Flow(body.read_now, call.send_now, connection.wire, self.fed)
            self.fed()

    def _has_short_body(self, connection: Upstream) -> bool:
        body = self._exchange.body
        is_whole = body.is_whole and body.trailers is None
        return is_whole and body.size <= KEPT and body.size <= connection.codec.first_room

    # Time limits ---------------------------------------------------------------

    def _time_attempt(self) -> None:
        limits, wheel = self._plan.limits, self._exchange.connection.wheel
        begun = self._plan.outcome.begun = wheel.now
        if limits.attempt and (not limits.whole or limits.attempt < limits.whole):
            self._deadline = Deadline(wheel, begun + limits.attempt, self._not_answered)
        else:
            self._time_whole()

    def _time_whole(self) -> None:
        """From now on only the time of the whole counts."""
        self._untime()
        if whole := self._plan.limits.whole:
            wheel = self._exchange.connection.wheel
            self._deadline = Deadline(wheel, self._plan.outcome.begun + whole, self._over_time)

    def _untime(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _not_answered(self) -> None:
        """The attempt's time is over: there may be another."""
        self._let_go()
        self._hand_over(failure=UpstreamTimeout("upstream has not answered in time"))

    def _over_time(self) -> None:
        """The route's time is over, wherever the answer stands."""
        self._call.let_go()
        try:
            self._passage.failed(over_time(self._plan.outcome))
            self._finish()
        except Exception as error:
            self._broken(error)

    # What the call tells -------------------------------------------------------

    def interim(self, response: HttpResponse) -> None:
        """A 1xx."""
        self._exchange.send_interim(response)

    def answered(self, response: HttpResponse, *, ended: bool) -> None:
        """The head has come."""
        try:
            self._judge(response)
            self._exchange.send_response(response, ended=ended, follows=True)
            if ended:
                self._exchange.connection.wire.touch()
                self._finish()
        except HttpError as error:
            self._let_go()
            self._hand_over(failure=error)
        except Exception as error:
            self._broken(error)

    def whole(self, response: HttpResponse, data: bytes) -> None:
        """All of it has come."""
        try:
            self._judge(response)
            taken = self._exchange.send_whole(response, data)
            if taken == len(data):
                self._finish()
            else:
                self._slow_down(data[taken:], 0)
                self._call.body.end()
        except HttpError as error:
            self._let_go()
            self._hand_over(failure=error)
        except Exception as error:
            self._broken(error)

    def _judge(self, response: HttpResponse) -> None:
        """Whether this is the answer to pass on. Raises HttpError."""
        plan = self._plan
        self._status = response.status
        plan.outcome.answered = time.monotonic()
        if self._deadline is not None:
            self._time_whole()
        body, retry = plan.outcome.body, plan.limits.retry
        if retry.attempts and (body is None or body.can_restart) and retry.retries_response(response, 1):
            raise TryAgain(f"upstream answered {response.status}")
        if body is not None:
            body.settle()
        self._passage.seen(response, self._target)

    def received(self, data: bytes, credit: int) -> None:
        """A piece of the body has come."""
        if self._answer is not None:
            self._call.body.put(data, credit)
            return
        taken = self._exchange.send_now(data)
        if taken < len(data):
            self._slow_down(data[taken:], credit)
        else:
            self._connection.consumed(self._call.stream, credit)

    def flush(self) -> None:
        """That was all for now."""
        if self._answer is not None:
            self.may_answer()
        elif not self._exchange.flush():
            self._slow_down(b"", 0)

    def ended(self, trailers: Headers | None) -> None:
        """The answer is complete."""
        if self._answer is not None:
            self._call.body.end(trailers)
            self.may_answer()
        else:
            self._end(trailers)

    def _end(self, trailers: Headers | None) -> None:
        try:
            self._exchange.end(trailers)
            self._finish()
        except Exception as error:
            self._broken(error)

    def failed(self, error: HttpError) -> None:
        """It will never be."""
        plan, exchange = self._plan, self._exchange
        if not exchange.is_answered:
            if is_stale(error, self._connection, exchange):
                error = Stale(str(error))
            plan.backend.ended(self._target, self._status)
            self._hand_over(failure=error)
            return
        note(error, plan.limits.retry, plan.outcome)
        self._passage.failed(error)
        self._finish()

    def may_send(self) -> None:
        """The request's body may go on."""
        self.fed()

    # What the exchange tells ---------------------------------------------------

    def left(self) -> None:
        """The client is gone."""
        self._call.let_go()
        self._finish()

    def fed(self) -> None:
        """There is more of the request's body, or room for more."""
        if self._body is not None and self._body.move():
            self._body = None
            self._call.end(self._exchange.body.trailers)

    def may_answer(self) -> None:
        """There is more of the answer's body, or room for more."""
        if self._answer is not None:
            self._exchange.connection.stir()
            if self._answer.move():
                self._end(self._call.body.trailers)

    def _slow_down(self, rest: bytes, credit: int) -> None:
        """The client reads slowly: from now on the answer goes by a buffer, which stops its server when it is full."""
        call, exchange = self._call, self._exchange
        call.hold(rest, credit)
        self._answer = Flow(call.body.read_now, exchange.send_now, exchange.connection.wire, self.may_answer)
        self._answer.move()

    # The end, or the other lane ------------------------------------------------

    def _let_go(self) -> None:
        self._body = None
        self._call.let_go()
        self._plan.backend.ended(self._target, self._status)

    def _finish(self) -> None:
        if self._deadline is not None:
            self._untime()
        if self._body is not None:
            self._call.let_go()  # nobody reads the rest of the request once the answer is complete
        exchange = self._exchange
        # They know one another: left so, only the collector would part them.
        exchange.passenger = self._call.rider = self._body = self._answer = None
        self._plan.backend.ended(self._target, self._status)
        self._passage.close()
        if not exchange.is_over:
            exchange.left_alone()
        exchange.connection.served(exchange)

    def _broken(self, error: Exception) -> None:
        """A fault of ours: nobody else is to suffer from it."""
        self._untime()
        self._body = self._answer = None
        exchange = self._exchange
        exchange.passenger = None
        exchange.broken(error)
        self._call.let_go()
        exchange.connection.served(exchange)

    def _hand_over(self, chosen: Target | None = None, failure: HttpError | None = None) -> None:
        """To the slow lane, from its beginning or from where it stands."""
        self._untime()
        self._body = None
        work = partial(forward, self._exchange, self._passage, self._plan, chosen, failure)
        self._exchange.connection.run(self._exchange, partial(_closed, self._passage, work))
