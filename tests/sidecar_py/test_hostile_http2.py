"""HTTP/2 with plain h2 on either side of two sidecars: floods, answers that break off, farewells."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar

import h2.events
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from hbone_py.frames import END_HEADERS, END_STREAM, GOAWAY, HEADERS, frame
from tests.sidecar_py.applications import web_application
from tests.sidecar_py.doors import dialled_by_socks
from tests.sidecar_py.pairs import KINDS, pair
from tests.sidecar_py.sidecars import HOST, PORT
from tests.support.frames import split
from tests.support.processes import eventually
from tests.support.tcp_apps import TcpApp, drop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.sidecar_py.sidecars import SidecarUnderTest
    from tests.support.certificates import CertificateFiles
    from tests.support.tcp_apps import Behaviour, Connection

EventT = TypeVar("EventT", bound=h2.events.Event)


def asks(path: str) -> list[tuple[str, str]]:
    return [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", f"{HOST}:{PORT}")]


class Client:
    """h2 on a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.h2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.events: list[h2.events.Event] = []
        self.is_over = False

    async def flush(self) -> None:
        self._writer.write(self.h2.data_to_send())
        await self._writer.drain()

    async def until(self, kind: type[EventT]) -> EventT:
        """The first event of a kind. Reads until it comes."""
        async with asyncio.timeout(8):
            while not (found := [event for event in self.events if isinstance(event, kind)]):
                data = await self._reader.read(65536)
                assert data, f"the end came before {kind.__name__}"
                self.events += self.h2.receive_data(data)
                await self.flush()
        return found[0]

    async def say(self, wire: bytes) -> None:
        """What h2 would never say."""
        self._writer.write(wire)
        await self._writer.drain()

    async def end(self) -> bytes:
        """What comes to the end of the connection, whichever it is."""
        found = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(8):
                while data := await self._reader.read(65536):
                    found += data
        self.is_over = True
        return found


@contextlib.asynccontextmanager
async def client_of(one: SidecarUnderTest) -> AsyncIterator[Client]:
    reader, writer = await dialled_by_socks(one.socks, HOST, PORT)
    try:
        client = Client(reader, writer)
        await client.flush()
        yield client
    finally:
        drop(writer)


async def asked(connection: Connection, server: H2Connection) -> int:
    """The stream of the first request, 0 if none comes."""
    server.initiate_connection()
    while data := await connection.receive():
        for event in server.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                return int(event.stream_id or 0)
        await connection.send(server.data_to_send())
    return 0


async def half(connection: Connection) -> None:
    """An application that leaves within the body of its answer."""
    server = H2Connection(H2Configuration(client_side=False))
    if stream := await asked(connection, server):
        server.send_headers(stream, [(":status", "200")])
        server.send_data(stream, b"half")
        await connection.send(server.data_to_send())


def after(go_on: asyncio.Event) -> Behaviour:
    """An application that answers when it is told to."""

    async def behaviour(connection: Connection) -> None:
        server = H2Connection(H2Configuration(client_side=False))
        if stream := await asked(connection, server):
            await connection.send(server.data_to_send())
            await go_on.wait()
            server.send_headers(stream, [(":status", "200")], end_stream=True)
            await connection.send(server.data_to_send())
            while await connection.receive():
                pass

    return behaviour


@pytest.mark.parametrize("kind", KINDS)
async def test_half_an_answer_is_never_a_whole_one(certificates: Mapping[str, CertificateFiles], kind: str) -> None:
    async with (
        pair(certificates, KINDS[kind]) as (client, server, at),
        TcpApp(half, at.app, at.port),
        client_of(client) as caller,
    ):
        caller.h2.send_headers(1, asks("/ip"), end_stream=True)
        await caller.flush()
        reset = await caller.until(h2.events.StreamReset)
        assert reset.error_code != ErrorCodes.NO_ERROR
        assert not [event for event in caller.events if isinstance(event, h2.events.StreamEnded)]
        for side in (server, client):
            await side.logged(" 200 U")


async def test_an_answer_of_our_own_waits_for_windows_too(certificates: Mapping[str, CertificateFiles]) -> None:
    """Cut to the window it would be shorter than its content-length."""
    async with pair(certificates) as (client, server, _), client_of(client) as caller:
        caller.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 3})
        await server.plane.drain(0)
        caller.h2.send_headers(1, asks("/ip"), end_stream=True)
        await caller.flush()
        await caller.until(h2.events.DataReceived)
        caller.h2.increment_flow_control_window(1000, 1)
        await caller.flush()
        await caller.until(h2.events.StreamEnded)  # h2 itself holds the body to its content-length
        said = b"".join(event.data for event in caller.events if isinstance(event, h2.events.DataReceived))
        assert said.startswith(b"upstream connect error")


async def test_rapid_reset_ends_the_connection(certificates: Mapping[str, CertificateFiles]) -> None:
    async with (
        pair(certificates) as (client, server, at),
        web_application(at.app, at.port),
        client_of(client) as caller,
    ):
        with contextlib.suppress(ConnectionError):
            for number in range(1, 4001, 2):
                caller.h2.send_headers(number, asks("/delay/30"), end_stream=True)
                caller.h2.reset_stream(number, ErrorCodes.CANCEL)
                await caller.flush()
        await caller.end()
        assert caller.is_over
        await eventually(lambda: client.plane.connections.busy == 0, "nothing is left of it")
        await eventually(lambda: server.plane.connections.busy == 0, "nor on the far side")
        async with client.client() as http:
            assert (await http.get(f"http://{HOST}:{PORT}/ip")).status_code == 200


@pytest.mark.parametrize("flood", ["PING", "SETTINGS"])
async def test_a_flood_of_control_frames_ends_the_connection(
    certificates: Mapping[str, CertificateFiles], flood: str
) -> None:
    async with pair(certificates) as (client, _, at), web_application(at.app, at.port), client_of(client) as caller:
        with contextlib.suppress(ConnectionError):
            for _ in range(5000):
                if flood == "PING":
                    caller.h2.ping(bytes(8))
                else:
                    caller.h2.update_settings({})
                await caller.flush()
        await caller.end()
        assert caller.is_over


async def test_a_number_that_was_passed_over_ends_the_connection(certificates: Mapping[str, CertificateFiles]) -> None:
    """RFC 9113 5.1.1."""
    async with pair(certificates) as (client, _, at), web_application(at.app, at.port), client_of(client) as caller:
        caller.h2.send_headers(5, asks("/ip"), end_stream=True)
        await caller.flush()
        await caller.until(h2.events.StreamEnded)
        await caller.say(frame(HEADERS, END_HEADERS | END_STREAM, 3, caller.h2.encoder.encode(asks("/ip"))))
        [last] = [one for one in split(await caller.end()) if one.kind == GOAWAY]
        assert last.payload[4:8] == ErrorCodes.PROTOCOL_ERROR.to_bytes(4)
        assert len(client.lines) == 1


async def test_a_drain_says_goaway_and_finishes(certificates: Mapping[str, CertificateFiles]) -> None:
    go_on = asyncio.Event()
    async with pair(certificates) as (client, server, at), TcpApp(after(go_on), at.app, at.port):
        async with client_of(client) as caller, asyncio.TaskGroup() as tasks:
            caller.h2.send_headers(1, asks("/ip"), end_stream=True)
            await caller.flush()
            await eventually(lambda: server.plane.connections.busy > 0, "under way")
            drained = tasks.create_task(client.plane.drain(5.0))
            farewell = await caller.until(h2.events.ConnectionTerminated)
            assert farewell.error_code == ErrorCodes.NO_ERROR
            go_on.set()
            rest = list(split(await caller.end()))  # h2 itself takes nothing more behind a farewell
            [answer] = [frame for frame in rest if frame.kind == HEADERS]
            assert (answer.stream_id, bool(answer.flags & END_STREAM)) == (1, True)
        assert drained.result()
