"""A connection as a coroutine gets it: made, refused, too late, given up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.dialling import connect_tcp
from hbone_py.aio.tcp import SocketOptions
from hbone_py.errors import ConnectionFailed, ConnectTimeout
from tests.support.processes import free_port, loopback_address
from tests.support.tcp_apps import TcpApp, hold

if TYPE_CHECKING:
    from hbone_py.aio.reactor import Reactor

OPTIONS = SocketOptions()
NOWHERE = ("192.0.2.1", 9)
"""Reserved for documentation (RFC 5737): what answers at all, answers with nothing."""


async def test_connected(reactor: Reactor) -> None:
    async with TcpApp(hold) as app:
        source = loopback_address()
        with await connect_tcp((app.host, app.port), OPTIONS, 5, source) as sock:
            assert (await app.connection()).peer == sock.getsockname()
            assert sock.getsockname()[0] == source
            assert not sock.getblocking()


async def test_refused(reactor: Reactor) -> None:
    address = loopback_address()
    with pytest.raises(ConnectionFailed):
        await connect_tcp((address, free_port(address)), OPTIONS, 5)


async def test_too_late_or_unreachable(reactor: Reactor) -> None:
    with pytest.raises((ConnectTimeout, ConnectionFailed)):
        await connect_tcp(NOWHERE, OPTIONS, 0.05)


async def test_given_up(reactor: Reactor) -> None:
    with pytest.raises((TimeoutError, ConnectionFailed)):
        async with asyncio.timeout(0.02):
            await connect_tcp(NOWHERE, OPTIONS, 30)


async def test_a_source_that_cannot_be_had(reactor: Reactor) -> None:
    with pytest.raises(ConnectionFailed):
        await connect_tcp(("127.0.0.1", 9), OPTIONS, 5, "127.0.0.300")
