"""A span for each tunnel: outbound it begins a trace or, nested, shares it; inbound it belongs to whoever opened it.

A tunnel may carry many requests one after another. Its span is the child of the one for which it was opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.tracing.attributes import of_bytes
from mesh_py.tracing.trace_context import parse_traceparent

if TYPE_CHECKING:
    from hbone_py.connect import ConnectRequest
    from mesh_py.tracing.span import Span
    from mesh_py.tracing.tracer import Tracer
    from ztunnel_py.connections import Connection

NAME = "CONNECT"


def begin_outbound(tracer: Tracer) -> tuple[Span | None, str]:
    """The span of a tunnel that is about to be asked for, if it is recorded, and the `traceparent` to ask with.

    Nobody looks into the application's bytes for a trace, so one begins here.
    """
    context, parent = tracer.enter(None)
    span = tracer.begin(NAME, "client", context, parent) if context.sampled else None
    return span, context.header


def begin_inbound(tracer: Tracer, request: ConnectRequest) -> Span | None:
    """The span of a tunnel that was asked for, if it is recorded."""
    told = (request.get(b"traceparent") or b"").decode("latin-1")
    context, parent = tracer.enter(None, parse_traceparent(told))
    return tracer.begin(NAME, "server", context, parent) if context.sampled else None


def finish(tracer: Tracer, span: Span, connection: Connection, flag: str, received: int, sent: int) -> None:
    """The tunnel is over. `received` are the bytes from client to server, `sent` those that went back."""
    one = connection
    span.attributes |= of_bytes(one.facts, one.src, one.dst, one.hbone_addr, received, sent, flag)
    span.error = "" if flag == "-" else flag
    tracer.finish(span)
