"""15008 under siege: strangers who connect and say nothing, and the users among them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from mesh_py.capture.strangers import Strangers
from tests.interop.callers import talk
from tests.support.pods import HBONE
from tests.support.processes import eventually, loopback_address
from tests.support.tcp_apps import echo

if TYPE_CHECKING:
    from tests.support.pods import Pod, Pods

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
TOLD = "too many connections wait for their TLS handshake"


def besieged(pods: Pods) -> Pod:
    """A pod whose proxy has four places for strangers, two of them for one source, and no patience."""
    server = pods.add("server")
    server.its_proxy.plane.inbound.strangers = Strangers(most=4, most_of_one=2, patience=0.0)
    return server


async def stranger(server: Pod, source: str) -> Connection:
    """Somebody who says nothing."""
    return await asyncio.open_connection(server.ip, HBONE, local_addr=(source, 0))


async def test_a_source_that_has_its_share_makes_room_itself(pods: Pods) -> None:
    server = besieged(pods)
    source, inbound = loopback_address(), server.its_proxy.plane.inbound
    first = await stranger(server, source)
    others = [await stranger(server, source) for _ in range(2)]
    assert await first[0].read() == b""
    assert len(inbound.strangers) == len(inbound.peers) == 2
    assert TOLD in (await server.its_proxy.line(0, "connection failed"))["error"]
    async with server.app(echo) as app, pods.add("sleep").call(app.authority) as caller:
        await talk(caller, b"hello")
        assert len(inbound.strangers) == 2, "who has proved who it is is none"
    for _, writer in (first, *others):
        writer.close()
    await eventually(lambda: len(inbound.strangers) == 0, "all gone")


async def test_many_sources_keep_no_user_out(pods: Pods) -> None:
    server = besieged(pods)
    inbound = server.its_proxy.plane.inbound
    crowd = [await stranger(server, loopback_address()) for _ in range(6)]
    for reader, _ in crowd[:2]:
        assert await reader.read() == b""
    async with server.app(echo) as app, pods.add("sleep").call(app.authority) as caller:
        await talk(caller, b"hello")
        assert await crowd[2][0].read() == b""
        assert len(inbound.strangers) == 3
    for _, writer in crowd:
        writer.close()


async def test_a_burst_is_no_siege(pods: Pods) -> None:
    server = besieged(pods)
    source = loopback_address()
    server.its_proxy.plane.inbound.strangers = Strangers(most_of_one=2, patience=3600.0)
    crowd = [await stranger(server, source) for _ in range(2)]
    with pytest.raises(ConnectionResetError):
        await (await stranger(server, source))[0].read()
    assert not any(reader.at_eof() for reader, _ in crowd)
    for _, writer in crowd:
        writer.close()
