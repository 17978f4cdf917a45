"""One piece of work that is recorded: who did it, when, for whom, and how it went."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mesh_py.tracing.trace_context import TraceContext

Kind = Literal["server", "client"]
"""Which side of a call the span stands on."""
Attributes = dict[str, str | int]


@dataclass(slots=True)
class Span:
    """Times are nanoseconds since the epoch."""

    name: str
    kind: Kind
    context: TraceContext
    parent: int
    """The parent's span id; 0 for the first of its trace."""
    started: int
    ended: int = 0
    """0 while it goes on."""
    state: str = ""
    """The `tracestate` it came with."""
    attributes: Attributes = field(default_factory=dict)
    error: str = ""
    """What kind of thing went wrong, one word of few (`error.type`): a status, a response flag; empty for nothing."""
