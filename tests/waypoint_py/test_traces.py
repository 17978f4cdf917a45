"""One trace from the application to the application, as a collector sees it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import httpx
import pytest

from mesh_py.discovery.state import MeshState
from mesh_py.identity.sources import FileTriple
from mesh_py.identity.store import CertificateStore
from mesh_py.manifests.proxy_file import read_proxy_file
from mesh_py.process.background import background
from mesh_py.process.listening import bind_all
from mesh_py.settings.kinds import WorkloadInfo
from mesh_py.settings.tracing import TracingSettings
from mesh_py.telemetry.access_log import AccessLog
from mesh_py.telemetry.connection_log import PlainLines
from mesh_py.telemetry.metrics import Metrics
from mesh_py.tracing.process import Tracing, exporting
from mesh_py.tracing.resource import of_node, of_proxy
from mesh_py.tracing.sampling import Sampler
from tests.sidecar_py.applications import web_application
from tests.sidecar_py.sidecars import sidecar
from tests.support.collector import PATH, Collector, collector
from tests.waypoint_py.waypoints import HOST, PORT, Addresses, pod, waypoint
from ztunnel_py.config import from_env
from ztunnel_py.data_plane import DataPlane
from ztunnel_py.foundation import Foundation
from ztunnel_py.listening import KEPT_ALIVE, data_addresses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from mesh_py.telemetry.logs import Logs
    from mesh_py.tracing.tracer import Tracer
    from tests.support.certificates import CertificateFiles

    Certificates = Mapping[str, CertificateFiles]

URL = f"http://{HOST}:{PORT}"
TRACE, APP = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ALWAYS = Sampler()
FOUR = [
    "sleep.default server",
    "  sleep.default client",
    "    waypoint.default server",
    "      waypoint.default client",
]


@contextlib.asynccontextmanager
async def tracing(to: Collector, who: Mapping[str, str], sampler: Sampler) -> AsyncIterator[Tracer]:
    settings = TracingSettings(to.url + PATH, sampler=sampler, delay=0.01)
    one = Tracing(settings, Metrics("test"), lambda: who, "test", None)
    async with exporting(one, asyncio.Event()):
        yield one.tracer


@contextlib.asynccontextmanager
async def node_proxy(mesh: str, address: str, certificate: CertificateFiles, tracer: Tracer) -> AsyncIterator[None]:
    """A node proxy's data plane in this process; its SOCKS5 serves sleep."""
    told = {"PROXY_MODE": "node", "PROXY_BIND_ADDRESS": address, "LOCAL_XDS": mesh, "XDS_ADDRESS": "", "HOME": "/"}
    socks = {"UNSTABLE_ENABLE_SOCKS5": "true", "SOCKS5_SOURCE_WORKLOAD": "default/sleep", "FAKE_CA": "true"}
    settings = from_env(told | socks)
    config, state = read_proxy_file(mesh, "mesh.yaml"), MeshState(settings.network, settings.node)
    state.replace(config.workloads, config.services, config.policies)
    source = FileTriple(certificate.chain, certificate.key, certificate.roots)
    store = CertificateStore(source, settings.tls, lambda: datetime.datetime.now(datetime.UTC))
    sockets = bind_all(data_addresses(settings), settings.socket_options, kept_alive=KEPT_ALIVE)
    lines: list[str] = []
    logs = cast("Logs", SimpleNamespace(access=AccessLog(lines.append, PlainLines(), time.time)))
    foundation = Foundation(settings, state, store, logs, Metrics("test"), tracer=tracer)
    plane = DataPlane.start(foundation, sockets)
    async with background(plane.background()):
        try:
            yield
        finally:
            await plane.drain(0)


@contextlib.asynccontextmanager
async def chain(
    certificates: Certificates, to: Collector, first: Sampler = ALWAYS
) -> AsyncIterator[tuple[httpx.AsyncClient, Addresses]]:
    """sleep's sidecar, a waypoint, the node proxy of httpbin's pod; the client is sleep's application."""
    at = Addresses()
    mesh = at.mesh()
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        tracers = [
            await enter(tracing(to, of_proxy(_info("sleep"), None), first)),
            await enter(tracing(to, of_proxy(_info("waypoint"), None), ALWAYS)),
            await enter(tracing(to, of_node("node-b", "c1"), ALWAYS)),
        ]
        await enter(web_application(at.v1, at.port))
        await enter(node_proxy(mesh, at.v1, certificates["httpbin"], tracers[2]))
        middle = await enter(waypoint(mesh, at.waypoint, certificates["waypoint"]))
        middle.plane.context.tracer = tracers[1]
        form = {"INBOUND_PORT": "0", "WAYPOINT_FORM": "service"}
        client = await enter(sidecar(mesh, "sleep", at.sleep, certificates["sleep"], **form))
        client.plane.context.tracer = tracers[0]
        yield await enter(client.client()), at


def _info(name: str) -> WorkloadInfo:
    return WorkloadInfo("default", name, name)


async def test_sidecar_waypoint_and_node_proxy_make_one_tree(certificates: Certificates) -> None:
    async with collector() as there:
        async with chain(certificates, there) as (http, at):
            told = (await http.get(f"{URL}/headers?a=b")).json()["headers"]["traceparent"]
            await there.received(4)
        spans = await there.received(5)  # the tunnel's own, once it has ended
        assert there.tree() == [*FOUR, "        ztunnel server"]
        assert {span.trace for span in spans} == {told[3:35]}
        by = {f"{span.service} {span.kind}": span for span in spans}
        onward = by["waypoint.default client"]
        assert told == f"00-{onward.trace}-{onward.id}-01", "the application is asked by the last of those who look in"
        served = by["waypoint.default server"].attributes
        assert (served["url.path"], served["url.query"]) == ("/headers", "a=b")
        assert served["http.response.status_code"] == 200
        assert served["istio.source_principal"] == "spiffe://cluster.local/ns/default/sa/sleep"
        assert (served["istio.source_workload"], served["istio.destination_workload"]) == ("sleep", "httpbin-v1")
        asked = by["sleep.default client"].attributes
        assert asked["istio.destination_principal"] == "spiffe://cluster.local/ns/default/sa/waypoint"
        assert asked["hbone.authority"] == f"{at.vip}:{PORT}"
        tunnel = by["ztunnel server"].attributes
        assert tunnel["istio.source_principal"] == "spiffe://cluster.local/ns/default/sa/waypoint"
        assert tunnel["hbone.authority"] == f"{at.v1}:{at.port}"
        assert isinstance(tunnel["hbone.bytes_received"], int)
        assert tunnel["hbone.bytes_received"] > 0


async def test_an_applications_own_trace_goes_on(certificates: Certificates) -> None:
    async with collector() as there, chain(certificates, there, Sampler("parentbased_always_off")) as (http, _):
        own = {"traceparent": f"00-{TRACE}-{APP}-01", "tracestate": "vendor=1"}
        headers = (await http.get(f"{URL}/headers", headers=own)).json()["headers"]
        spans = await there.received(4)
        assert headers["tracestate"] == "vendor=1"
        assert {span.trace for span in spans} == {TRACE} == {headers["traceparent"][3:35]}
        assert there.tree() == [f"{FOUR[0]} below {APP}", *FOUR[1:]]


@pytest.mark.parametrize("own", [{}, {"traceparent": f"00-{TRACE}-{APP}-00"}], ids=["its own choice", "its caller's"])
async def test_what_the_first_does_not_record_nobody_does(certificates: Certificates, own: dict[str, str]) -> None:
    first = Sampler("parentbased_always_on" if own else "parentbased_always_off")
    async with collector() as there:
        async with chain(certificates, there, first) as (http, _):
            told = (await http.get(f"{URL}/headers", headers=own)).json()["headers"]["traceparent"]
            assert told.endswith("-00")
            assert told == own.get("traceparent", told)
        tunnels = {f"{span.service} {span.kind}" for span in there.spans}
        assert tunnels <= {"ztunnel server"}


async def test_a_request_that_fails(certificates: Certificates) -> None:
    at = Addresses()
    async with (
        collector() as there,
        tracing(there, of_proxy(_info("sleep"), None), ALWAYS) as tracer,
        sidecar(at.mesh(), "sleep", at.sleep, certificates["sleep"], INBOUND_PORT="0", WAYPOINT_FORM="service") as one,
        one.client() as http,
    ):
        one.plane.context.tracer = tracer
        assert (await http.get(f"{URL}/ip")).status_code == 503
        spans = await there.received(4)
        *attempts, served = spans
        assert [span.attributes.get("http.request.resend_count") for span in attempts] == [None, 1, 2]
        assert all(span.failed and span.parent == served.id for span in attempts)
        assert served.failed
        assert served.attributes["error.type"] == "503"
        assert "UF" in str(attempts[-1].attributes["error.type"])


async def test_bytes_have_a_span_for_their_connection(certificates: Certificates) -> None:
    """By plain HBONE to the pod; the bytes happen to be HTTP."""
    at = Addresses()
    mesh = at.mesh(speaks="TCP")
    async with collector() as there:
        async with (
            tracing(there, of_proxy(_info("sleep"), None), ALWAYS) as of_client,
            tracing(there, of_node("node-b", "c1"), ALWAYS) as of_pod,
            web_application(at.v1, at.port),
            node_proxy(mesh, at.v1, certificates["httpbin"], of_pod),
            sidecar(mesh, "sleep", at.sleep, certificates["sleep"], INBOUND_PORT="0", WAYPOINT_FORM="today") as one,
        ):
            one.plane.context.tracer = of_client
            async with one.client() as http:
                assert (await http.get(f"{URL}/ip")).status_code == 200
            spans = await there.received(2)
        assert there.tree() == ["sleep.default client", "  ztunnel server"]
        [asked] = [span for span in spans if span.kind == "client"]
        assert (asked.name, asked.attributes["istio.destination_workload"]) == ("TCP", "httpbin-v1")
        assert asked.attributes["hbone.authority"] == f"{at.v1}:{at.port}"


async def test_where_nobody_looks_in_the_tunnels_make_the_trace(certificates: Certificates) -> None:
    """sleep is ambient: its node proxy begins the trace, the waypoint's requests join the tunnel's."""
    at = Addresses()
    mesh = at.mesh()
    async with collector() as there:
        async with (
            tracing(there, of_node("node-a", "c1"), ALWAYS) as of_source,
            tracing(there, of_proxy(_info("waypoint"), None), ALWAYS) as of_waypoint,
            web_application(at.v1, at.port),
            pod(at.v1, at.port, certificates["httpbin"]) as asked,
            waypoint(mesh, at.waypoint, certificates["waypoint"]) as middle,
            node_proxy(mesh, at.sleep, certificates["sleep"], of_source),
            httpx.AsyncClient(proxy=f"socks5h://{at.sleep}:15080", trust_env=False, verify=False) as http,
        ):
            middle.plane.context.tracer = of_waypoint
            told = (await http.get(f"{URL}/headers")).json()["headers"]["traceparent"]
            assert asked[0].endswith(told), "the tunnel behind tells the same as its request"
        await there.received(3)
        tree = ["ztunnel client", "  waypoint.default server", "    waypoint.default client"]
        assert there.tree() == tree
