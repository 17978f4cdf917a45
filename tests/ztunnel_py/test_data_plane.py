"""The data plane as one thing: its listeners, and the end of its service (hbone-dataplane 6)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING

import pytest

from tests.interop.callers import read_to_end, talk
from tests.support.pods import HBONE, OUTBOUND, PLAINTEXT, SOCKS, dialled
from tests.support.processes import eventually, loopback_address, settled
from tests.support.raw_peer import Code, Kind, client_tls, connect_request, data, frame, raw_client
from tests.support.tcp_apps import echo, payload, source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.pods import Pod, Pods

LONG = 3600.0


@contextlib.asynccontextmanager
async def draining(pod: Pod, seconds: float = LONG) -> AsyncIterator[asyncio.Task[bool]]:
    """A drain that has begun."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(pod.its_proxy.plane.drain(seconds))
        await asyncio.sleep(0)
        yield task


async def test_with_no_connection_a_drain_is_over_at_once(pods: Pods) -> None:
    assert await pods.add("sleep").its_proxy.plane.drain(LONG)


@pytest.mark.parametrize("port", [OUTBOUND, PLAINTEXT, HBONE, SOCKS])
async def test_new_connections_are_refused_while_the_open_one_goes_on(pods: Pods, port: int) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await talk(caller, b"hello")
        async with draining(sleep) as drained, draining(server) as there:
            for pod in (sleep, server):
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.open_connection(pod.ip, port)
            await talk(caller, b"still here")
            assert not drained.done()
            await caller.send_eof()
            assert await caller.receive() == b""
            assert await drained
            assert await there
    assert "error" not in await sleep.its_proxy.line()


async def test_at_the_deadline_what_is_left_is_cut(pods: Pods, caplog: pytest.LogCaptureFixture) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await talk(caller, b"hello")
        assert not await sleep.its_proxy.plane.drain(0)
        assert await read_to_end(caller) == (b"", "reset")
        assert await app.ended() == "reset"
    line = await sleep.its_proxy.line()
    assert line["error"] == "connection closed due to connection drain"
    assert sleep.its_proxy.samples("istio_tcp_connections_failed_total") == []
    assert sleep.its_proxy.total("istio_tcp_connections_closed_total", response_flags="-") == 1
    assert "drain duration expired with pending connections, forcefully shutting down" in caplog.messages


async def test_at_the_deadline_the_destination_cuts_too(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await talk(caller, b"hello")
        assert not await server.its_proxy.plane.drain(0)
        assert await read_to_end(caller) == (b"", "reset")
        assert await app.ended() == "reset"
    assert (await server.its_proxy.line())["error"] == "connection closed due to connection drain"


async def test_plaintext_is_cut_at_the_deadline(pods: Pods) -> None:
    server = pods.add("server")
    async with server.app(echo) as app, server.call_plain(loopback_address(), app.authority) as caller:
        await talk(caller, b"hello")
        assert not await server.its_proxy.plane.drain(0)
        assert await read_to_end(caller) == (b"", "reset")


async def test_clients_are_told_in_two_steps_and_open_tunnels_go_on(pods: Pods) -> None:
    """GOAWAY that refuses nothing, a PING, GOAWAY that names the last stream (hbone-dataplane 1.8)."""
    server = pods.add("server")
    async with (
        server.app(echo) as app,
        raw_client(server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer,
    ):
        stream = await peer.open_tunnel(app.authority)
        async with draining(server) as drained:
            first = await peer.expect(Kind.GOAWAY)
            assert (first.payload[:4], first.code) == (b"\x7f\xff\xff\xff", Code.NO_ERROR)
            second = await peer.expect(Kind.GOAWAY)
            assert (second.payload[:4], second.code) == (stream.to_bytes(4), Code.NO_ERROR)
            await peer.send(data(stream, b"hello"))
            assert (await peer.expect(Kind.DATA, stream=stream)).payload == b"hello"
            late = await peer.request(connect_request(app.authority))
            await peer.round_trip()
            assert [got.stream for got in peer.received if got.kind == Kind.HEADERS] == [stream]
            await peer.send(data(stream, end=True))
            await peer.expect_end()
            assert await drained
        assert late > stream


async def test_a_client_without_tunnels_is_closed(pods: Pods) -> None:
    server = pods.add("server")
    async with raw_client(server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer:
        await peer.round_trip()
        assert await server.its_proxy.plane.drain(LONG)
        await peer.expect_end()


async def test_who_has_not_said_where_to_go_is_waited_for(pods: Pods) -> None:
    sleep = pods.add("sleep")
    async with dialled((sleep.ip, SOCKS), sleep.ip) as (caller, _):
        await caller.send(b"\x05\x01\x00")
        assert await caller.receive() == b"\x05\x00"
        async with draining(sleep) as drained:
            await eventually(lambda: not drained.done(), "waiting")
            caller.abort()
            assert await drained


async def test_who_has_not_said_where_to_go_is_cut(pods: Pods) -> None:
    sleep = pods.add("sleep")
    async with dialled((sleep.ip, SOCKS), sleep.ip) as (caller, _):
        await caller.send(b"\x05\x01\x00")
        await caller.receive()
        assert not await sleep.its_proxy.plane.drain(0)
        assert (await read_to_end(caller)).data == b""


async def test_a_tls_handshake_does_not_hold_the_drain(pods: Pods) -> None:
    """Unlike ztunnel's (6.2): nobody has been promised anything yet."""
    server = pods.add("server")
    async with dialled((server.ip, HBONE), loopback_address()) as (caller, _):
        await eventually(lambda: len(server.its_proxy.plane.inbound.peers) == 1, "accepted")
        assert await server.its_proxy.plane.drain(LONG)
        assert (await read_to_end(caller)).data == b""


async def test_a_connection_under_way_is_cut(pods: Pods) -> None:
    """The peer is there, and has not answered."""
    sleep, server = pods.add("sleep"), pods.add("server", authorization_policies=("default/late",))
    async with sleep.call(f"{server.ip}:80") as caller:
        await eventually(lambda: server.its_proxy.open_connections == 1, "waiting for policy")
        assert not await sleep.its_proxy.plane.drain(0)
        assert await read_to_end(caller) == (b"", "reset")
        await server.its_proxy.line()


@pytest.mark.parametrize("wanted", ["true", "false"])
async def test_source_addresses_are_kept_or_not(pods: Pods, wanted: str) -> None:
    """ENABLE_ORIG_SRC (hbone-dataplane 3.6)."""
    sleep, server = pods.add("sleep"), pods.add("server", environment={"ENABLE_ORIG_SRC": wanted})
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await talk(caller, b"hello")
        assert ((await app.connection()).peer[0] == sleep.ip) is (wanted == "true")


async def test_a_broken_connection_hurts_no_other(
    pods: Pods, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug of ours, met by one connection, is logged with its traceback and ends that one."""
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(echo) as app, sleep.call(app.authority) as open_before:
        await talk(open_before, b"hello")
        with monkeypatch.context() as patch:
            patch.setattr("ztunnel_py.inbound_tunnel.find_inbound_upstream", None)
            async with sleep.call(f"{server.ip}:1") as caller:
                assert await read_to_end(caller) == (b"", "reset")
        assert (await sleep.its_proxy.line())["error"] == "http status: 503 Service Unavailable"
        with monkeypatch.context() as patch:
            patch.setattr("ztunnel_py.outbound.resolve", None)
            async with sleep.call(f"{server.ip}:2") as caller:
                assert await read_to_end(caller) == (b"", "reset")
        await talk(open_before, b"still here")
    assert [record.exc_info is not None for record in caplog.records if record.levelno == logging.ERROR] == [True] * 2


async def test_what_a_slow_client_has_yet_to_read_is_not_cut_short(pods: Pods) -> None:
    """The tunnel is over for us; its last megabytes are with the kernel, and what the client says must not end them."""
    server, sent = pods.add("server"), payload(2 << 20)
    async with (
        server.app(source(sent)) as app,
        raw_client(server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer,
    ):
        peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        stream = await peer.request(connect_request(app.authority), end=True)
        assert (await peer.expect(Kind.HEADERS, stream=stream)).status == "200"
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await server.its_proxy.line()
        async with draining(server) as drained:
            await settled(lambda: len(asyncio.all_tasks()))
            assert not drained.done()
            await peer.send(frame(Kind.PING, 0, b"12345678"))
            peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert await peer.read_stream(stream) == (sent, None)
            assert await drained
