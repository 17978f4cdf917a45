"""The spans of one request, and what it tells whoever is next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest
from mesh_py.proxy.cluster import Pick
from mesh_py.proxy.request_trace import RequestTrace
from mesh_py.proxy.ways import Endpoint, Hbone, Plain
from mesh_py.telemetry.facts import ConnectionFacts
from mesh_py.telemetry.requests import RequestRecord
from mesh_py.tracing.sampling import Sampler
from mesh_py.tracing.trace_context import TRACEPARENT, parse_traceparent
from mesh_py.tracing.tracer import Tracer
from tests.support import world

if TYPE_CHECKING:
    from mesh_py.exchange.upstream import Upstream
    from mesh_py.tracing.span import Span

OWN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TUNNEL = "00-ffffffffffffffffffffffffffffffff-eeeeeeeeeeeeeeee-01"
PLAIN = Pick(Endpoint(Plain(world.address("10.0.0.7:80")), world.workload("cart-1", "10.0.0.7", namespace="shop")))


class Calls:
    """A backend that notes what it is asked."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def choose(self, tried: frozenset[Pick]) -> Pick:
        return PLAIN

    def lease_now(self, target: Pick) -> Upstream | None:
        return None

    async def lease(self, target: Pick) -> Upstream:
        raise NotImplementedError

    def begun(self, target: Pick) -> None:
        self.heard.append("begun")

    def ended(self, target: Pick, status: int | None) -> None:
        self.heard.append(status)

    def may_retry(self) -> bool:
        return False

    def retried(self) -> None:
        self.heard.append("retried")


class Scene:
    """One request to a proxy that records, or does not."""

    def __init__(self, own: str = "", tunnel: str = "", sampler: str = "parentbased_always_on") -> None:
        self.spans: list[Span] = []
        tracer = Tracer(Sampler(sampler), self.spans.append)
        self.request = HttpRequest("GET", "/", "cart", Headers([(TRACEPARENT, own)] if own else []))
        self.trace = RequestTrace(tracer, self.request, tunnel)
        self.calls = Calls()
        self.backend = self.trace.around(self.calls)

    @property
    def told(self) -> str:
        return self.request.headers.get(TRACEPARENT) or ""

    def close(self, status: int, flags: str = "-") -> None:
        facts = ConnectionFacts("source", None, None)
        record = RequestRecord(facts, 0.0, "GET", "/")
        record.status, record.flags = status, flags
        self.trace.close(record)


def test_a_request_is_served_and_asks_once() -> None:
    scene = Scene(OWN)
    scene.backend.begun(PLAIN)
    onward = scene.told
    scene.backend.ended(PLAIN, 200)
    scene.close(200)
    asked, served = scene.spans
    assert (served.kind, served.parent, asked.kind, asked.parent) == (
        "server",
        0xB7AD6B7169203331,
        "client",
        served.context.span_id,
    )
    assert parse_traceparent(onward) == asked.context
    assert asked.attributes["istio.destination_workload_namespace"] == "shop"
    assert scene.calls.heard == ["begun", 200]


def test_each_try_is_a_span_of_its_own() -> None:
    scene = Scene()
    told = []
    for status in (None, 503, 200):
        scene.backend.begun(PLAIN)
        told.append(scene.told)
        scene.backend.ended(PLAIN, status)
    scene.close(200)
    first, second, third, served = scene.spans
    assert [span.error for span in scene.spans] == ["_OTHER", "503", "", ""]
    assert [span.attributes.get("http.request.resend_count") for span in (first, second, third)] == [None, 1, 2]
    assert {span.parent for span in (first, second, third)} == {served.context.span_id}
    assert told == [span.context.header for span in (first, second, third)]


def test_why_the_last_try_failed_is_known_in_the_end() -> None:
    scene = Scene()
    scene.backend.begun(PLAIN)
    scene.backend.ended(PLAIN, None)
    scene.close(503, "UF")
    assert [span.error for span in scene.spans] == ["UF", "503"]


def test_whom_a_tunnel_proves() -> None:
    waypoint = world.workload("waypoint", "10.0.0.9").identity
    way = Hbone(world.address("10.0.0.9:15008"), "10.1.0.1:80", (waypoint,), is_waypoint=True)
    scene = Scene()
    scene.backend.begun(Pick(Endpoint(way)))
    scene.backend.ended(PLAIN, 200)
    scene.close(200)
    told = scene.spans[0].attributes
    assert told["istio.destination_principal"] == str(waypoint)
    assert (told["hbone.authority"], told["network.peer.address"]) == ("10.1.0.1:80", "10.0.0.9")


@pytest.mark.parametrize(
    ("own", "tunnel", "sampler", "told"),
    [
        pytest.param(OWN[:-1] + "0", TUNNEL, "parentbased_always_on", OWN[:-1] + "0", id="its own, untouched"),
        pytest.param("", TUNNEL, "always_off", TUNNEL, id="the tunnel's"),
        pytest.param("nonsense", TUNNEL, "always_off", TUNNEL, id="the tunnel's for nonsense"),
    ],
)
def test_what_is_not_recorded_still_belongs_somewhere(own: str, tunnel: str, sampler: str, told: str) -> None:
    scene = Scene(own, tunnel, sampler)
    assert scene.told == told
    assert scene.backend is scene.calls
    scene.close(200)
    assert scene.spans == []


def test_what_begins_here_and_is_not_recorded_is_recorded_by_nobody() -> None:
    found = parse_traceparent(Scene(sampler="always_off").told)
    assert found is not None
    assert not found.sampled
