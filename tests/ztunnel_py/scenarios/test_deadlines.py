"""Every step that waits for somebody has an end, in its own words (hbone-dataplane 1.5, 2.9; pitfall 19)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh_py.model.workload import Protocol
from tests.interop.callers import read_to_end
from tests.support.pods import HBONE, dialled, unanswering
from tests.support.processes import eventually, loopback_address
from tests.support.raw_peer import Code, Kind, RawServer, client_tls, connect_request, raw_client, server_tls
from tests.support.tcp_apps import TcpApp, hold

if TYPE_CHECKING:
    from hbone_py.config import Deadlines
    from tests.support.clock import VirtualClock
    from tests.support.pods import Pod, Pods

FAILED = "istio_tcp_connections_failed_total"


def deadlines(pod: Pod) -> Deadlines:
    return pod.its_proxy.plane.context.settings.deadlines


async def outcome(sleep: Pod, destination: str, clock: VirtualClock, seconds: float) -> dict[str, str]:
    """The log line of a call after `seconds` of waiting for others."""
    async with sleep.call(destination) as caller:
        await eventually(lambda: sleep.its_proxy.open_connections == 1, "under way")
        clock.advance(seconds)
        assert await read_to_end(caller) == (b"", "reset")
    return await sleep.its_proxy.line()


async def test_the_peer_does_not_answer_a_connect(pods: Pods) -> None:
    """The request is withdrawn, the connection stays."""
    clock, sleep, server = pods.stop_the_clock(), pods.add("sleep"), pods.add("server", proxied=False)
    async with RawServer(server.ip, HBONE, server_tls(pods.authority.of("server"))) as there:
        async with sleep.call(f"{server.ip}:80") as caller:
            peer = await there.accept()
            stream = (await peer.expect(Kind.HEADERS)).stream
            for _ in range(int(deadlines(sleep).reply) // 5 + 1):
                clock.advance(5)
                await peer.round_trip()  # it is alive: PINGs are answered
            assert await read_to_end(caller) == (b"", "reset")
            withdrawn = [got for got in peer.received if got.kind == Kind.RST_STREAM]
            assert [(got.stream, got.code) for got in withdrawn] == [(stream, Code.CANCEL)]
        line = await sleep.its_proxy.line()
        assert line["error"] == "no answer to CONNECT in time"
        assert sleep.its_proxy.total(FAILED, response_flags="H2_HANDSHAKE_FAILURE") == 1
        assert len(sleep.its_proxy.plane.outbound.pool) == 1


async def test_the_peer_says_no_settings(pods: Pods) -> None:
    clock, sleep, server = pods.stop_the_clock(), pods.add("sleep"), pods.add("server", proxied=False)
    there = RawServer(server.ip, HBONE, server_tls(pods.authority.of("server")), opening=b"")
    async with there, sleep.call(f"{server.ip}:80") as caller:
        await there.accept()
        clock.advance(deadlines(sleep).settings + 1)
        assert await read_to_end(caller) == (b"", "reset")
    assert (await sleep.its_proxy.line())["error"] == "http2 handshake failed: no SETTINGS from the peer in time"
    assert sleep.its_proxy.total(FAILED, response_flags="H2_HANDSHAKE_FAILURE") == 1


async def test_the_peer_does_not_speak_tls(pods: Pods) -> None:
    clock, sleep, server = pods.stop_the_clock(), pods.add("sleep"), pods.add("server", proxied=False)
    async with TcpApp(hold, server.ip, HBONE) as there, sleep.call(f"{server.ip}:80") as caller:
        await there.connection()
        clock.advance(deadlines(sleep).tls + 1)
        assert await read_to_end(caller) == (b"", "reset")
    assert (await sleep.its_proxy.line())["error"] == "TLS handshake timed out"
    assert sleep.its_proxy.total(FAILED, response_flags="CONNECT") == 1


async def test_the_peer_cannot_be_reached(pods: Pods) -> None:
    clock, sleep, server = pods.stop_the_clock(), pods.add("sleep"), pods.add("server", proxied=False)
    async with unanswering(server.ip, HBONE):
        line = await outcome(sleep, f"{server.ip}:80", clock, deadlines(sleep).connect + 1)
    assert line["error"] == (
        f"connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008: {server.ip}:15008"
    )
    assert sleep.its_proxy.total(FAILED, response_flags="NETWORK_POLICY") == 1


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_plain_destination_cannot_be_reached(pods: Pods, is_known: bool) -> None:
    clock, sleep = pods.stop_the_clock(), pods.add("sleep")
    host = pods.add("plain", proxied=False, protocol=Protocol.TCP).ip if is_known else loopback_address()
    async with unanswering(host) as authority:
        line = await outcome(sleep, authority, clock, deadlines(sleep).connect + 1)
    assert line["error"] == f"connection timed out: {authority}"
    assert sleep.its_proxy.total(FAILED, response_flags="CONNECT") == 1


async def test_the_application_cannot_be_reached(pods: Pods) -> None:
    clock, server = pods.stop_the_clock(), pods.add("server")
    async with (
        unanswering(server.ip) as authority,
        raw_client(server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer,
    ):
        stream = await peer.request(connect_request(authority))
        await eventually(lambda: server.its_proxy.open_connections == 1, "under way")
        clock.advance(deadlines(server).connect + 1)
        assert (await peer.expect(Kind.HEADERS, stream=stream)).status == "503"
    assert (await server.its_proxy.line())["error"] == f"connection timed out: {authority}"
    assert server.its_proxy.total(FAILED, response_flags="CONNECT") == 1


async def test_plaintext_for_an_application_that_cannot_be_reached(pods: Pods) -> None:
    clock, server = pods.stop_the_clock(), pods.add("server")
    async with unanswering(server.ip) as authority, server.call_plain(loopback_address(), authority) as caller:
        await eventually(lambda: server.its_proxy.open_connections == 1, "under way")
        clock.advance(deadlines(server).connect + 1)
        assert await read_to_end(caller) == (b"", "reset")
    assert server.its_proxy.total(FAILED, response_flags="CONNECT") == 1


async def test_a_client_that_does_not_speak_tls(pods: Pods) -> None:
    clock, server = pods.stop_the_clock(), pods.add("server")
    async with dialled((server.ip, HBONE), loopback_address()) as (caller, _):
        await eventually(lambda: len(server.its_proxy.plane.inbound.peers) == 1, "accepted")
        clock.advance(deadlines(server).tls + 1)
        assert (await read_to_end(caller)).data == b""
    line = await server.its_proxy.line(message="connection failed")
    assert line["error"] == "tls handshake error: TLS handshake timed out"


async def test_a_client_that_leaves_while_its_application_is_called(pods: Pods) -> None:
    """Nobody waits any more: the call ends with the tunnel, not with its deadline."""
    clock, server = pods.stop_the_clock(), pods.add("server")
    async with unanswering(server.ip) as authority:
        async with raw_client(server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer:
            await peer.request(connect_request(authority))
            await eventually(lambda: server.its_proxy.open_connections == 1, "under way")
        await server.its_proxy.line()
        assert server.its_proxy.open_connections == 0
        clock.advance(deadlines(server).connect + 1)
    assert len(server.its_proxy.logged()) == 1
