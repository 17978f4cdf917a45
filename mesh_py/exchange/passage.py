"""What a role says of a request, apart from how it is carried: decided in plain calls, so that both lanes can ask.

A `Handler` makes one `Passage` per request. `decide` never waits: it answers, or says where the request goes, or gives
what has to be waited for before that can be said.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from hbone_py.errors import HboneError
    from mesh_py.exchange.exchange import Exchange
    from mesh_py.exchange.replay import Replay
    from mesh_py.exchange.upstream import Upstream
    from mesh_py.http.messages import HttpRequest, HttpResponse
    from mesh_py.http.retry import RetryPolicy

Target = TypeVar("Target")
Target_contra = TypeVar("Target_contra", contravariant=True)


class Backend(Protocol[Target]):
    """Where the request may go."""

    def choose(self, tried: frozenset[Target]) -> Target:
        """The next endpoint, one not tried yet where there is one. Raises HttpError, HboneError."""

    def lease_now(self, target: Target) -> Upstream | None:
        """A connection to it that is there already and takes one more call; None: `lease` has to be waited for."""

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


class Limits:
    """How long a request may take, in seconds, and what is tried again."""

    __slots__ = ("attempt", "is_timed", "retry", "whole")

    def __init__(self, retry: RetryPolicy, whole: float | None = None, attempt: float | None = None) -> None:
        self.retry = retry
        self.whole = whole
        """From the first attempt to the end of the answer."""
        self.attempt = attempt
        """From an attempt's beginning to the head of its answer."""
        self.is_timed = bool(whole or attempt)
        """Whether there is any limit on its time."""


class Outcome(Generic[Target]):
    """What became of it, for the log."""

    __slots__ = ("answered", "begun", "body", "connection", "flags", "target", "tries")

    def __init__(self) -> None:
        self.target: Target | None = None
        """Where the last attempt went."""
        self.connection: Upstream | None = None
        """What the last attempt went out on."""
        self.tries = 0
        self.begun = 0.0
        """When the first attempt began, by the loop's clock; told only where the route has a time limit."""
        self.answered: float | None = None
        """Monotonic seconds at which the head of the answer came."""
        self.flags: list[str] = []
        self.body: Replay | None = None


class Plan(Generic[Target]):
    """All that has to be known to carry a request."""

    __slots__ = ("backend", "limits", "outcome", "random", "request")

    def __init__(
        self,
        request: HttpRequest,
        backend: Backend[Target],
        limits: Limits,
        outcome: Outcome[Target],
        random: Callable[[], float],
    ) -> None:
        self.request = request
        """As it goes out."""
        self.backend, self.limits, self.outcome, self.random = backend, limits, outcome, random


Decided: TypeAlias = "Plan[Any] | None"
"""Where it goes; None: it has its answer."""
Later = Callable[[], Coroutine[Any, Any, Decided]]
"""Waits for what has to be known first."""


class Passage(Protocol[Target_contra]):
    """One request on its way through, from its head to its line in the log."""

    def decide(self) -> Decided | Later:
        """What is to be done, or what has to be waited for before that can be said. Raises HboneError."""

    def seen(self, response: HttpResponse, target: Target_contra) -> None:
        """The answer's head has come, and may be changed before the client has it. Raises HttpError."""

    def failed(self, error: HboneError) -> None:
        """It ends without the answer it should have: tell the client what can be told, and the log why."""

    def close(self) -> None:
        """It is over, in whatever way: count it and log it."""


class Handler(Protocol):
    """What one connection's requests are served by."""

    def passage(self, exchange: Exchange) -> Passage[Any]:
        """One more request."""
