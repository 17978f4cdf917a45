"""The spans of a process: who it says it is, and where nobody wants any."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from mesh_py.settings.tracing import TracingSettings
from mesh_py.telemetry.metrics import Metrics
from mesh_py.tracing.process import Tracing, exporting

if TYPE_CHECKING:
    from collections.abc import Mapping

SDK = {"telemetry.sdk.name": "hbone-mesh", "telemetry.sdk.language": "python", "telemetry.sdk.version": "1.2"}


@pytest.mark.parametrize(
    ("name", "more", "expected"),
    [
        ("", (), {"service.name": "cart.shop"}),
        ("edge", (), {"service.name": "edge"}),
        ("", (("service.name", "by attribute"), ("a", "b")), {"service.name": "by attribute", "a": "b"}),
        ("edge", (("service.name", "by attribute"),), {"service.name": "edge"}),
    ],
    ids=["as it is known", "by name", "by attributes", "the name wins"],
)
def test_who_records(name: str, more: tuple[tuple[str, str], ...], expected: Mapping[str, str]) -> None:
    settings = TracingSettings("http://c/", service_name=name, resource=more)
    tracing = Tracing(settings, Metrics("test"), lambda: {"service.name": "cart.shop"}, "1.2", None)
    assert tracing.resource() == {**expected, **SDK}


def test_what_is_known_later_is_told_later() -> None:
    known = {"service.name": "cart-7.shop"}
    tracing = Tracing(TracingSettings("http://c/"), Metrics("test"), lambda: known, "1.2", None)
    known["service.name"] = "cart.shop"
    assert tracing.resource()["service.name"] == "cart.shop"


async def test_where_nobody_wants_them_nothing_runs() -> None:
    async with exporting(None, asyncio.Event()):
        assert len(asyncio.all_tasks()) == 1


async def test_a_body_that_fails_is_not_held_up() -> None:
    tracing = Tracing(TracingSettings("http://127.0.0.1:1/"), Metrics("test"), dict, "1.2", None)

    async def fail() -> None:
        async with exporting(tracing, asyncio.Event(), 3600.0):
            context, parent = tracing.tracer.enter(None)
            tracing.tracer.finish(tracing.tracer.begin("GET", "server", context, parent))
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        await fail()
    assert isinstance(caught.value.exceptions[0], ZeroDivisionError)
