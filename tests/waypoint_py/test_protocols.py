"""What runs through two tunnels: HTTP/2, gRPC, WebSocket, bytes; whole, and ended as they were ended."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest
from aiohttp import ClientSession

import hbone_py
from hbone_py.errors import HboneError, TunnelRefused
from tests.sidecar_py.applications import grpc_application
from tests.support.peers import credentials_of
from tests.support.processes import eventually
from tests.support.tcp_apps import TcpApp, answer_at_end, digest, echo, payload, reset_after, sink, source
from tests.waypoint_py.manifests import backend, manifests, methods, policy, principals, route
from tests.waypoint_py.waypoints import HOST, PORT, Addresses, door, pod, scene, waypoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.support.certificates import CertificateFiles
    from tests.support.tcp_apps import Behaviour
    from tests.waypoint_py.waypoints import WaypointUnderTest

    Certificates = Mapping[str, CertificateFiles]


async def test_http_2_with_prior_knowledge(certificates: Certificates) -> None:
    async with scene(certificates) as one:
        url = f"http://{one.door}"
        async with httpx.AsyncClient(base_url=url, http1=False, http2=True, trust_env=False, verify=False) as http:
            answers = [await http.get("/ip?t=token", headers={"host": HOST}) for _ in range(3)]
            assert {answer.http_version for answer in answers} == {"HTTP/2"}
            assert [answer.status_code for answer in answers] == [200] * 3


async def test_a_websocket(certificates: Certificates) -> None:
    async with (
        scene(certificates) as one,
        ClientSession() as session,
        session.ws_connect(f"http://{one.door}/ws", headers={"host": HOST}) as socket,
    ):
        await socket.send_str("you")
        assert await socket.receive_str(timeout=5) == "heard you"
        await socket.send_bytes(payload(200_000))
        assert digest(await socket.receive_bytes(timeout=5)) == digest(payload(200_000))


async def test_large_bodies_both_ways(certificates: Certificates) -> None:
    async with scene(certificates) as one:
        answer = await one.http.post("/echo", content=payload(5_000_000))
        assert digest(answer.content) == digest(payload(5_000_000))


async def test_a_request_joins_the_trace_of_its_tunnel(certificates: Certificates) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with (
        scene(certificates) as one,
        door(one.at.waypoint, f"{one.at.vip}:{PORT}", certificates["sleep"], [("traceparent", trace)]) as way_in,
        httpx.AsyncClient(base_url=f"http://{way_in}", headers={"host": HOST}, trust_env=False, verify=False) as http,
    ):
        own = trace.replace("0af7", "ffff")
        assert (await http.get("/headers")).json()["headers"]["traceparent"] == trace
        assert (await http.get("/headers", headers={"traceparent": own})).json()["headers"]["traceparent"] == own
        assert one.tunnels[0].endswith(f" in {trace}")  # the tunnel behind tells of the request that opened it


# gRPC -----------------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def grpc_behind(certificates: Certificates, further: str = "") -> AsyncIterator[grpc.aio.Channel]:
    at = Addresses()
    mesh = at.mesh(speaks="GRPC", further=further)
    async with (
        waypoint(mesh, at.waypoint, certificates["waypoint"]),
        grpc_application(at.v1, at.port),
        pod(at.v1, at.port, certificates["httpbin"]),
        door(at.waypoint, f"{at.vip}:{PORT}", certificates["sleep"]) as way_in,
        grpc.aio.insecure_channel(way_in, options=[("grpc.default_authority", HOST)]) as channel,
    ):
        yield channel


@pytest.mark.interop
async def test_grpc_unary_stream_and_failure(certificates: Certificates) -> None:
    async with grpc_behind(certificates) as channel:
        call = channel.unary_unary("/test.Echo/Unary")(b"you")
        assert await call == b"you"
        assert ("x-trailer", "behind") in tuple(await call.trailing_metadata())
        stream = channel.stream_stream("/test.Echo/Stream")()
        for number in range(3):
            await stream.write(b"%d" % number)
            assert await stream.read() == b"%d" % number
        await stream.done_writing()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/test.Echo/Fail")(b"")
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert caught.value.details() == "not today"


@pytest.mark.interop
async def test_a_grpc_route_chooses_by_method(certificates: Certificates) -> None:
    rule = {
        "matches": [{"method": {"service": "test.Echo", "method": "Unary"}}],
        "backendRefs": [backend("httpbin")],
    }
    async with grpc_behind(certificates, manifests(route(rule, kind="GRPCRoute"))) as channel:
        assert await channel.unary_unary("/test.Echo/Unary")(b"you") == b"you"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/test.Echo/Fail")(b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED  # in place of 404, as Envoy has it


@pytest.mark.interop
async def test_a_refusal_is_a_status_of_grpc(certificates: Certificates) -> None:
    async with grpc_behind(certificates, manifests(policy(methods("GET")))) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/test.Echo/Unary")(b"")
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert caught.value.details() == "RBAC: access denied"


# Bytes ----------------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def bytes_behind(
    certificates: Certificates, app: Behaviour, speaks: str = "TCP", further: str = ""
) -> AsyncIterator[tuple[hbone_py.TunnelStream, TcpApp, WaypointUnderTest]]:
    """A tunnel through the waypoint to an application of bytes, which is v1."""
    at = Addresses()
    async with (
        waypoint(
            at.mesh(speaks=speaks, further=further),
            at.waypoint,
            certificates["waypoint"],
            PROTOCOL_DETECTION_TIMEOUT="200ms",
        ) as one,
        TcpApp(app, at.v1, at.port) as application,
        pod(at.v1, at.port, certificates["httpbin"]),
    ):
        tunnel = await hbone_py.connect(
            at.waypoint, authority=f"{at.vip}:{PORT}", credentials=credentials_of(certificates["sleep"])
        )
        one.at = at
        try:
            yield tunnel, application, one
        finally:
            tunnel.abort()


async def drained(tunnel: hbone_py.TunnelStream) -> bytes:
    found = b""
    while data := await tunnel.receive():
        found += data
    return found


@pytest.mark.parametrize("speaks", ["TCP", "TLS", ""])
async def test_a_client_that_ends_first_has_its_answer(certificates: Certificates, speaks: str) -> None:
    data = b"\x00 no HTTP " + payload(500_000)
    async with bytes_behind(certificates, answer_at_end, speaks) as (tunnel, application, one):
        await tunnel.send(data)
        await tunnel.send_eof()
        assert digest(data).encode() in await drained(tunnel)
        assert (await application.connection()).digest == digest(data)
        await eventually(lambda: bool(one.lines), "logged")
        labels = {"reporter": "waypoint", "destination_workload": "httpbin-v1"}
        await one.counts(1, "istio_tcp_connections_opened_total", **labels)


@pytest.mark.parametrize("speaks", ["TCP", ""])
async def test_an_application_that_ends_first_is_heard_to_its_end(certificates: Certificates, speaks: str) -> None:
    data = payload(8_000_000)
    async with bytes_behind(certificates, source(data), speaks) as (tunnel, _, _):
        assert digest(await drained(tunnel)) == digest(data)


async def test_a_reset_is_passed_on(certificates: Certificates) -> None:
    async with bytes_behind(certificates, reset_after(3)) as (tunnel, _, _):
        await tunnel.send(b"abc")
        with pytest.raises(HboneError):
            await drained(tunnel)


async def test_what_policies_allow_no_more_is_cut(certificates: Certificates) -> None:
    async with bytes_behind(certificates, echo) as (tunnel, application, one):
        await tunnel.send(b"abc")
        assert await tunnel.receive() == b"abc"
        at = one.at
        one.take(at.mesh(speaks="TCP", further=manifests(policy(principals("*/ns/default/sa/sleep")))))
        await tunnel.send(b"def")
        assert await tunnel.receive() == b"def"  # a change that allows changes nothing
        one.take(at.mesh(speaks="TCP", further=manifests(policy(principals("*/ns/default/sa/other")))))
        with pytest.raises(HboneError):
            await tunnel.receive()
        assert await application.ended() == "reset"
        await eventually(lambda: any("policy rejection" in line for line in one.lines), "logged")
        await one.counts(1, "istio_tcp_connections_closed_total", response_flags="DENY")


async def test_a_client_that_resets_resets_the_application(certificates: Certificates) -> None:
    async with bytes_behind(certificates, sink) as (tunnel, application, _):
        await tunnel.send(b"abc")
        await application.connection()
        tunnel.abort()
        assert await application.ended() == "reset"


async def test_http_where_nobody_said_so_is_found(certificates: Certificates) -> None:
    async with scene(certificates, speaks="") as one:
        answer = await one.http.get("/ip?t=token")
        assert answer.status_code == 200
        await one.waypoint.counts(1, "istio_requests_total", reporter="waypoint")


async def test_policies_of_requests_say_that_it_is_http(certificates: Certificates) -> None:
    async with scene(certificates, manifests(policy(methods("GET"))), speaks="") as one:
        assert (await one.http.get("/ip")).status_code == 200
        assert (await one.http.post("/echo", content=b"")).status_code == 403


async def test_bytes_where_requests_were_expected_are_judged_as_bytes(certificates: Certificates) -> None:
    only = manifests(policy(methods("GET")))
    async with bytes_behind(certificates, echo, "", only) as (tunnel, application, _):
        await tunnel.send(b"\x00 no HTTP")
        with pytest.raises(HboneError):  # an ALLOW by method lets no bytes pass
            await drained(tunnel)
        assert application.connections == []


async def test_a_pod_that_cannot_be_reached_is_told_before_the_200(certificates: Certificates) -> None:
    async with scene(certificates, speaks="TCP") as one:
        one.waypoint.take(one.at.mesh(speaks="TCP").replace(one.at.v1, "127.255.255.254"))
        with pytest.raises(TunnelRefused, match="503"):
            await hbone_py.connect(
                one.at.waypoint, authority=f"{one.at.vip}:{PORT}", credentials=credentials_of(certificates["sleep"])
            )


async def test_a_tcp_route_splits(certificates: Certificates) -> None:
    at = Addresses()
    rule = {"backendRefs": [backend("httpbin", weight=0), backend("v2", weight=1)]}
    mesh = at.mesh(speaks="TCP", further=manifests(route(rule, kind="TCPRoute")))
    async with (
        waypoint(mesh, at.waypoint, certificates["waypoint"]),
        TcpApp(echo, at.v2, at.port) as application,
        pod(at.v2, at.port, certificates["httpbin"]),
    ):
        tunnel = await hbone_py.connect(
            at.waypoint, authority=f"{at.vip}:{PORT}", credentials=credentials_of(certificates["sleep"])
        )
        await tunnel.send(b"hello")
        assert await tunnel.receive() == b"hello"
        await tunnel.aclose()
        assert (await application.connection()).received == 5


# Other kinds of pods --------------------------------------------------------------------------------------------------


async def test_a_pod_in_plain_tcp(certificates: Certificates) -> None:
    async with scene(certificates) as one:
        one.waypoint.take(one.at.mesh(kind="protocol: TCP"))
        assert (await one.http.get("/ip")).status_code == 200
        assert one.tunnels == []


async def test_a_pod_with_a_wrong_identity_gets_nothing(certificates: Certificates) -> None:
    async with scene(certificates) as one:
        one.waypoint.take(one.at.mesh().replace("serviceAccount: httpbin", "serviceAccount: other"))
        answer = await one.http.get("/ip?t=token")
        assert answer.status_code == 503
        assert one.v1.calls() == []


async def test_a_drain_lets_requests_end(certificates: Certificates) -> None:
    may_answer = asyncio.Event()
    async with scene(certificates, may_answer=may_answer) as one, asyncio.TaskGroup() as group:
        asking = group.create_task(one.http.get("/held?t=token"))
        await eventually(lambda: bool(one.v1.calls("token")), "under way")
        drained = group.create_task(one.waypoint.plane.drain(5))
        await asyncio.sleep(0)  # it has begun
        may_answer.set()
        assert await drained
        assert (await asking).status_code == 200
