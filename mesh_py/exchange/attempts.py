"""A request, attempt after attempt: an endpoint, a connection, the exchange; and what of it may be tried again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from mesh_py.exchange.forward import carry
from mesh_py.exchange.replay import Replay
from mesh_py.http.errors import RETRY_LIMIT_FLAG, HttpError, UpstreamFailure, UpstreamReset, UpstreamTimeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mesh_py.exchange.downstream import Exchange
    from mesh_py.exchange.upstream import Upstream
    from mesh_py.http.messages import HttpRequest, HttpResponse
    from mesh_py.http.retry import RetryPolicy

Target = TypeVar("Target")


class _TryAgain(HttpError):
    """The answer that came is one to be tried again on."""


class Backend(Protocol[Target]):
    """Where the request may go."""

    def choose(self, tried: frozenset[Target]) -> Target:
        """The next endpoint, one not tried yet where there is one. Raises HttpError, HboneError."""

    async def lease(self, target: Target) -> Upstream:
        """A connection to it that takes one more call. Raises HttpError."""

    def begun(self, target: Target) -> None:
        """A call is on its way to it. Raises HttpError at a limit; then it is not."""

    def ended(self, target: Target, status: int | None) -> None:
        """The call is over: how it was answered, None if it was not."""

    def may_retry(self) -> bool:
        """Whether a further attempt may be made now; `retried` gives the permission back."""

    def retried(self) -> None:
        """The further attempt is over."""


@dataclass(slots=True)
class Limits:
    """How long a request may take, in seconds, and what is tried again."""

    retry: RetryPolicy
    whole: float | None = None
    """From the first attempt to the end of the answer."""
    attempt: float | None = None
    """From an attempt's beginning to the head of its answer."""


@dataclass(slots=True)
class Outcome(Generic[Target]):
    """What became of it, for the log."""

    target: Target | None = None
    """Where the last attempt went."""
    tries: int = 0
    begun: float = 0.0
    answered: float | None = None
    """Monotonic seconds at which the head of the answer came."""
    flags: list[str] = field(default_factory=list)
    body: Replay | None = None


async def forward(
    exchange: Exchange,
    request: HttpRequest,
    backend: Backend[Target],
    limits: Limits,
    random: Callable[[], float],
    seen: Callable[[HttpResponse, Target], None],
    outcome: Outcome[Target],
) -> None:
    """Carry a request to an endpoint of `backend` and its answer back.

    Args:
        request: as it goes out.
        seen: told of the answer's head, which it may change, before the client is.

    Raises HttpError: the last attempt's failure; `exchange` then has no answer yet, or one that is cut short.
    """
    if not limits.whole:
        await _attempts(exchange, request, backend, limits, random, seen, outcome)
        return
    try:
        async with asyncio.timeout(limits.whole):
            await _attempts(exchange, request, backend, limits, random, seen, outcome)
    except TimeoutError:
        outcome.flags.append(UpstreamTimeout.flag)
        raise UpstreamTimeout("the route's time is over") from None


async def _attempts(
    exchange: Exchange,
    request: HttpRequest,
    backend: Backend[Target],
    limits: Limits,
    random: Callable[[], float],
    seen: Callable[[HttpResponse, Target], None],
    outcome: Outcome[Target],
) -> None:
    body = outcome.body = Replay(exchange.body)
    tried: set[Target] = set()
    is_retry = False
    while True:
        outcome.tries += 1
        try:
            await _attempt(exchange, request, backend, limits, body, seen, outcome, frozenset(tried))
        except HttpError as error:
            failure = error
        else:
            return
        finally:
            if is_retry:
                backend.retried()
        is_retry = _again(failure, exchange, limits.retry, body, outcome.tries) and backend.may_retry()
        if not is_retry:
            _note(failure, limits.retry, outcome)
            raise failure
        if outcome.target is not None:
            tried.add(outcome.target)
        body.restart()
        await asyncio.sleep(limits.retry.delay(outcome.tries, random))


def _note(error: HttpError, policy: RetryPolicy, outcome: Outcome[Target]) -> None:
    """Envoy's response flags of the last failure."""
    if not isinstance(error, _TryAgain):
        outcome.flags.append(error.flag)
    if outcome.tries > 1 and outcome.tries > policy.attempts:
        outcome.flags.append(RETRY_LIMIT_FLAG)


def _again(error: HttpError, exchange: Exchange, policy: RetryPolicy, body: Replay, tries: int) -> bool:
    if exchange.is_answered or exchange.is_over or not body.can_restart:
        return False
    return isinstance(error, _TryAgain | _Stale) or policy.retries_error(error, tries)


class _Stale(UpstreamReset):
    """The server closed a kept connection just as we used it, before it said a word: it has done nothing."""


async def _attempt(
    exchange: Exchange,
    request: HttpRequest,
    backend: Backend[Target],
    limits: Limits,
    body: Replay,
    seen: Callable[[HttpResponse, Target], None],
    outcome: Outcome[Target],
    tried: frozenset[Target],
) -> None:
    outcome.target = None
    target = outcome.target = backend.choose(tried)
    backend.begun(target)
    status: int | None = None
    connection: Upstream | None = None

    def judge(response: HttpResponse) -> None:
        nonlocal status
        status = response.status
        outcome.answered = time.monotonic()
        if body.can_restart and limits.retry.retries_response(response, outcome.tries):
            raise _TryAgain(f"upstream answered {response.status}")
        if outcome.tries > 1 and limits.retry.retries_response(response, 1):
            outcome.flags.append(RETRY_LIMIT_FLAG)  # it stands, for want of further attempts
        seen(response, target)

    try:
        connection = await _within(backend.lease(target), limits.attempt)
        call = connection.open(request.copy(), ended=not exchange.has_body, interim=exchange.send_interim)
        await carry(exchange, call, body, judge, limits.attempt)
    except UpstreamReset as error:
        was_kept = connection is not None and connection.served > 1
        if was_kept and status is None and not exchange.has_body and type(error) is UpstreamReset:
            raise _Stale(str(error)) from error
        raise
    finally:
        backend.ended(target, status)


async def _within(leasing: Awaitable[Upstream], seconds: float | None) -> Upstream:
    if not seconds:
        return await leasing
    try:
        async with asyncio.timeout(seconds):
            return await leasing
    except TimeoutError:
        raise UpstreamFailure("no connection to upstream in time") from None
