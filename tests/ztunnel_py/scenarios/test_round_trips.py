"""A request and its answer over every kind of route, judged by the application's own record of who called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from mesh_py.model.workload import LoadBalancer, LoadBalancerMode, Protocol, WeightedWaypoint
from tests.interop.callers import read_to_end, talk
from tests.support import world
from tests.support.processes import loopback_address, run_tool
from tests.support.require import require_tool
from tests.support.tcp_apps import Connection, TcpApp, echo

if TYPE_CHECKING:
    from tests.support.pods import Pods

HOSTNAME = "server.default.svc.cluster.local"


async def test_hbone_to_a_pod_address(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(echo) as app:
        async with sleep.call(app.authority) as caller:
            await talk(caller, b"hello")
        assert (await app.connection()).peer[0] == sleep.ip
        line = await sleep.its_proxy.line()
    assert (line["dst.addr"], line["dst.hbone_addr"]) == (f"{server.ip}:15008", app.authority)


async def test_hbone_to_a_service_address(pods: Pods) -> None:
    sleep = pods.add("sleep")
    server = pods.add("server", services={f"default/{HOSTNAME}": {80: 8080}})
    vip = loopback_address()
    pods.tell(world.service(HOSTNAME, vip))
    async with server.app(echo, 8080) as app:
        async with sleep.call(f"{vip}:80") as caller:
            await talk(caller, b"hello")
        assert (await app.connection()).peer[0] == sleep.ip
        for line in (await sleep.its_proxy.line(), await server.its_proxy.line()):
            assert line["dst.hbone_addr"] == f"{server.ip}:8080"
            assert line["dst.service"] == HOSTNAME


async def test_both_endpoints_of_a_service_are_used(pods: Pods) -> None:
    sleep, vip = pods.add("sleep"), loopback_address()
    servers = [pods.add(name, services={f"default/{HOSTNAME}": {80: 8080}}) for name in ("one", "two")]
    pods.tell(world.service(HOSTNAME, vip))
    async with servers[0].app(echo, 8080) as one, servers[1].app(echo, 8080) as two:
        while not (one.connections and two.connections):
            async with sleep.call(f"{vip}:80") as caller:
                await talk(caller, b"hello")


@pytest.mark.interop
async def test_curl_by_hostname_through_socks(pods: Pods) -> None:
    require_tool("curl")
    sleep = pods.add("sleep")
    server = pods.add("server", services={f"default/{HOSTNAME}": {80: 8080}})
    pods.tell(world.service(HOSTNAME, loopback_address()))
    async with server.app(http_hello, 8080) as app:
        proxy = ["--socks5-hostname", f"{sleep.ip}:15080", "--interface", sleep.ip]
        answer = await run_tool("curl", "-sS", *proxy, f"http://{HOSTNAME}/")
        assert (answer.returncode, answer.stdout, answer.stderr) == (0, b"hello", b"")
        assert (await app.connection()).peer[0] == sleep.ip


@pytest.mark.interop
async def test_httpx_by_address_through_socks(pods: Pods) -> None:
    """Its connections come from 127.0.0.1, which counts as a workload where that is set."""
    sleep = pods.add("sleep", environment={"SOCKS5_SOURCE_WORKLOAD": "default/sleep"})
    server = pods.add("server")
    async with server.app(http_hello) as app:
        async with httpx.AsyncClient(proxy=f"socks5://{sleep.ip}:15080") as client:
            answer = await client.get(f"http://{app.authority}/")
        assert (answer.status_code, answer.text) == (200, "hello")
        assert (await app.connection()).peer[0] == sleep.ip


async def test_plain_tcp_to_a_workload_that_speaks_no_hbone(pods: Pods) -> None:
    sleep, plain = pods.add("sleep"), pods.add("plain", proxied=False, protocol=Protocol.TCP)
    async with plain.app(echo) as app:
        async with sleep.call(app.authority) as caller:
            await talk(caller, b"hello")
        line = await sleep.its_proxy.line()
    assert (line["dst.addr"], line["dst.workload"]) == (app.authority, "plain")
    assert not {"dst.hbone_addr", "src.identity", "dst.identity"} & line.keys()


async def test_an_unknown_destination_passes_through(pods: Pods) -> None:
    sleep = pods.add("sleep")
    async with TcpApp(echo, loopback_address()) as app:
        async with sleep.call(app.authority) as caller:
            await talk(caller, b"hello")
        line = await sleep.its_proxy.line()
    assert line["dst.addr"] == app.authority
    assert not {key for key in line if key.startswith("dst.")} - {"dst.addr"}


async def test_a_passthrough_service_goes_where_the_caller_meant(pods: Pods) -> None:
    sleep, elsewhere = pods.add("sleep"), loopback_address()
    pods.tell(world.service("any.example", elsewhere, load_balancer=LoadBalancer(mode=LoadBalancerMode.PASSTHROUGH)))
    async with TcpApp(echo, elsewhere) as app, sleep.call(app.authority) as caller:
        await talk(caller, b"hello")


@pytest.mark.parametrize("attached", ["workload", "service", "weighted"])
async def test_a_waypoint_is_asked_for_what_the_application_asked_for(pods: Pods, attached: str) -> None:
    sleep, waypoint, vip = pods.add("sleep"), pods.add("waypoint"), loopback_address()
    gateway = world.gateway(f"/{waypoint.ip}")
    match attached:
        case "workload":
            asked = f"{pods.add('server', waypoint=gateway).ip}:8080"
        case "service":
            pods.add("server", services={f"default/{HOSTNAME}": {80: 8080}})
            pods.tell(world.service(HOSTNAME, vip, waypoint=gateway))
            asked = f"{vip}:80"
        case _:
            pods.add("server", services={f"default/{HOSTNAME}": {80: 8080}})
            pods.tell(world.service(HOSTNAME, vip, weighted_waypoints=(WeightedWaypoint(gateway, 1),)))
            asked = f"{vip}:80"
    async with waypoint.app(echo, world.address(asked)[1]) as app:
        async with sleep.call(asked) as caller:
            await talk(caller, b"hello")
        assert (await app.connection()).peer[0] == sleep.ip
        line = await sleep.its_proxy.line()
    assert (line["dst.addr"], line["dst.hbone_addr"]) == (f"{waypoint.ip}:15008", asked)
    assert line["dst.workload"] == "waypoint"


async def test_a_waypoint_refuses_what_it_does_not_serve(pods: Pods) -> None:
    """The server's address is not behind the waypoint, whatever the caller believes."""
    sleep, waypoint, server = pods.add("sleep"), pods.add("waypoint"), pods.add("server")
    lie = world.workload("server", server.ip, node="server", waypoint=world.gateway(f"/{waypoint.ip}"))
    sleep.its_proxy.state.upsert_workload(lie)
    async with sleep.call(f"{server.ip}:8080") as caller:
        assert (await read_to_end(caller)).ended == "reset"
    refusal = await waypoint.its_proxy.line(message="connection failed")
    assert refusal["error"] == f"ip mismatch: {waypoint.ip} != {server.ip}"
    assert (await sleep.its_proxy.line())["error"] == "http status: 400 Bad Request"


async def http_hello(connection: Connection) -> None:
    """Answer one HTTP request."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += await connection.receive()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
