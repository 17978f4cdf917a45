"""Spans in OTLP's messages, as OpenTelemetry's own classes read them."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from mesh_py.tracing.encode import encode, rejected
from mesh_py.tracing.span import Span
from mesh_py.tracing.trace_context import TraceContext
from tests.support.collector import answer

CONTEXT = TraceContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, True)


def test_everything_of_a_span_arrives() -> None:
    span = Span("GET", "client", CONTEXT, 7, 100, 250, "vendor=1", {"url.path": "/a", "server.port": 80}, "503")
    request = ExportTraceServiceRequest.FromString(encode([span], {"service.name": "cart.shop"}, "1.2"))
    [group] = request.resource_spans
    assert [(one.key, one.value.string_value) for one in group.resource.attributes] == [("service.name", "cart.shop")]
    [scope] = group.scope_spans
    assert (scope.scope.name, scope.scope.version) == ("hbone-mesh", "1.2")
    [found] = scope.spans
    assert found.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert (found.span_id.hex(), found.parent_span_id.hex()) == ("b7ad6b7169203331", "0000000000000007")
    assert (found.name, found.kind, found.trace_state) == ("GET", Message.SPAN_KIND_CLIENT, "vendor=1")
    assert (found.start_time_unix_nano, found.end_time_unix_nano) == (100, 250)
    values = {one.key: one.value.string_value or one.value.int_value for one in found.attributes}
    assert values == {"url.path": "/a", "server.port": 80, "error.type": "503"}
    assert found.status.code == Status.STATUS_CODE_ERROR


def test_the_first_span_of_a_trace_that_went_well() -> None:
    [group] = ExportTraceServiceRequest.FromString(
        encode([Span("GET", "server", CONTEXT, 0, 9, 8)], {}, "")
    ).resource_spans
    [found] = group.scope_spans[0].spans
    assert found.parent_span_id == b""
    assert found.status.code == Status.STATUS_CODE_UNSET
    assert found.end_time_unix_nano == 9, "a clock that was set back makes no span of negative length"


def test_what_is_no_unicode_is_replaced() -> None:
    span = Span("GET", "server", CONTEXT, 0, 1, 2, attributes={"url.path": "/\udcff"})
    [group] = ExportTraceServiceRequest.FromString(encode([span], {}, "")).resource_spans
    assert group.scope_spans[0].spans[0].attributes[0].value.string_value == "/?"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (answer().body, (0, "")),
        (answer(3, "too old").body, (3, "too old")),
        (b"{}", (0, "")),
    ],
    ids=["all taken", "some were not", "an answer in another form"],
)
def test_what_a_collector_says(body: bytes, told: tuple[int, str]) -> None:
    assert rejected(body) == told
