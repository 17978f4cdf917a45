"""Greetings: what stands in front of the payload is taken byte-exactly, and whoever says nothing costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.interop.callers import read_exactly, read_to_end, talk
from tests.support.pods import OUTBOUND, PLAINTEXT, dialled, preamble
from tests.support.processes import eventually
from tests.support.tcp_apps import echo
from tests.support.world import address
from ztunnel_py import capture

if TYPE_CHECKING:
    from tests.support.pods import Pod, Pods


async def error_of(pod: Pod, said: bytes, port: int = OUTBOUND) -> dict[str, str]:
    """The log line about a client that says this and ends."""
    async with dialled((pod.ip, port), pod.ip) as (caller, _):
        await caller.send(said)
        await caller.send_eof()
        assert (await read_to_end(caller)).data == b""
        return await pod.its_proxy.line(message="connection failed")


async def test_payload_right_behind_the_preamble_is_not_lost(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(echo) as app, dialled((sleep.ip, OUTBOUND), sleep.ip) as (caller, local):
        await caller.send(preamble(local, address(app.authority)) + b"hello")
        assert await read_exactly(caller, 5) == b"hello"


async def test_a_preamble_in_single_bytes(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(echo) as app, dialled((sleep.ip, OUTBOUND), sleep.ip) as (caller, local):
        for byte in preamble(local, address(app.authority)):
            await caller.send(bytes((byte,)))
            await eventually(lambda: True, "the byte is on its way")
        await talk(caller, b"hello")


async def test_a_preamble_longer_than_the_first_look(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(echo) as app, dialled((sleep.ip, OUTBOUND), sleep.ip) as (caller, local):
        short = preamble(local, address(app.authority))
        tlv = b"\x04" + (60_000).to_bytes(2) + b"\0" * 60_000
        await caller.send(short[:14] + (len(short) - 16 + len(tlv)).to_bytes(2) + short[16:] + tlv)
        await talk(caller, b"hello")


async def test_version_one_is_understood_too(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(echo) as app, dialled((sleep.ip, OUTBOUND), sleep.ip) as (caller, local):
        host, _, port = app.authority.partition(":")
        await caller.send(f"PROXY TCP4 {local[0]} {host} {local[1]} {port}\r\n".encode())
        await talk(caller, b"hello")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param(b"", "the client closed before it said where to go", id="nothing"),
        pytest.param(b"\r\n\r\n\x00\r\nQ", "the client closed before it said where to go", id="half a signature"),
        pytest.param(b"GET / HTTP/1.1\r\n", "no PROXY protocol preamble", id="something else"),
        pytest.param(b"PROXY UNKNOWN\r\n", "the PROXY preamble names no destination", id="unknown"),
        pytest.param(b"PROXY TCP4 " + b"1" * 200, "a PROXY line longer than 107 bytes", id="long line"),
    ],
)
async def test_who_says_no_destination_is_refused(pods: Pods, said: bytes, reason: str) -> None:
    sleep = pods.add("sleep")
    line = await error_of(sleep, said)
    assert (line["error"], line["dst.addr"]) == (f"PROXY protocol: {reason}", f"{sleep.ip}:{OUTBOUND}")
    assert line["direction"] == "outbound"
    assert not sleep.its_proxy.plane.context.connections.pending


async def test_on_15006_it_is_an_inbound_connection(pods: Pods) -> None:
    line = await error_of(pods.add("sleep"), b"GET / HTTP/1.1\r\n", PLAINTEXT)
    assert (line["direction"], line["error"]) == ("inbound", "PROXY protocol: no PROXY protocol preamble")


async def test_who_says_nothing_has_ten_seconds(pods: Pods) -> None:
    clock, sleep = pods.stop_the_clock(), pods.add("sleep")
    async with dialled((sleep.ip, OUTBOUND), sleep.ip) as (caller, _):
        pending = sleep.its_proxy.plane.context.connections.pending
        await eventually(lambda: len(pending) == 1, "accepted")
        clock.advance(capture.DEADLINE + 1)
        assert await read_to_end(caller) == (b"", "eof")
    assert (await sleep.its_proxy.line(message="connection failed"))["error"] == "PROXY protocol: nothing said in time"


async def test_too_many_who_say_nothing(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MAX_GREETINGS", 2)
    sleep = pods.add("sleep")
    proxy = (sleep.ip, OUTBOUND)
    async with dialled(proxy, sleep.ip), dialled(proxy, sleep.ip):
        await eventually(lambda: len(sleep.its_proxy.plane.context.connections.pending) == 2, "both accepted")
        async with dialled(proxy, sleep.ip) as (caller, _):
            assert (await read_to_end(caller)).data == b""
    line = await sleep.its_proxy.line(message="connection failed")
    assert line["error"] == "PROXY protocol: too many clients have not said where to go"


async def test_a_source_without_a_port_is_the_client_itself(pods: Pods) -> None:
    """The header of a health checker; the connection's own source is what counts then."""
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(echo) as app, dialled((sleep.ip, OUTBOUND), sleep.ip) as (caller, local):
        await caller.send(preamble(("127.9.9.9", 0), address(app.authority)))
        await talk(caller, b"hello")
        line = await sleep.its_proxy.line(message="connection opened")
        assert line["src.addr"] == f"{local[0]}:{local[1]}"
