"""What is not known yet: endpoints that are a name, and workloads that discovery may still bring (2.1, 2.5, 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh_py.model.address import NamespacedHostname
from mesh_py.model.workload import Protocol
from tests.interop.callers import read_to_end, talk
from tests.support import world
from tests.support.pods import HBONE, dialled
from tests.support.processes import eventually, loopback_address
from tests.support.raw_peer import Kind, client_tls, connect_request, raw_client
from tests.support.tcp_apps import TcpApp, echo
from ztunnel_py.held import Held

if TYPE_CHECKING:
    from tests.support.pods import Pod, Pods

LOOKUPS = "istio_on_demand_dns_total"


def named(pods: Pods, hostname: str = "db.example", **fields: object) -> str:
    """A service whose one endpoint is known by name; its virtual address."""
    vip = loopback_address()
    pods.tell(
        world.workload("db", hostname=hostname, services={"default/db.mesh": {80: 8080}}, **fields),
        world.service("db.mesh", vip),
    )
    return f"{vip}:80"


async def test_a_name_is_looked_up_and_each_attempt_counts(pods: Pods) -> None:
    sleep, destination, host = pods.add("sleep"), named(pods, protocol=Protocol.TCP), loopback_address()
    pods.names["db.example"] = (host,)
    async with TcpApp(echo, host, 8080):
        for index in range(2):
            async with sleep.call(destination) as caller:
                await talk(caller, b"hello")
            line = await sleep.its_proxy.line(index)
            assert (line["dst.addr"], line["dst.workload"]) == (f"{host}:8080", "db")
    assert pods.asked == ["db.example"]
    [(labels, count)] = sleep.its_proxy.samples(LOOKUPS)
    assert (labels["hostname"], labels["source_workload"], count) == ("db.example", "unknown", 2)
    assert labels["source_principal"] == "spiffe://cluster.local/ns/default/sa/sleep"


async def test_a_named_workload_is_reached_by_hbone(pods: Pods) -> None:
    """Which of its addresses is chance: nothing is remembered, and the family of the call goes first."""
    sleep, destination = pods.add("sleep"), named(pods, service_account="server")
    server = pods.add("server")
    pods.names["db.example"] = ("::1", server.ip)
    async with server.app(echo, 8080):
        for index in range(2):
            async with sleep.call(destination) as caller:
                await talk(caller, b"hello")
            assert (await sleep.its_proxy.line(index))["dst.hbone_addr"] == f"{server.ip}:8080"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(None, "no ip addresses were resolved for workload: {uid}", id="no such name"),
        pytest.param(
            (), "ip addresses were resolved for workload {uid}, but valid dns response had no A/AAAA records", id="none"
        ),
    ],
)
async def test_a_name_without_an_address(pods: Pods, answer: tuple[str, ...] | None, error: str) -> None:
    sleep, destination = pods.add("sleep"), named(pods)
    if answer is not None:
        pods.names["db.example"] = answer
    async with sleep.call(destination) as caller:
        assert await read_to_end(caller) == (b"", "reset")
    line = await sleep.its_proxy.line(message="connection failed")
    assert line["error"] == error.format(uid="cluster//Pod/default/db")
    assert sleep.its_proxy.total(LOOKUPS) == 1


async def test_a_gateway_known_by_name_is_looked_up_too(pods: Pods) -> None:
    """A waypoint of which the mesh knows the name only."""
    sleep, waypoint, vip = pods.add("sleep"), pods.add("waypoint"), loopback_address()
    pods.tell(
        world.workload("named", hostname="waypoint.example", service_account="waypoint"),
        world.service("shop.mesh", vip, waypoint=world.gateway("default/waypoint.example")),
    )
    pods.names["waypoint.example"] = (waypoint.ip,)
    pods.change("waypoint", services={NamespacedHostname("default", "shop.mesh"): {80: 8080}})
    async with waypoint.app(echo, 8080), sleep.call(f"{vip}:80") as caller:
        assert (await read_to_end(caller)).ended == "reset"  # it is no waypoint of the service by address
    assert pods.asked == ["waypoint.example"]
    assert (await sleep.its_proxy.line())["dst.addr"] == f"{waypoint.ip}:{HBONE}"


# Workloads --------------------------------------------------------------------------------------------------------


async def waiting(pod: Pod) -> None:
    pending = pod.its_proxy.plane.context.connections.pending
    await eventually(lambda: any(isinstance(one, Held) for one in pending), "waiting")


async def test_a_source_that_becomes_known(pods: Pods) -> None:
    sleep, server = pods.add_unknown("sleep"), pods.add("server")
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await waiting(sleep)
        pods.tell_of(sleep)
        await talk(caller, b"hello")


async def test_a_source_that_does_not(pods: Pods) -> None:
    clock, sleep, server = pods.stop_the_clock(), pods.add_unknown("sleep"), pods.add("server")
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await waiting(sleep)
        clock.advance(sleep.its_proxy.plane.context.settings.state_wait + 1)
        assert await read_to_end(caller) == (b"", "reset")
    error = (await sleep.its_proxy.line(message="connection failed"))["error"]
    assert error == f"unknown source: no workload of this proxy has the address {sleep.ip}"


async def test_a_drain_cuts_who_waits(pods: Pods) -> None:
    sleep, server = pods.add_unknown("sleep"), pods.add("server")
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await waiting(sleep)
        assert not await sleep.its_proxy.plane.drain(0)
        assert await read_to_end(caller) == (b"", "reset")
        pods.tell_of(sleep)
        assert app.connections == []


async def test_a_destination_that_becomes_known(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add_unknown("server")
    sleep.its_proxy.state.upsert_workload(world.workload("server", server.ip, node="server"))
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await waiting(server)
        pods.tell_of(server)
        await talk(caller, b"hello")


async def test_a_destination_that_does_not(pods: Pods) -> None:
    clock, server = pods.stop_the_clock(), pods.add_unknown("server")
    async with dialled((server.ip, HBONE), loopback_address()) as (caller, _):
        await waiting(server)
        clock.advance(server.its_proxy.plane.context.settings.state_wait + 1)
        assert (await read_to_end(caller)).data == b""
    error = (await server.its_proxy.line(message="connection failed"))["error"]
    assert error == f"unknown destination: no workload of this proxy has the address {server.ip}"


@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_destination_that_was_known(pods: Pods, comes_back: bool) -> None:
    """Its connection is there, its workload is gone: a tunnel waits for it, then is answered 503."""
    clock, server = pods.stop_the_clock(), pods.add_unknown("server")
    pods.tell_of(server)
    async with (
        server.app(echo) as app,
        raw_client(server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer,
    ):
        await peer.round_trip()
        server.its_proxy.state.remove_workload("cluster//Pod/default/server")
        stream = await peer.request(connect_request(app.authority))
        await waiting(server)
        if comes_back:
            pods.tell_of(server)
        else:
            clock.advance(server.its_proxy.plane.context.settings.state_wait + 1)
        answer = await peer.expect(Kind.HEADERS, stream=stream)
        assert answer.status == ("200" if comes_back else "503")
        if comes_back:
            await app.connection()
    if not comes_back:
        line = await server.its_proxy.line(message="connection failed")
        assert line["error"] == "local workload information is not available"


async def test_a_tunnel_that_is_given_up_while_it_waits(pods: Pods) -> None:
    server = pods.add_unknown("server")
    pods.tell_of(server)
    async with server.app(echo) as app:
        async with raw_client(server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer:
            await peer.round_trip()
            server.its_proxy.state.remove_workload("cluster//Pod/default/server")
            await peer.request(connect_request(app.authority))
            await waiting(server)
        await eventually(lambda: not server.its_proxy.plane.inbound.peers, "the client is gone")
        pods.tell_of(server)
        assert app.connections == []
        assert not server.its_proxy.plane.context.connections.pending


@pytest.mark.parametrize("becomes_known", [True, False])
async def test_plaintext_waits_too(pods: Pods, becomes_known: bool) -> None:
    clock, server = pods.stop_the_clock(), pods.add_unknown("server")
    async with server.app(echo) as app, server.call_plain(loopback_address(), app.authority) as caller:
        await waiting(server)
        if becomes_known:
            pods.tell_of(server)
            await talk(caller, b"hello")
        else:
            clock.advance(server.its_proxy.plane.context.settings.state_wait + 1)
            assert await read_to_end(caller) == (b"", "reset")


async def test_where_all_is_known_nobody_waits(pods: Pods) -> None:
    """A file was read as a whole: what is not in it is not there."""
    sleep = pods.add("sleep")
    async with sleep.call("127.63.0.1:80", source=loopback_address()) as caller:
        assert await read_to_end(caller) == (b"", "reset")
