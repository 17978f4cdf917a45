"""Spans as OTLP's messages (https://opentelemetry.io/docs/specs/otlp/). Needs the extra `otlp`: import it late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.proto.trace.v1.trace_pb2 import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue

    from mesh_py.tracing.span import Span

SCOPE = "hbone-mesh"
_KINDS = {"server": Message.SPAN_KIND_SERVER, "client": Message.SPAN_KIND_CLIENT}
_SAMPLED_FLAG = 1


def encode(spans: Sequence[Span], resource: Mapping[str, str], version: str) -> bytes:
    """The body of one export request.

    Args:
        resource: who records: `service.name` and others.
        version: of this project.
    """
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    _put(group.resource.attributes, resource)
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = SCOPE, version
    for span in spans:
        _fill(scope.spans.add(), span)
    return request.SerializeToString()


def rejected(answer: bytes) -> tuple[int, str]:
    """How many spans the collector did not take, by its answer to a request it accepted, and why."""
    try:
        success = ExportTraceServiceResponse.FromString(answer).partial_success
    except DecodeError:  # it took them; how it says so is its own affair
        return 0, ""
    return success.rejected_spans, success.error_message


def _fill(message: Message, span: Span) -> None:
    context = span.context
    message.trace_id = context.trace_id.to_bytes(16)
    message.span_id = context.span_id.to_bytes(8)
    if span.parent:
        message.parent_span_id = span.parent.to_bytes(8)
    message.trace_state = span.state
    message.flags = _SAMPLED_FLAG
    message.name = span.name
    message.kind = _KINDS[span.kind]
    message.start_time_unix_nano, message.end_time_unix_nano = span.started, max(span.started, span.ended)
    _put(message.attributes, span.attributes)
    if span.error:
        message.status.code = Status.STATUS_CODE_ERROR
        _put(message.attributes, {"error.type": span.error})


def _put(into: RepeatedCompositeFieldContainer[KeyValue], attributes: Mapping[str, str | int]) -> None:
    for key, value in attributes.items():
        one = into.add()
        one.key = key
        if isinstance(value, int):
            one.value.int_value = value
        else:
            one.value.string_value = value.encode("utf-8", "replace").decode()
