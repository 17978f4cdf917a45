"""A collector of spans: takes OTLP over HTTP, and reads it with OpenTelemetry's own messages."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue

PATH = "/v1/traces"


@dataclass
class Recorded:
    """One span as the collector has it; ids are hexadecimal, the parent's empty for the first of a trace."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    failed: bool
    seconds: float
    attributes: dict[str, str | int]
    resource: dict[str, str | int]


@dataclass
class Collector:
    """What has come, and how exports are answered: `answers` first, one each, then 200."""

    url: str = ""
    spans: list[Recorded] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    """The headers of each."""
    answers: list[web.Response] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """One export."""
        body = await request.read()
        self.requests.append({name.lower(): value for name, value in request.headers.items()})
        if self.answers and self.answers[0].status != 200:
            return self.answers.pop(0)
        assert request.content_type == "application/x-protobuf"
        self.spans += _spans(ExportTraceServiceRequest.FromString(body))
        return self.answers.pop(0) if self.answers else answer()

    async def received(self, count: int) -> list[Recorded]:
        """Exactly so many spans, once they are here."""
        await eventually(lambda: len(self.spans) >= count, f"{count} spans, not {len(self.spans)}")
        assert len(self.spans) == count, [f"{span.service} {span.kind} {span.name}" for span in self.spans]
        return self.spans

    def tree(self) -> list[str]:
        """`service kind` of each span, a step further in than its parent's; unknown parents are shown as such."""
        known = {span.id for span in self.spans}
        roots = [span for span in self.spans if span.parent not in known]
        return [line for root in roots for line in self._branch(root, 0)]

    def _branch(self, span: Recorded, depth: int) -> Iterable[str]:
        orphan = "" if depth or not span.parent else f" below {span.parent}"
        yield f"{'  ' * depth}{span.service} {span.kind}{orphan}"
        for child in self.spans:
            if child.parent == span.id and child.trace == span.trace:
                yield from self._branch(child, depth + 1)


def answer(rejected: int = 0, why: str = "") -> web.Response:
    """A collector's word that it took the spans, or all but so many."""
    told = ExportTraceServiceResponse()
    if rejected:
        told.partial_success.rejected_spans, told.partial_success.error_message = rejected, why
    return web.Response(body=told.SerializeToString(), content_type="application/x-protobuf")


@contextlib.asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    """One that listens; `url` is the base address, as OTEL_EXPORTER_OTLP_ENDPOINT wants it."""
    one = Collector()
    app = web.Application()
    app.router.add_post(PATH, one.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        one.url = f"http://{host}:{port}"
        yield one
    finally:
        await runner.cleanup()


def _spans(request: ExportTraceServiceRequest) -> Iterable[Recorded]:
    for group in request.resource_spans:
        resource = _values(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield _recorded(span, resource)


def _recorded(span: Span, resource: dict[str, str | int]) -> Recorded:
    assert (len(span.trace_id), len(span.span_id), len(span.parent_span_id) in (0, 8)) == (16, 8, True)
    assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
    return Recorded(
        str(resource["service.name"]),
        span.name,
        Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.status.code == Status.STATUS_CODE_ERROR,
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        _values(span.attributes),
        resource,
    )


def _values(found: Iterable[KeyValue]) -> dict[str, str | int]:
    values = {}
    for one in found:
        kind = one.value.WhichOneof("value")
        assert kind in ("string_value", "int_value"), one
        assert one.key not in values, one
        values[one.key] = getattr(one.value, kind)
    return values
