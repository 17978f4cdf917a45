"""Calls that would come back to the proxy itself, by every way there is: none goes round twice (hbone-dataplane 11)."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from mesh_py.model.workload import ApplicationTunnel, Protocol, TunnelProtocol
from tests.interop.callers import read_to_end
from tests.support import world
from tests.support.pods import HBONE, OUTBOUND, PLAINTEXT, SOCKS
from tests.support.processes import eventually, loopback_address, settled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.pods import Pod, Pods

OURS = [OUTBOUND, PLAINTEXT, HBONE, SOCKS]
RECURSIVE = "attempted recursive call to ourselves"


SURFACES = [15000, 15020, 15021]
"""Administration, which these pods have at their own addresses."""


@contextlib.contextmanager
def knock(host: str, port: int) -> Iterator[None]:
    """A connection that says nothing and may be reset before it knows that it is there."""
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.connect_ex((host, port))
        yield


async def all_at_rest(*pods: Pod) -> None:
    """No proxy does anything any more: nothing is open, and no line is added to its log."""
    await eventually(lambda: not any(pod.its_proxy.open_connections for pod in pods), "nothing is open")
    await settled(lambda: sum(len(pod.its_proxy.lines) for pod in pods))
    assert [pod.its_proxy.open_connections for pod in pods] == [0] * len(pods)


@pytest.mark.parametrize("port", OURS)
async def test_captured_on_the_way_out(pods: Pods, port: int) -> None:
    sleep = pods.add("sleep")
    async with sleep.call(f"{sleep.ip}:{port}") as caller:
        assert await read_to_end(caller) == (b"", "reset")
    assert (await sleep.its_proxy.line(message="connection failed"))["error"] == RECURSIVE


@pytest.mark.parametrize("port", OURS)
async def test_captured_on_the_way_in(pods: Pods, port: int) -> None:
    server = pods.add("server")
    async with server.call_plain(loopback_address(), f"{server.ip}:{port}") as caller:
        assert (await read_to_end(caller)).data == b""
    assert (await server.its_proxy.line(message="connection failed"))["error"] == RECURSIVE


@pytest.mark.parametrize("port", SURFACES)
async def test_nobody_is_led_to_where_the_proxy_is_administered(pods: Pods, port: int) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    async with sleep.call(f"{server.ip}:{port}") as caller:
        assert await read_to_end(caller) == (b"", "reset")
    async with server.call_plain(loopback_address(), f"{server.ip}:{port}") as caller:
        assert (await read_to_end(caller)).data == b""
    lines = [await server.its_proxy.line(index, "connection failed") for index in range(2)]
    assert [line["error"] for line in lines] == [RECURSIVE] * 2


async def test_nor_by_an_application_tunnel(pods: Pods) -> None:
    """It leads to the loopback address, where in a dedicated proxy's pod administration is."""
    sleep = pods.add("sleep")
    tunnel = ApplicationTunnel(TunnelProtocol.PROXY, 15000)
    server = pods.add("server", application_tunnel=tunnel, environment={"PROXY_LOCAL_ADDRESS": "127.0.0.1"})
    async with sleep.call(f"{server.ip}:80") as caller:
        assert await read_to_end(caller) == (b"", "reset")
    assert (await server.its_proxy.line(message="connection failed"))["error"] == RECURSIVE


@pytest.mark.parametrize("port", OURS)
async def test_through_socks(pods: Pods, port: int) -> None:
    sleep = pods.add("sleep")
    async with sleep.socks(f"{sleep.ip}:{port}") as caller:
        assert (await read_to_end(caller)).data == b""
    assert (await sleep.its_proxy.line(message="connection failed"))["error"] == RECURSIVE


@pytest.mark.parametrize("port", OURS)
async def test_through_a_service(pods: Pods, port: int) -> None:
    """The service's port is innocent, its target is not: the destination's proxy refuses."""
    sleep, vip = pods.add("sleep"), loopback_address()
    server = pods.add("server", services={"default/loop.example": {80: port}})
    pods.tell(world.service("loop.example", vip))
    async with sleep.call(f"{vip}:80") as caller:
        assert await read_to_end(caller) == (b"", "reset")
    await all_at_rest(sleep, server)
    assert (await server.its_proxy.line(message="connection failed"))["error"] == RECURSIVE
    assert (await sleep.its_proxy.line())["error"] == "http status: 503 Service Unavailable"


@pytest.mark.parametrize("port", OURS)
async def test_through_a_service_of_plain_tcp(pods: Pods, port: int) -> None:
    """Nobody asks the destination's proxy by HBONE: its listeners are dialled as they are."""
    sleep, vip = pods.add("sleep"), loopback_address()
    server = pods.add("server", protocol=Protocol.TCP, services={"default/loop.example": {80: port}})
    pods.tell(world.service("loop.example", vip))
    async with sleep.call(f"{vip}:80") as caller:
        await caller.send(b"GET / HTTP/1.1\r\n\r\n")
        assert (await read_to_end(caller)).data in (b"", b"\x05\x07\0\1\0\0\0\0\0\0")
    await all_at_rest(sleep, server)


@pytest.mark.parametrize("port", [OUTBOUND, PLAINTEXT])
async def test_dialled_as_if_nothing_were_captured(pods: Pods, port: int) -> None:
    """No redirection and no preamble: where it was going is our own port."""
    pod = pods.add("pod", environment={"PROXY_PROTOCOL_CAPTURE": "false"})
    with knock(pod.ip, port):
        line = await pod.its_proxy.line(message="connection failed")
        await all_at_rest(pod)
    assert (line["error"], line["dst.addr"]) == (RECURSIVE, f"{pod.ip}:{port}")


async def test_dialled_on_an_address_that_is_not_loopback(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a pod's own address is: nothing in the mesh would stop what the kernel did not redirect."""
    pod = pods.add("pod", environment={"PROXY_PROTOCOL_CAPTURE": "false"})
    monkeypatch.setattr("ztunnel_py.outbound.original_destination", lambda *_: (("10.1.2.3", OUTBOUND), False))
    with knock(pod.ip, OUTBOUND):
        assert (await pod.its_proxy.line(message="connection failed"))["error"] == RECURSIVE


async def test_a_waypoint_that_is_the_caller_itself(pods: Pods) -> None:
    """A service's waypoint that calls the service goes to itself, once for each time its application calls."""
    waypoint = pods.add("waypoint", services={"default/loop.example": {80: OUTBOUND}})
    vip = loopback_address()
    pods.tell(world.service("loop.example", vip, waypoint=world.gateway(f"/{waypoint.ip}")))
    async with waypoint.call(f"{vip}:80") as caller:
        assert await read_to_end(caller) == (b"", "reset")
    await all_at_rest(waypoint)
