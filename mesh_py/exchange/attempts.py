"""A request, attempt after attempt: an endpoint, a connection, the exchange; and what of it may be tried again.

This is the slow lane: a coroutine, in which every wait is an `await`. `lane` takes what need not wait, and hands over
to this at any point.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from mesh_py.exchange.forward import carry
from mesh_py.exchange.replay import Replay
from mesh_py.http.errors import RETRY_LIMIT_FLAG, HttpError, UpstreamFailure, UpstreamReset, UpstreamTimeout
from mesh_py.http.forwarding import ATTEMPT_COUNT

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from mesh_py.exchange.exchange import Exchange
    from mesh_py.exchange.passage import Outcome, Passage, Plan
    from mesh_py.exchange.upstream import Upstream
    from mesh_py.http.messages import HttpRequest, HttpResponse
    from mesh_py.http.retry import RetryPolicy

Target = TypeVar("Target")


class TryAgain(HttpError):
    """The answer that came is one to be tried again on."""


class Stale(UpstreamReset):
    """The server closed a kept connection just as we used it, before it said a word: it has done nothing."""


async def forward(
    exchange: Exchange,
    passage: Passage[Target],
    plan: Plan[Target],
    chosen: Target | None = None,
    failure: HttpError | None = None,
) -> None:
    """Carry a request to an endpoint and its answer back.

    Args:
        chosen: the first endpoint, where somebody has chosen it already.
        failure: how the first attempt ended, where somebody has made it already.

    Raises HttpError: the last attempt's failure; `exchange` then has no answer yet, or one that is cut short.
    """
    await _in_time(plan, _attempts(exchange, passage, plan, chosen, failure))


async def _in_time(plan: Plan[Target], work: Awaitable[None]) -> None:
    """Await what is left of a request's work, for as long as its route gives it. Raises UpstreamTimeout."""
    whole, outcome = plan.limits.whole, plan.outcome
    if not whole:
        await work
        return
    outcome.begun = outcome.begun or asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout_at(outcome.begun + whole):
            await work
    except TimeoutError:
        raise over_time(outcome) from None


def over_time(outcome: Outcome[Target]) -> UpstreamTimeout:
    """The failure of a request that has taken all the time of its route."""
    outcome.flags.append(UpstreamTimeout.flag)
    return UpstreamTimeout("the route's time is over")


async def _attempts(
    exchange: Exchange,
    passage: Passage[Target],
    plan: Plan[Target],
    chosen: Target | None,
    failure: HttpError | None,
) -> None:
    limits, outcome, backend = plan.limits, plan.outcome, plan.backend
    if outcome.body is None:
        outcome.body = Replay(exchange.body)
    body = outcome.body
    tried: set[Target] = set()
    is_retry = False
    while True:
        if failure is None:
            outcome.tries += 1
            try:
                await _Attempt(exchange, passage, plan, body).make(frozenset(tried), chosen)
            except HttpError as error:
                failure = error
            else:
                return
            finally:
                if is_retry:
                    backend.retried()
        is_retry = _again(failure, exchange, limits.retry, body, outcome.tries) and backend.may_retry()
        if not is_retry:
            note(failure, limits.retry, outcome)
            raise failure
        if outcome.target is not None:
            tried.add(outcome.target)
        chosen = failure = None
        body.restart()
        await asyncio.sleep(limits.retry.delay(outcome.tries, plan.random))


def note(error: HttpError, policy: RetryPolicy, outcome: Outcome[Target]) -> None:
    """Envoy's response flags of the last failure."""
    if not isinstance(error, TryAgain):
        outcome.flags.append(error.flag)
    if outcome.tries > 1 and outcome.tries > policy.attempts:
        outcome.flags.append(RETRY_LIMIT_FLAG)


def _again(error: HttpError, exchange: Exchange, policy: RetryPolicy, body: Replay, tries: int) -> bool:
    if exchange.is_answered or exchange.is_over or not body.can_restart:
        return False
    return isinstance(error, TryAgain | Stale) or policy.retries_error(error, tries)


def is_stale(error: HttpError, connection: Upstream, exchange: Exchange) -> bool:
    """Whether a call that was not answered failed only since the server had closed a kept connection."""
    return type(error) is UpstreamReset and connection.served > 1 and not exchange.has_body


class _Attempt(Generic[Target]):
    """One try."""

    def __init__(self, exchange: Exchange, passage: Passage[Target], plan: Plan[Target], body: Replay) -> None:
        self._exchange, self._passage, self._plan, self._body = exchange, passage, plan, body
        self._status: int | None = None
        self._target: Target

    async def make(self, tried: frozenset[Target], chosen: Target | None) -> None:
        """Raises HttpError."""
        plan, exchange = self._plan, self._exchange
        backend, limits = plan.backend, plan.limits
        plan.outcome.target = plan.outcome.connection = None
        target = self._target = plan.outcome.target = backend.choose(tried) if chosen is None else chosen
        backend.begun(target)
        connection: Upstream | None = None
        try:
            connection = plan.outcome.connection = await _within(backend.lease(target), limits.attempt)
            call = connection.open(_counted(plan), ended=not exchange.has_body, interim=exchange.send_interim)
            await carry(exchange, call, self._body, self._judge, limits.attempt)
        except UpstreamReset as error:
            if self._status is None and connection is not None and is_stale(error, connection, exchange):
                raise Stale(str(error)) from error
            raise
        finally:
            backend.ended(target, self._status)

    def _judge(self, response: HttpResponse) -> None:
        outcome, retry = self._plan.outcome, self._plan.limits.retry
        self._status = response.status
        outcome.answered = time.monotonic()
        if self._body.can_restart and retry.retries_response(response, outcome.tries):
            raise TryAgain(f"upstream answered {response.status}")
        if outcome.tries > 1 and retry.retries_response(response, 1):
            outcome.flags.append(RETRY_LIMIT_FLAG)  # it stands, for want of further attempts
        self._passage.seen(response, self._target)


def _counted(plan: Plan[Target]) -> HttpRequest:
    """The request, which says how many tries there have been where it says so at all."""
    request = plan.request.copy()
    if plan.outcome.tries > 1 and ATTEMPT_COUNT in request.headers:
        request.headers.set(ATTEMPT_COUNT, str(plan.outcome.tries))
    return request


async def _within(leasing: Awaitable[Upstream], seconds: float | None) -> Upstream:
    if not seconds:
        return await leasing
    try:
        async with asyncio.timeout(seconds):
            return await leasing
    except TimeoutError:
        raise UpstreamFailure("no connection to upstream in time") from None
