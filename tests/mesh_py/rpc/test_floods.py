"""Clients that send much at little cost: what waits for them is bounded, and others have their turn meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpclib.const import Cardinality, Handler
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, PingAckReceived
from hyperframe.frame import PingFrame

from mesh_py.rpc.protocol import TURN, StreamLimits
from mesh_py.rpc.server import ServerLimits
from tests.mesh_py.rpc.raw_client import PREFACE, REQUEST, SECONDS, RawClient, message
from tests.support.processes import eventually
from tests.support.rpc import CHAT, serving

if TYPE_CHECKING:
    from h2.events import Event


@pytest.fixture
async def server(address):
    async with serving(address, None) as running:
        yield running


@pytest.fixture
async def raw(server, address):
    client = RawClient(*await asyncio.open_connection(address, server[1]))
    yield client
    client.writer.close()
    with contextlib.suppress(ConnectionError):
        await client.writer.wait_closed()


async def test_a_flood_of_pings_nobody_reads_the_answers_of(address):
    """Each must be answered; what waits for a peer that does not read is bounded."""
    limits = ServerLimits(streams=StreamLimits(unsent=50_000))
    pings = PingFrame(0, opaque_data=b"12345678").serialize() * 500
    async with serving(address, None, limits=limits, send_buffer=4096) as (server, port):
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await loop.sock_connect(sock, (address, port))
            await loop.sock_sendall(sock, PREFACE)
            await eventually(lambda: server.connections == 1, "connected")
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(SECONDS):
                    while server.connections:
                        await loop.sock_sendall(sock, pings)
        assert server.connections == 0


async def test_a_flood_of_frames_keeps_nobody_waiting(raw, server):
    """However much comes at once, others have a turn after a piece of it; nothing of it is lost, at the end neither."""
    await raw.answer(raw.call(body=message("up")))
    (connection,) = server[0]._connections
    pings = [PingFrame(0, opaque_data=b"%08d" % number).serialize() for number in range(5000)]
    connection.protocol.data_received(b"".join(pings[:4000]))
    assert len(connection.protocol._unheard) == 4000 * len(pings[0]) - TURN
    while raw_number(await raw.until(PingAckReceived)) != 3999:
        pass
    connection.protocol.data_received(b"".join(pings[4000:]))
    connection.protocol.eof_received()
    assert raw_number(await raw.until(PingAckReceived)) == 4000
    assert (await raw.answer(raw.call(body=message("hello"))))["grpc-status"] == "0"


def raw_number(event: Event) -> int:
    assert isinstance(event, PingAckReceived)
    return int(event.ping_data)


async def test_small_messages_are_read_in_turns(address):
    """A window full of them is not read in one go: between two of them everybody else runs."""
    turn, read_in = 0, list[int]()

    class Count:
        def __mapping__(self) -> dict[str, Handler]:
            return {CHAT: Handler(self.count, Cardinality.STREAM_STREAM, StringValue, StringValue)}

        async def count(self, stream: Any) -> None:
            nonlocal turn
            async with asyncio.TaskGroup() as group:
                others = group.create_task(self.others())
                read_in.extend([turn async for _ in stream])
                others.cancel()
            await stream.send_message(StringValue())

        async def others(self) -> None:
            nonlocal turn
            while True:
                turn += 1
                await asyncio.sleep(0)

    async with serving(address, None, Count()) as (_, port):
        reader, writer = await asyncio.open_connection(address, port)
        client = RawClient(reader, writer)
        await client.answer(client.call([REQUEST[0], REQUEST[1], (":path", CHAT), *REQUEST[3:]], message("") * 500))
        writer.close()
        await writer.wait_closed()
    assert len(read_in) == 500
    assert len(set(read_in)) == 500


async def test_rapid_reset_ends_the_connection(raw, server):
    """Calls that are taken back at once cost the client nothing, and us a task each."""
    for _ in range(100):
        raw.h2.reset_stream(raw.call(body=message("")))
    raw.flush()
    await raw.answer(raw.call(body=message("hello")))
    server[0]._look()  # a hundred in one look are no flood
    for _ in range(101):
        raw.h2.reset_stream(raw.call(body=message("")))
    raw.flush()
    (*_, last) = await raw.ended()
    assert isinstance(last, ConnectionTerminated)
    assert last.error_code == ErrorCodes.ENHANCE_YOUR_CALM
    await eventually(lambda: server[0].connections == 0, "it is over")
