"""Spans that wait: bounded, counted, in order."""

from __future__ import annotations

from mesh_py.tracing.queue import SpanQueue
from mesh_py.tracing.span import Span
from mesh_py.tracing.trace_context import TraceContext


def span(number: int) -> Span:
    return Span("GET", "server", TraceContext(1, number, True), 0, number)


def starts(spans: list[Span]) -> list[int]:
    return [one.started for one in spans]


def test_they_leave_in_batches_and_in_order() -> None:
    queue = SpanQueue(10, 2)
    for number in range(1, 6):
        queue.put(span(number))
    assert queue.filled.is_set()
    assert [starts(queue.take()) for _ in range(4)] == [[1, 2], [3, 4], [5], []]
    assert not queue.filled.is_set()


def test_what_is_too_much_is_dropped_and_counted() -> None:
    queue = SpanQueue(2, 2)
    for number in range(1, 6):
        queue.put(span(number))
    assert starts(queue.take()) == [1, 2]
    assert queue.dropped == {"queue_full": 3}


def test_a_batch_larger_than_the_queue_is_a_queue_full() -> None:
    queue = SpanQueue(2, 512)
    queue.put(span(1))
    assert not queue.filled.is_set()
    queue.put(span(2))
    assert queue.filled.is_set()
