"""Applications that do not read: their sender waits, their neighbours do not, and nothing is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hbone_py.aio.reactor import Reactor
from tests.interop.callers import read_to_end, talk
from tests.support.processes import settled
from tests.support.tcp_apps import Connection, Gate, digest, echo, payload

if TYPE_CHECKING:
    from tests.interop.callers import TcpCaller
    from tests.support.pods import Pods

MIB = 1 << 20
WINDOWS = {"HTTP2_STREAM_WINDOW_SIZE": str(MIB), "HTTP2_CONNECTION_WINDOW_SIZE": str(4 * MIB)}
SENT = payload(24 * MIB)
"""More than the windows and every socket's buffers hold together."""


async def send_all(caller: TcpCaller, data: bytes) -> None:
    """Not within any deadline: how long it takes is the reader's affair."""
    writer = caller._writer
    writer.write(data)
    await writer.drain()
    writer.write_eof()


async def test_an_application_that_does_not_read(pods: Pods) -> None:
    sleep, server, gate = pods.add("sleep", environment=WINDOWS), pods.add("server", environment=WINDOWS), Gate()
    ledger = Reactor.current().ledger
    async with (
        server.app(gate) as slow,
        server.app(echo) as quick,
        asyncio.TaskGroup() as group,
        sleep.call(slow.authority) as caller,
        sleep.call(quick.authority) as neighbour,
    ):
        sending = group.create_task(send_all(caller, SENT))
        await settled(lambda: ledger.used)
        assert not sending.done()
        assert 0 < ledger.used <= MIB
        await talk(neighbour, b"hello")
        gate.allow(len(SENT) + 1)
        await sending
        assert await slow.ended() == "eof"
        assert (await slow.connection()).digest == digest(SENT)
    assert ledger.used == 0


async def test_a_caller_that_does_not_read(pods: Pods) -> None:
    sleep, server = pods.add("sleep", environment=WINDOWS), pods.add("server", environment=WINDOWS)
    ledger = Reactor.current().ledger

    async def pour(connection: Connection) -> None:
        await connection.send(SENT)
        await connection.send_eof()

    async with (
        server.app(pour) as app,
        server.app(echo) as quick,
        sleep.call(app.authority) as caller,
        sleep.call(quick.authority) as neighbour,
    ):
        caller._writer.transport.pause_reading()  # type: ignore[attr-defined]
        await settled(lambda: ledger.used)
        assert 0 < ledger.used <= MIB
        await talk(neighbour, b"hello")
        caller._writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert await read_to_end(caller) == (SENT, "eof")
    assert ledger.used == 0


async def test_over_the_budget_the_greediest_goes_and_the_others_stay(pods: Pods) -> None:
    """Unread bytes are bounded for the whole process (UNREAD_BUDGET)."""
    environment = {"UNREAD_BUDGET": str(MIB // 2), **WINDOWS}
    sleep, server, gate = (
        pods.add("sleep", environment=environment),
        pods.add("server", environment=environment),
        Gate(),
    )
    async with (
        server.app(gate) as slow,
        server.app(echo) as quick,
        asyncio.TaskGroup() as group,
        sleep.call(slow.authority) as caller,
        sleep.call(quick.authority) as neighbour,
    ):
        await talk(neighbour, b"hello")
        sending = group.create_task(send_until_reset(caller))
        line = await server.its_proxy.line()
        assert "ENHANCE_YOUR_CALM" in line["error"]
        await sending
        await talk(neighbour, b"still here")


async def send_until_reset(caller: TcpCaller) -> None:
    try:
        await send_all(caller, SENT)
        await read_to_end(caller)
    except ConnectionError:
        pass
