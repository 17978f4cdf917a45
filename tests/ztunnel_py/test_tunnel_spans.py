"""Spans of tunnels: whose child they are, and what they say in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hbone_py.connect import ConnectRequest
from mesh_py.tracing.sampling import Sampler
from mesh_py.tracing.tracer import Tracer
from tests.interop.callers import talk
from tests.support.processes import eventually
from tests.support.tcp_apps import echo
from ztunnel_py.tunnel_spans import begin_inbound, begin_outbound

if TYPE_CHECKING:
    from mesh_py.tracing.span import Span
    from tests.support.pods import Pods

TOLD = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"


def tracer(name: str) -> Tracer:
    return Tracer(Sampler(name), lambda _: None)


@pytest.mark.parametrize(("name", "flags"), [("always_on", "01"), ("always_off", "00")])
def test_outbound_a_trace_begins(name: str, flags: str) -> None:
    span, told = begin_outbound(tracer(name))
    assert told.endswith(f"-{flags}")
    assert (span is not None) == (flags == "01")
    assert span is None or (span.context.header, span.parent, span.kind) == (told, 0, "client")


@pytest.mark.parametrize(
    ("headers", "parent"),
    [
        ([(b"traceparent", TOLD + b"01")], 0xB7AD6B7169203331),
        ([(b"traceparent", TOLD + b"00")], 0xB7AD6B7169203331),
        ([(b"traceparent", b"\xff" * 55)], 0),
        ([], 0),
    ],
    ids=["sampled", "ztunnel's", "nonsense", "none"],
)
def test_inbound_it_belongs_to_whoever_asked(headers: list[tuple[bytes, bytes]], parent: int) -> None:
    span = begin_inbound(tracer("parentbased_always_on"), ConnectRequest("10.0.0.1:80", headers))
    assert span is not None
    assert (span.parent, span.kind) == (parent, "server")


async def test_both_sides_of_one_tunnel(pods: Pods) -> None:
    spans: list[Span] = []
    sleep, server = pods.add("sleep"), pods.add("server")
    for pod in (sleep, server):
        pod.its_proxy.plane.context.tracer = Tracer(Sampler(), spans.append)
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await talk(caller, b"hello")
        assert spans == [], "a tunnel's span lasts as long as the tunnel"
        await caller.send_eof()
        await eventually(lambda: len(spans) == 2, "both spans")
    [asked] = [span for span in spans if span.kind == "client"]
    [served] = [span for span in spans if span.kind == "server"]
    assert (served.parent, served.context.trace_id) == (asked.context.span_id, asked.context.trace_id)
    for span in spans:
        assert span.attributes["hbone.authority"] == app.authority
        assert (span.attributes["hbone.bytes_received"], span.attributes["hbone.bytes_sent"]) == (5, 5)
        assert (span.attributes["istio.source_workload"], span.error) == ("sleep", "")
