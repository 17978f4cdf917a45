"""The fast lane towards servers of HTTP/2, which h2 plays: bodies within the windows, and calls side by side."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from h2 import events as h2_events
from h2.config import H2Configuration
from h2.connection import H2Connection

from hbone_py.aio.reactor import Reactor
from mesh_py.exchange.passage import Limits
from mesh_py.exchange.pool import Pool
from mesh_py.http.codec_h2 import H2Client
from mesh_py.http.retry import DEFAULT_POLICY, NO_RETRIES
from mesh_py.process.background import background
from tests.mesh_py.exchange.test_lane import Case, Handler, both, get, post, send
from tests.mesh_py.telemetry.test_requests import Taken
from tests.support.processes import eventually
from tests.support.tcp_apps import TcpApp

if TYPE_CHECKING:
    from tests.support.tcp_apps import Connection


class Echo:
    """Sends back what it got, for `/sink` its length, with a trailer; `/silent` never, `/later` behind the next.

    `/reset` is answered by a reset.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._one = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._bodies: dict[int, bytes] = {}
        self._paths: dict[int, str] = {}

    async def serve(self, connection: Connection) -> None:
        one = self._one
        one.initiate_connection()
        with contextlib.suppress(ConnectionError):
            await connection.send(one.data_to_send())
            while data := await connection.receive():
                for event in one.receive_data(data):
                    self._take(event)
                await connection.send(one.data_to_send())

    def _take(self, event: h2_events.Event) -> None:
        if isinstance(event, h2_events.RequestReceived):
            self._paths[event.stream_id] = dict(event.headers)[b":path"].decode()
            self._bodies[event.stream_id] = b""
        elif isinstance(event, h2_events.DataReceived):
            self._bodies[event.stream_id] += event.data
            self._one.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2_events.StreamEnded):
            path = self._paths[event.stream_id]
            self.seen.append(path)
            if path == "/reset":
                self._one.reset_stream(event.stream_id, 8)
            elif path not in ("/silent", "/later"):
                self._answer(event.stream_id)
                for stream in [stream for stream, path in self._paths.items() if path == "/later"]:
                    self._answer(stream)

    def _answer(self, stream: int) -> None:
        path, body = self._paths.pop(stream), self._bodies.pop(stream)
        if path == "/sink":
            body = str(len(body)).encode()
        status = "404" if path == "/missing" else "200"
        length = ("content-length", str(len(body)))
        self._one.send_headers(stream, [(":status", status), length], end_stream=not body)
        if body:
            for start in range(0, len(body), 16_384):
                self._one.send_data(stream, body[start : start + 16_384])
            self._one.send_headers(stream, [("x-trailer", "1")], end_stream=True)


async def echo(connection: Connection) -> None:
    await Echo().serve(connection)


ONCE = Limits(NO_RETRIES)


def case(*pieces: bytes, limits: Limits = ONCE) -> Case:
    return Case(pieces, limits, H2Client, echo)


CASES = {
    "no body": case(get("/ok"), get("/missing"), get("/ok", "HEAD")),
    "a short body": case(post("/ok", b"body"), post("/missing", b"lost"), post("/ok", b"again")),
    "as much as the windows take": case(post("/ok", bytes(60_000)), post("/ok", bytes(60_000))),
    "more than that": case(post("/ok", bytes(70_000)), get("/ok")),
    "much more than that": case(post("/sink", bytes(1_000_000)), get("/ok")),
    "a long body, and it is reset": case(post("/reset", bytes(300_000)), get("/ok")),
    "a chunked body": case(get("/ok", "POST", "Transfer-Encoding: chunked\r\n") + b"2\r\nhi\r\n0\r\n\r\n"),
    "a reset": case(get("/reset"), post("/reset", b"body"), get("/ok")),
    "tried again": case(post("/reset", b"body"), limits=Limits(DEFAULT_POLICY)),
    "over time": case(post("/silent", b"body"), get("/ok"), limits=Limits(NO_RETRIES, whole=0.05)),
    "an attempt over time": case(get("/silent"), get("/ok"), limits=Limits(NO_RETRIES, attempt=0.05)),
}


@pytest.mark.parametrize("given", CASES.values(), ids=CASES.keys())
async def test_nobody_can_tell_the_lanes_apart(given: Case) -> None:
    assert (await both(given)).lines


async def test_short_bodies_and_calls_side_by_side_go_without_a_task() -> None:
    pool, taken, server = Pool(Reactor.current().wheel), Taken(), Echo()
    async with TcpApp(server.serve) as app, background(pool.serve()):
        await asyncio.sleep(0)
        handler = Handler(taken, pool, (app.host, app.port), Limits(NO_RETRIES))
        handler.codec = H2Client
        await send(handler, (get("/ok"),))
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(send(handler, (get("/later"),)))
            await eventually(lambda: server.seen == ["/ok", "/later"], "asked")
            await send(handler, (post("/ok", b"body"), get("/ok")))
        assert len(pool) == 1
        await send(handler, (post("/sink", bytes(300_000)), get("/ok")))
    assert handler.tasks == ["GET /ok"] + [""] * 5
