"""Conversations with a collector: batches, answers, deadlines, and the end."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from mesh_py.settings.tracing import TracingSettings
from mesh_py.telemetry.exposition import render
from mesh_py.telemetry.metrics import Metrics
from mesh_py.tracing.process import Tracing, exporting
from mesh_py.tracing.span import Span
from mesh_py.tracing.trace_context import TraceContext
from tests.support.collector import PATH, Collector, answer, collector
from tests.support.processes import eventually, refusing_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SOON = TracingSettings("", timeout=5, delay=0.01, batch=2, most_waiting=10)
LONG = 3600.0


def span(number: int = 1) -> Span:
    return Span("GET", "server", TraceContext(7, number, True), 0, number, number)


class Exporting:
    """One exporter on its way to a collector."""

    def __init__(self, settings: TracingSettings) -> None:
        self.metrics = Metrics("test")
        self.tracing = Tracing(settings, self.metrics, lambda: {"service.name": "cart.shop"}, "1.2", None)

    def finish(self, *numbers: int) -> None:
        for number in numbers:
            self.tracing.tracer.finish(span(number))

    def counted(self, sample: str) -> int:
        lines = "".join(render(self.metrics.snapshot())).splitlines()
        return next((int(line.rpartition(" ")[2]) for line in lines if line.startswith(f"hbone_spans_{sample} ")), 0)


@contextlib.asynccontextmanager
async def exporter(to: Collector | str, settings: TracingSettings = SOON) -> AsyncIterator[Exporting]:
    url = to if isinstance(to, str) else to.url + PATH
    one = Exporting(replace(settings, url=url))
    async with exporting(one.tracing, asyncio.Event()):
        yield one


async def test_spans_arrive_in_batches() -> None:
    async with collector() as there, exporter(there) as one:
        one.finish(1, 2, 3)
        spans = await there.received(3)
        assert [int(found.id, 16) for found in spans] == [1, 2, 3]
        await eventually(lambda: one.counted("exported_total") == 3, "counted")
    assert len(there.requests) == 2
    sdk = {"telemetry.sdk.name": "hbone-mesh", "telemetry.sdk.language": "python", "telemetry.sdk.version": "1.2"}
    assert spans[0].resource == {"service.name": "cart.shop"} | sdk


async def test_a_full_batch_does_not_wait() -> None:
    async with collector() as there, exporter(there, replace(SOON, delay=LONG)) as one:
        one.finish(1, 2)
        await there.received(2)


async def test_what_was_set_goes_along() -> None:
    told = replace(SOON, headers=(("authorization", "Bearer abc"),), service_name="edge", resource=(("a", "b"),))
    async with collector() as there, exporter(there, told) as one:
        one.finish(1)
        [found] = await there.received(1)
    assert there.requests[0]["authorization"] == "Bearer abc"
    assert there.requests[0]["content-type"] == "application/x-protobuf"
    assert (found.service, found.resource["a"]) == ("edge", "b")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_later_is_tried_again(status: int) -> None:
    async with collector() as there, exporter(there) as one:
        there.answers.append(web.Response(status=status, headers={"retry-after": "0"}))
        one.finish(1)
        await there.received(1)
        await eventually(lambda: one.counted("exported_total") == 1, "counted")
    assert len(there.requests) == 2


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (web.Response(status=400), "refused"),
        (web.Response(status=404), "refused"),
        (web.Response(status=307, headers={"location": "http://127.0.0.1:1/"}), "refused"),
        (answer(1, "too old"), "rejected"),
    ],
    ids=["400", "404", "sent elsewhere", "taken in part"],
)
async def test_no_is_no(told: web.Response, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    async with collector() as there, exporter(there) as one:
        there.answers.append(told)
        one.finish(1)
        await eventually(lambda: one.counted(f'dropped_total{{reason="{reason}"}}') == 1, "counted")
        one.finish(2)
        await eventually(lambda: len(there.requests) == 2, "the next one goes out")
    assert sum("spans do not arrive" in message for message in caplog.messages) == 1


async def test_nobody_there(caplog: pytest.LogCaptureFixture) -> None:
    with refusing_port("127.0.0.1") as port:
        async with exporter(f"http://127.0.0.1:{port}/", replace(SOON, timeout=0.05)) as one:
            for number in (1, 2):
                one.finish(number)
                await eventually(lambda: one.counted('dropped_total{reason="deadline"}') == number, "given up")  # noqa: B023
    assert sum("spans do not arrive" in message for message in caplog.messages) == 1, "said once, not for each batch"


async def test_who_finishes_spans_is_never_held_up() -> None:
    async with collector() as there, exporter(there, replace(SOON, delay=LONG, batch=100)) as one:
        one.finish(*range(1, 14))
        assert one.counted('dropped_total{reason="queue_full"}') == 3
    await there.received(10)


async def test_at_the_end_what_waits_still_goes() -> None:
    async with collector() as there:
        async with exporter(there, replace(SOON, delay=LONG, batch=100)) as one:
            one.finish(1, 2, 3)
        assert len(there.spans) == 3
        assert one.counted("exported_total") == 3


async def test_in_a_hurry_nothing_is_waited_for() -> None:
    hurry = asyncio.Event()
    hurry.set()
    with refusing_port("127.0.0.1") as port:
        one = Exporting(replace(SOON, url=f"http://127.0.0.1:{port}/", delay=LONG, batch=100))
        async with exporting(one.tracing, hurry):
            one.finish(1)
    assert one.counted("exported_total") == 0


async def test_the_end_has_a_deadline() -> None:
    with refusing_port("127.0.0.1") as port:
        one = Exporting(replace(SOON, url=f"http://127.0.0.1:{port}/", delay=LONG, batch=2))
        async with exporting(one.tracing, asyncio.Event(), 0.05):
            one.finish(1, 2, 3)
    assert one.counted('dropped_total{reason="deadline"}') == 3
