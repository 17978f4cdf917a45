"""W3C trace context: the `traceparent` header read and written (https://www.w3.org/TR/trace-context/) [pure].

`tracestate` belongs to other vendors; it passes through untouched, and a span only notes it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_SAMPLED = 1


class TraceContext(NamedTuple):
    """One span, as others refer to it."""

    trace_id: int
    """128 bits, never 0."""
    span_id: int
    """64 bits, never 0."""
    sampled: bool
    """Whether whoever made it records it."""

    @property
    def header(self) -> str:
        """As `traceparent` tells it."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{'01' if self.sampled else '00'}"


def parse_traceparent(text: str | None) -> TraceContext | None:
    """The span that a `traceparent` names; None where there is none, or no proper one.

    A version from the future is read as far as today's goes (3.2.4 there).
    """
    match = _FORM.fullmatch(text) if text else None
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more):
        return None
    found = TraceContext(int(trace_id, 16), int(span_id, 16), bool(int(flags, 16) & _SAMPLED))
    return found if found.trace_id and found.span_id else None
