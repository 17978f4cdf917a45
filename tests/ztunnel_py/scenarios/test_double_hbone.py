"""Across networks: a tunnel to the gateway, and in it one to whoever is behind it (hbone-dataplane 2.8).

The gateway is the library's own server: it ends the outer tunnel and passes on bytes it cannot read.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

import hbone_py
from hbone_py.aio.plain_relay import relay
from hbone_py.aio.reactor import Reactor
from hbone_py.aio.tcp_stream import TcpStream
from hbone_py.errors import HboneError
from mesh_py.model.authorization import Action, Match, Policy, Scope
from mesh_py.model.workload import Locality
from tests.interop.callers import read_to_end, talk
from tests.support import world
from tests.support.pods import HBONE, unanswering
from tests.support.processes import eventually, loopback_address
from tests.support.tcp_apps import answer_at_end, digest, echo, payload, reset_after, source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hbone_py.aio.server import IncomingTunnel
    from tests.support.pods import Pod, Pods

HOSTNAME = "far.default.svc.cluster.local"
SERVER_ID = "spiffe://cluster.local/ns/default/sa/server"
MEGABYTE = 1 << 20


class Gateway:
    """What it was asked for, and what it does about it."""

    def __init__(self, towards: tuple[str, int]) -> None:
        self.towards = towards
        self.asked: list[str] = []
        self.headers: list[dict[bytes, bytes]] = []
        self.refuses: int | None = None
        self.server: hbone_py.Server

    async def __call__(self, tunnel: IncomingTunnel) -> None:
        self.asked.append(tunnel.request.authority)
        self.headers.append(dict(tunnel.request.headers))
        if self.refuses is not None:
            await tunnel.reject(self.refuses)
            return
        reader, writer = await asyncio.open_connection(*self.towards)
        sock = writer.get_extra_info("socket").dup()
        writer.transport.abort()
        del reader
        inside, outside = await tunnel.accept(), TcpStream(Reactor.current(), sock)
        with contextlib.suppress(HboneError):
            await relay(inside, outside)
        await outside.aclose()


class Networks:
    """`sleep` here; `server` in network `far`, behind `gateway`; a service that has it as its one endpoint."""

    def __init__(self, pods: Pods, *, sans: tuple[str, ...] = (SERVER_ID,), port: int = HBONE, **server: Any) -> None:
        self.vip = loopback_address()
        self.sleep = pods.add("sleep", environment={"NETWORK": "near"}, network="near")
        self.gateway_ip = loopback_address()
        reference = world.gateway(f"far/{self.gateway_ip}", port)
        pods.tell(world.workload("gateway", self.gateway_ip, network="far", node="gateway"))
        self.server: Pod = pods.add(
            "server",
            environment={"NETWORK": "far"},
            network="far",
            network_gateway=reference,
            services={f"default/{HOSTNAME}": {80: 8080}},
            **server,
        )
        pods.tell(world.service(HOSTNAME, f"near/{self.vip}", subject_alt_names=sans))
        self._files = pods.authority.of("gateway")
        self._port = port

    @property
    def destination(self) -> str:
        return f"{self.vip}:80"

    @contextlib.asynccontextmanager
    async def gateway(self) -> AsyncIterator[Gateway]:
        handler = Gateway((self.server.ip, HBONE))
        credentials = hbone_py.Credentials.from_files(self._files.chain, self._files.key, self._files.roots)
        handler.server = await hbone_py.serve(handler, self.gateway_ip, self._port, credentials=credentials)
        try:
            yield handler
        finally:
            await handler.server.aclose()


async def test_who_is_behind_the_gateway_is_the_destination(pods: Pods) -> None:
    mesh = Networks(pods, canonical_name="shop", workload_name="deploy", locality=Locality("west"))
    async with mesh.gateway() as gateway, mesh.server.app(echo, 8080) as app:
        async with mesh.sleep.call(mesh.destination) as caller:
            await talk(caller, b"hello")
            [live] = mesh.sleep.its_proxy.plane.context.connections.live
            assert live.describe() == {
                "src": live.describe()["src"],
                "originalDst": mesh.destination,
                "actualDst": f"{mesh.gateway_ip}:{HBONE}",
                "protocol": "DOUBLEHBONE",
            }
        await app.connection()
        outbound, inbound = await mesh.sleep.its_proxy.line(), await mesh.server.its_proxy.line()
        assert gateway.asked == [f"{HOSTNAME}:80"]
        assert b"x-forwarded-network" not in gateway.headers[0]
    assert (outbound["dst.addr"], outbound["dst.hbone_addr"]) == (f"{mesh.gateway_ip}:{HBONE}", f"{HOSTNAME}:80")
    assert (outbound["dst.workload"], outbound["dst.identity"]) == ("shop", SERVER_ID)
    assert (outbound["dst.service"], outbound["bytes_sent"], outbound["bytes_recv"]) == (HOSTNAME, "5", "5")
    [(labels, count)] = mesh.sleep.its_proxy.samples("istio_tcp_connections_opened_total")
    assert (labels["destination_principal"], labels["destination_workload"], count) == (SERVER_ID, "deploy", 1)
    assert labels["destination_region"] == "west"
    assert (inbound["dst.hbone_addr"], inbound["src.identity"]) == (
        f"{HOSTNAME}:80",
        "spiffe://cluster.local/ns/default/sa/sleep",
    )


async def test_both_tunnels_carry_one_trace_and_the_inner_its_network(
    pods: Pods, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = Networks(pods)
    asked: list[dict[bytes, bytes]] = []
    from ztunnel_py import inbound_tunnel

    whole = inbound_tunnel.InboundTunnel.start

    def start(self: object, request: hbone_py.ConnectRequest, plans: object) -> None:
        asked.append(dict(request.headers))
        whole(self, request, plans)  # type: ignore[arg-type]

    monkeypatch.setattr(inbound_tunnel.InboundTunnel, "start", start)
    async with mesh.gateway() as gateway, mesh.server.app(echo, 8080):
        async with mesh.sleep.call(mesh.destination) as caller:
            await talk(caller, b"hello")
        [outer], [inner] = gateway.headers, asked
    assert inner.pop(b"x-forwarded-network") == b"near"
    assert inner == outer


async def test_one_outer_connection_and_an_inner_one_for_each(pods: Pods) -> None:
    mesh = Networks(pods)
    async with mesh.gateway() as gateway, mesh.server.app(echo, 8080):
        async with contextlib.AsyncExitStack() as stack:
            callers = [await stack.enter_async_context(mesh.sleep.call(mesh.destination)) for _ in range(5)]
            for caller in callers:
                await talk(caller, b"hello")
            assert gateway.server.connections == 1
            assert len(mesh.server.its_proxy.plane.inbound.peers) == 5
        await eventually(lambda: not mesh.server.its_proxy.plane.inbound.peers, "the inner ones are gone")
        await eventually(lambda: mesh.sleep.its_proxy.open_connections == 0, "all closed")
        async with mesh.sleep.call(mesh.destination) as caller:
            await talk(caller, b"hello")
        assert gateway.server.connections == 1


async def test_the_gateways_port_may_be_another(pods: Pods) -> None:
    mesh = Networks(pods, port=15009)
    async with mesh.gateway(), mesh.server.app(echo, 8080), mesh.sleep.call(mesh.destination) as caller:
        await talk(caller, b"hello")


async def test_megabytes_and_halves(pods: Pods) -> None:
    mesh, sent, answered = Networks(pods), payload(4 * MEGABYTE), payload(4 * MEGABYTE, seed=2)
    async with mesh.gateway():
        async with mesh.server.app(answer_at_end, 8080), mesh.sleep.call(mesh.destination) as caller:
            await caller.send(sent)
            await caller.send_eof()
            assert await read_to_end(caller) == (digest(sent).encode(), "eof")
        async with mesh.server.app(source(answered), 8080) as app, mesh.sleep.call(mesh.destination) as caller:
            assert await read_to_end(caller) == (answered, "eof")
            await caller.send(sent)
            await caller.send_eof()
            assert await app.ended() == "eof"
            assert (await app.connection()).digest == digest(sent)
        for index in range(2):
            assert "error" not in await mesh.sleep.its_proxy.line(index)


async def test_resets_travel_through_both(pods: Pods) -> None:
    mesh = Networks(pods)
    async with mesh.gateway():
        async with mesh.server.app(reset_after(5), 8080), mesh.sleep.call(mesh.destination) as caller:
            await caller.send(b"hello")
            assert (await read_to_end(caller)).ended == "reset"
        async with mesh.server.app(echo, 8080) as app, mesh.sleep.call(mesh.destination) as caller:
            await talk(caller, b"hello")
            caller.abort()
            assert await app.ended() == "reset"


async def test_a_lost_gateway_is_no_end(pods: Pods) -> None:
    mesh = Networks(pods)
    async with mesh.server.app(echo, 8080), contextlib.AsyncExitStack() as held:
        async with mesh.gateway():
            caller = await held.enter_async_context(mesh.sleep.call(mesh.destination))
            await talk(caller, b"hello")
        assert await read_to_end(caller) == (b"", "reset")


# What fails -------------------------------------------------------------------------------------------------------


async def failure(mesh: Networks) -> dict[str, str]:
    """The log line of a call that carries nothing."""
    async with mesh.sleep.call(mesh.destination) as caller:
        assert await read_to_end(caller) == (b"", "reset")
    line = await mesh.sleep.its_proxy.line()
    assert (line["dst.addr"], line["dst.workload"]) == (f"{mesh.gateway_ip}:{mesh._port}", "gateway")
    assert mesh.sleep.its_proxy.total("istio_tcp_connections_opened_total") == 1
    return line


@pytest.mark.parametrize(
    ("sans", "wanted"),
    [
        pytest.param((), "", id="the service names nobody"),
        pytest.param(("spiffe://cluster.local/ns/default/sa/other",), "other", id="it names somebody else"),
    ],
)
async def test_only_whom_the_service_names_may_be_there(pods: Pods, sans: tuple[str, ...], wanted: str) -> None:
    mesh = Networks(pods, sans=sans)
    async with mesh.gateway(), mesh.server.app(echo, 8080) as app:
        error = (await failure(mesh))["error"]
        assert app.connections == []
    assert error.startswith("identity verification error: peer did not present the expected SAN (")
    assert error.endswith(f"{wanted}), got {SERVER_ID}")


async def test_the_gateway_refuses(pods: Pods) -> None:
    mesh = Networks(pods)
    async with mesh.gateway() as gateway:
        gateway.refuses = 404
        assert (await failure(mesh))["error"] == "http status: 404 Not Found"


async def test_whoever_is_behind_refuses(pods: Pods) -> None:
    mesh = Networks(pods)
    pods.tell(Policy("nobody", "default", Scope.NAMESPACE, Action.ALLOW, (((Match(destination_ports=(1,)),),),)))
    async with mesh.gateway():
        assert (await failure(mesh))["error"] == "http status: 401 Unauthorized"


async def test_nobody_is_behind(pods: Pods) -> None:
    """The gateway's own end of the bargain is kept, what it leads to does not speak TLS."""
    mesh = Networks(pods)
    async with mesh.gateway() as gateway, mesh.server.app(reset_after(1)) as app:
        gateway.towards = (app.host, app.port)
        assert "TLS handshake failed" in (await failure(mesh))["error"]


async def test_behind_the_gateway_nobody_answers_in_time(pods: Pods) -> None:
    clock, mesh = pods.stop_the_clock(), Networks(pods)
    async with mesh.gateway() as gateway, unanswering(mesh.server.ip, 8080):
        async with mesh.sleep.call(mesh.destination) as caller:
            await eventually(lambda: mesh.server.its_proxy.open_connections == 1, "asked")
            clock.advance(mesh.server.its_proxy.plane.context.settings.deadlines.connect - 1)
            clock.advance(2)
            assert await read_to_end(caller) == (b"", "reset")
        assert (await mesh.sleep.its_proxy.line())["error"] == "http status: 503 Service Unavailable"
        assert gateway.server.connections == 1


async def test_a_drain_cuts_both(pods: Pods) -> None:
    mesh = Networks(pods)
    async with mesh.gateway(), mesh.server.app(echo, 8080) as app, mesh.sleep.call(mesh.destination) as caller:
        await talk(caller, b"hello")
        assert not await mesh.sleep.its_proxy.plane.drain(0)
        assert await read_to_end(caller) == (b"", "reset")
        assert await app.ended() == "reset"
