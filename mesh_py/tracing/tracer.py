"""Where spans begin: ids, times, and the decision which are recorded. Finished ones go to `finished`."""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from mesh_py.tracing.span import Span
from mesh_py.tracing.trace_context import TraceContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh_py.tracing.sampling import Sampler
    from mesh_py.tracing.span import Kind


class Entered(NamedTuple):
    """How a request or a tunnel joins a trace."""

    context: TraceContext
    """Its own span; `sampled` says whether it is recorded."""
    parent: TraceContext | None
    """Whose child it is."""


class Tracer:
    """One per process, where spans are wanted at all."""

    def __init__(
        self,
        sampler: Sampler,
        finished: Callable[[Span], None],
        *,
        dice: Random | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`finished` takes spans that are over, and never waits; `clock` gives nanoseconds since the epoch."""
        self._sampler, self._finished = sampler, finished
        self._bits = (dice or Random()).getrandbits
        self.now = clock

    def enter(self, own: TraceContext | None, tunnel: TraceContext | None = None) -> Entered:
        """Join the trace of a request's own parent, else that of the tunnel which brought it, else begin one.

        The request's parent decides whether it is recorded. A tunnel's word counts only if it is yes: the real ztunnel
        gives each tunnel a fresh trace and marks none as sampled, since it never records (hbone-dataplane 1.4).
        """
        parent = own or tunnel
        decided = None if parent is None or (own is None and not parent.sampled) else parent.sampled
        trace_id = self._random(128) if parent is None else parent.trace_id
        return Entered(TraceContext(trace_id, self._random(64), self._sampler.records(trace_id, decided)), parent)

    def begin(self, name: str, kind: Kind, context: TraceContext, parent: TraceContext | None, state: str = "") -> Span:
        """A span that begins now."""
        return Span(name, kind, context, 0 if parent is None else parent.span_id, self.now(), state=state)

    def child(self, of: TraceContext) -> TraceContext:
        """A new span in the same trace."""
        return TraceContext(of.trace_id, self._random(64), of.sampled)

    def finish(self, span: Span) -> None:
        """It is over: now, unless it says when."""
        span.ended = span.ended or self.now()
        self._finished(span)

    def _random(self, bits: int) -> int:
        return self._bits(bits) or 1  # 0 means none
