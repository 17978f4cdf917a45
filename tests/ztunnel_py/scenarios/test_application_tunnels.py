"""Waypoints behind a node proxy ("sandwich"): handed over on another port, with or without a preamble (3.4 to 3.6)."""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING

import pytest

from mesh_py.model.authorization import Action, Match, Policy, Scope
from mesh_py.model.workload import ApplicationTunnel, TunnelProtocol
from tests.interop.callers import read_to_end, talk
from tests.support import world
from tests.support.pods import HBONE, PLAINTEXT
from tests.support.processes import loopback_address
from tests.support.raw_peer import client_tls, data, raw_client
from tests.support.tcp_apps import Connection, TcpApp, echo, reset_after

if TYPE_CHECKING:
    from tests.support.pods import Pod, Pods

HOSTNAME = "reviews.default.svc.cluster.local"
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
APPLICATION_PORT = 8080
IDENTITY = "spiffe://cluster.local/ns/default/sa/sleep"


class Introduced:
    """Takes one PROXY preamble, then echoes: `heard` is (source, destination, TLVs by type)."""

    def __init__(self) -> None:
        self.heard: tuple[str, str, dict[int, bytes]] | None = None

    async def __call__(self, connection: Connection) -> None:
        head = await connection.reader.readexactly(16)
        command, family, length = struct.unpack(">BBH", head[12:])
        assert (head[:12], command, family) == (SIGNATURE, 0x21, 0x11)
        self.heard = _read(await connection.reader.readexactly(length))
        await echo(connection)


def _read(body: bytes) -> tuple[str, str, dict[int, bytes]]:
    ports = struct.unpack_from(">HH", body, 8)
    source, destination = (f"{ipaddress.IPv4Address(body[4 * i : 4 * i + 4])}:{port}" for i, port in enumerate(ports))
    tlvs, rest = {}, body[12:]
    while rest:
        kind, size = struct.unpack_from(">BH", rest)
        tlvs[kind], rest = rest[3 : 3 + size], rest[3 + size :]
    return source, destination, tlvs


def sandwich(pods: Pods, protocol: TunnelProtocol, port: int | None, **environment: str) -> tuple[Pod, Pod, str]:
    """A caller, a waypoint with an application tunnel, and the address of a service that has the waypoint."""
    sleep, vip = pods.add("sleep"), loopback_address()
    waypoint = pods.add("waypoint", application_tunnel=ApplicationTunnel(protocol, port), environment=environment)
    pods.tell(world.service(HOSTNAME, vip, waypoint=world.gateway(f"/{waypoint.ip}")))
    return sleep, waypoint, vip


async def test_a_preamble_says_who_calls_and_what_for(pods: Pods) -> None:
    application = Introduced()
    async with TcpApp(application, "127.0.0.1") as app:
        sleep, waypoint, vip = sandwich(pods, TunnelProtocol.PROXY, app.port)
        async with sleep.call(f"{vip}:80") as caller:
            await talk(caller, b"hello")
            [live] = waypoint.its_proxy.plane.context.connections.live
            assert live.describe()["actualDst"] == app.authority
        line = await waypoint.its_proxy.line()
    assert application.heard == (line["src.addr"], f"{vip}:80", {0xD0: IDENTITY.encode()})
    assert (line["bytes_recv"], line["bytes_sent"]) == ("5", "5")
    assert line["dst.hbone_addr"] == f"{vip}:80"


async def test_the_workloads_own_address_where_that_is_wanted(pods: Pods) -> None:
    port, application = APPLICATION_PORT, Introduced()
    sleep, waypoint, vip = sandwich(pods, TunnelProtocol.PROXY, port, LOCALHOST_APP_TUNNEL="false")
    async with waypoint.app(application, port) as app:
        async with sleep.call(f"{vip}:80") as caller:
            await talk(caller, b"hello")
        assert (await app.connection()).peer[0] == sleep.ip
    assert application.heard is not None


async def test_without_a_port_the_authoritys_is_dialled(pods: Pods) -> None:
    application = Introduced()
    sleep, _, vip = sandwich(pods, TunnelProtocol.PROXY, None)
    async with TcpApp(application, "127.0.0.1") as app, sleep.call(f"{vip}:{app.port}") as caller:
        await talk(caller, b"hello")
    assert application.heard is not None
    assert application.heard[1] == f"{vip}:{app.port}"


async def test_a_hostname_is_introduced_by_its_services_address(pods: Pods) -> None:
    application = Introduced()
    server, vip = pods.add("server", services={f"default/{HOSTNAME}": {}}), loopback_address()
    pods.tell(world.service(HOSTNAME, f"elsewhere/{loopback_address()}", vip))
    async with TcpApp(application, "127.0.0.1") as app:
        pods.change("server", application_tunnel=ApplicationTunnel(TunnelProtocol.PROXY, app.port))
        async with raw_client(server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer:
            stream = await peer.open_tunnel(f"{HOSTNAME}:80")
            await peer.send(data(stream, b"hello", end=True))
            assert await peer.read_stream(stream) == (b"hello", None)
    assert application.heard is not None
    assert application.heard[1] == f"{vip}:80"


@pytest.mark.parametrize("has_port", [True, False])
async def test_without_a_preamble_the_payload_alone_is_handed_over(pods: Pods, has_port: bool) -> None:
    port = APPLICATION_PORT
    sleep, waypoint, vip = sandwich(pods, TunnelProtocol.NONE, port if has_port else None)
    async with waypoint.app(echo, port) as app:
        async with sleep.call(f"{vip}:{80 if has_port else port}") as caller:
            await talk(caller, b"hello")
        assert (await app.connection()).peer[0] == sleep.ip


async def test_any_address_may_be_asked_for(pods: Pods) -> None:
    """The waypoint behind the proxy knows what it serves (3.3)."""
    server = pods.add("server", application_tunnel=ApplicationTunnel(TunnelProtocol.NONE))
    async with (
        server.app(echo) as app,
        raw_client(server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer,
    ):
        await peer.open_tunnel(f"127.9.9.9:{app.port}")
        await app.connection()


async def test_policy_sees_the_final_port(pods: Pods) -> None:
    port = APPLICATION_PORT
    sleep, waypoint, vip = sandwich(pods, TunnelProtocol.NONE, port)
    match = Match(destination_ports=(port,))
    pods.tell(Policy("no-port", "default", Scope.NAMESPACE, Action.DENY, (((match,),),)))
    async with sleep.call(f"{vip}:80") as caller:
        assert await read_to_end(caller) == (b"", "reset")
    assert "explicitly denied by: default/no-port" in (await waypoint.its_proxy.line())["error"]


@pytest.mark.parametrize("port", [PLAINTEXT, HBONE])
async def test_a_tunnel_that_leads_back_to_the_proxy(pods: Pods, port: int) -> None:
    sleep, waypoint, vip = sandwich(pods, TunnelProtocol.PROXY, port)
    async with sleep.call(f"{vip}:80") as caller:
        assert await read_to_end(caller) == (b"", "reset")
    line = await waypoint.its_proxy.line(message="connection failed")
    assert line["error"] == "attempted recursive call to ourselves"


async def test_a_service_without_addresses_cannot_be_introduced(pods: Pods) -> None:
    server = pods.add("server", services={f"default/{HOSTNAME}": {}})
    pods.tell(world.service(HOSTNAME))
    pods.change("server", application_tunnel=ApplicationTunnel(TunnelProtocol.PROXY, 15088))
    async with raw_client(server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer:
        stream = await peer.request([(":method", "CONNECT"), (":authority", f"{HOSTNAME}:80")])
        assert (await peer.expect(1, stream=stream)).status == "503"  # type: ignore[arg-type]
    error = (await server.its_proxy.line(message="connection failed"))["error"]
    assert error == f"requested service {HOSTNAME} found, but has no IP addresses"


async def test_an_application_that_is_gone_before_it_is_introduced(pods: Pods) -> None:
    sleep, _, vip = sandwich(pods, TunnelProtocol.PROXY, None)
    async with TcpApp(reset_after(0), "127.0.0.1") as app, sleep.call(f"{vip}:{app.port}") as caller:
        assert (await read_to_end(caller)).ended == "reset"
