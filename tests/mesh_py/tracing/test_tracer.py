"""How requests join traces, and how spans begin and end."""

from __future__ import annotations

from random import Random

import pytest

from mesh_py.tracing.sampling import Sampler
from mesh_py.tracing.span import Span
from mesh_py.tracing.trace_context import TraceContext
from mesh_py.tracing.tracer import Tracer

YES, NO = TraceContext(1, 2, True), TraceContext(1, 2, False)
TUNNEL_YES, TUNNEL_NO = TraceContext(8, 9, True), TraceContext(8, 9, False)


def tracer(name: str = "parentbased_always_on") -> Tracer:
    return Tracer(Sampler(name), lambda _: None, dice=Random(7), clock=lambda: 5)


@pytest.mark.parametrize(
    ("own", "tunnel", "sampler", "parent", "recorded"),
    [
        pytest.param(None, None, "parentbased_always_on", None, True, id="it begins here"),
        pytest.param(None, None, "parentbased_always_off", None, False, id="it begins here and is not wanted"),
        pytest.param(YES, TUNNEL_YES, "parentbased_always_off", YES, True, id="its own parent counts first"),
        pytest.param(NO, TUNNEL_YES, "parentbased_always_on", NO, False, id="and says no"),
        pytest.param(None, TUNNEL_YES, "parentbased_always_off", TUNNEL_YES, True, id="the tunnel says yes"),
        pytest.param(None, TUNNEL_NO, "parentbased_always_on", TUNNEL_NO, True, id="the tunnel does not say"),
        pytest.param(None, TUNNEL_NO, "parentbased_always_off", TUNNEL_NO, False, id="so it is as set"),
    ],
)
def test_how_a_request_joins(
    own: TraceContext | None, tunnel: TraceContext | None, sampler: str, parent: TraceContext | None, recorded: bool
) -> None:
    entered = tracer(sampler).enter(own, tunnel)
    assert (entered.parent, entered.context.sampled) == (parent, recorded)
    assert entered.context.span_id not in (0, 2, 9)
    assert entered.context.trace_id
    if parent is not None:
        assert entered.context.trace_id == parent.trace_id


def test_a_child_is_a_new_span_of_the_same_trace() -> None:
    child = tracer().child(YES)
    assert (child.trace_id, child.sampled) == (1, True)
    assert child.span_id != YES.span_id


def test_a_span_from_its_beginning_to_its_end() -> None:
    times, finished = iter([100, 250]), list[Span]()
    one = Tracer(Sampler(), finished.append, clock=lambda: next(times))
    span = one.begin("GET", "server", TUNNEL_YES, YES, "vendor=1")
    assert finished == []
    one.finish(span)
    assert finished == [Span("GET", "server", TUNNEL_YES, YES.span_id, 100, 250, "vendor=1")]


def test_who_knows_when_it_ended_says_so() -> None:
    one = tracer()
    span = one.begin("GET", "client", YES, None)
    span.ended = 77
    one.finish(span)
    assert (span.parent, span.ended) == (0, 77)
