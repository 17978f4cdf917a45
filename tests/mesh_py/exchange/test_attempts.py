"""A request, attempt after attempt, from a real client to servers that fail in their own ways."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.dialling import connect_tcp
from hbone_py.aio.reactor import Reactor
from hbone_py.aio.tcp import SocketOptions
from hbone_py.aio.tcp_stream import TcpStream
from hbone_py.errors import HboneError
from mesh_py.exchange.downstream import Downstream
from mesh_py.exchange.lifetimes import serve
from mesh_py.exchange.passage import Limits, Outcome, Plan
from mesh_py.exchange.pool import Pool, PoolLimits
from mesh_py.exchange.replay import KEPT
from mesh_py.http.codec_h1 import H1Client, H1Server
from mesh_py.http.errors import HttpError, NoHealthyEndpoint, UpstreamFailure
from mesh_py.http.retry import DEFAULT_POLICY, NO_RETRIES, RetryPolicy
from mesh_py.process.background import background
from tests.mesh_py.exchange.servers import OK, answering
from tests.support.sockets import tcp_pair
from tests.support.tcp_apps import TcpApp

if TYPE_CHECKING:
    from mesh_py.exchange.exchange import Exchange
    from mesh_py.exchange.upstream import Upstream
    from mesh_py.exchange.wire import WireStream
    from mesh_py.http.codec import ClientCodec
    from mesh_py.http.messages import HttpResponse
    from tests.support.tcp_apps import Behaviour, Connection

GET = b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"
ON_503 = RetryPolicy(attempts=2, codes=frozenset({503}), resets=True, backoff=0.01)


def post(length: int) -> bytes:
    head = f"POST / HTTP/1.1\r\nHost: web\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    return head.encode() + bytes(length)


class Backend:
    """Servers in order: each is taken once, the last again and again."""

    def __init__(self, pool: Pool, servers: list[tuple[str, int]], *, budget: int = 10) -> None:
        self._pool, self._servers, self.budget = pool, servers, budget
        self.ends: list[tuple[int, int | None]] = []

    def choose(self, tried: frozenset[int]) -> int:
        if not self._servers:
            raise NoHealthyEndpoint("none")
        return next((one for one in range(len(self._servers)) if one not in tried), len(self._servers) - 1)

    def lease_now(self, target: int) -> Upstream | None:
        return self._pool.lease_now(target)

    async def lease(self, target: int) -> Upstream:
        async def dial() -> tuple[WireStream, ClientCodec]:
            sock = await connect_tcp(self._servers[target], SocketOptions(), 5)
            return TcpStream(Reactor.current(), sock), H1Client()

        try:
            return await self._pool.lease(target, dial, PoolLimits(), multiplexed=False)
        except HboneError as error:
            raise UpstreamFailure(str(error)) from error

    def begun(self, target: int) -> None:
        pass

    def ended(self, target: int, status: int | None) -> None:
        self.ends.append((target, status))

    def may_retry(self) -> bool:
        self.budget -= 1
        return self.budget >= 0

    def retried(self) -> None:
        self.budget += 1


async def leaves(connection: Connection) -> None:
    with contextlib.suppress(ConnectionError):
        await connection.receive()


async def busy(connection: Connection) -> None:
    await connection.receive()
    await connection.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy")


async def silent(connection: Connection) -> None:
    while await connection.receive():
        pass


async def half(connection: Connection) -> None:
    await connection.receive()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")


async def reads_all(connection: Connection) -> None:
    """Answers once the body has come as well."""
    seen = b""
    while len(seen.partition(b"\r\n\r\n")[2]) < KEPT // 2:
        seen += await connection.receive()
    await connection.send(OK)


class Asked:
    """What a client got, and what was done for it."""

    def __init__(self, backend: Backend) -> None:
        self.backend, self.outcome = backend, Outcome[int]()
        self.answer = b""
        self.was_reset = False


class Handler:
    """Forwards whatever comes."""

    def __init__(self, asked: Asked, limits: Limits) -> None:
        self.asked, self.limits = asked, limits

    def passage(self, exchange: Exchange) -> Passage:
        return Passage(self, exchange)


class Passage:
    """Marks every answer with its target."""

    def __init__(self, handler: Handler, exchange: Exchange) -> None:
        self._handler, self._exchange = handler, exchange

    def decide(self) -> Plan[int]:
        asked, limits = self._handler.asked, self._handler.limits
        return Plan(self._exchange.request, asked.backend, limits, asked.outcome, lambda: 0.0)

    def seen(self, response: HttpResponse, target: int) -> None:
        response.headers.add("x-target", str(target))

    def failed(self, error: HboneError) -> None:
        assert isinstance(error, HttpError)
        self._exchange.fail(error)

    def close(self) -> None:
        pass


async def ask(data: bytes, limits: Limits, *behaviours: Behaviour | None, budget: int = 10) -> Asked:
    """Send a client's bytes through to servers; None is a port where nobody listens."""
    pool = Pool(Reactor.current().wheel)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(background(pool.serve()))
        await asyncio.sleep(0)
        servers = []
        for behaviour in behaviours:
            app = await stack.enter_async_context(TcpApp(behaviour or silent))
            servers.append((app.host, app.port if behaviour is not None else 1))
        asked = Asked(Backend(pool, servers, budget=budget))

        near, far = tcp_pair()
        downstream = Downstream(
            TcpStream(Reactor.current(), far), H1Server(), Handler(asked, limits), Reactor.current().wheel
        )
        client = TcpStream(Reactor.current(), near)
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(serve(downstream))
            await client.send(data)
            try:
                while piece := await client.receive():
                    asked.answer += piece
            except HboneError:
                asked.was_reset = True
            await client.aclose()
            await serving
    return asked


def status(asked: Asked) -> int:
    return int(asked.answer.split()[1])


@pytest.mark.parametrize(
    ("first", "policy", "ends"),
    [
        pytest.param(None, DEFAULT_POLICY, [(0, None), (1, 200)], id="nobody listens"),
        pytest.param(busy, ON_503, [(0, 503), (1, 200)], id="an answer to be tried again on"),
        pytest.param(leaves, ON_503, [(0, None), (1, 200)], id="it leaves, and the route tries again"),
    ],
)
@pytest.mark.parametrize("data", [GET, post(KEPT // 2)], ids=["bare", "with a body"])
async def test_another_server_is_tried(
    first: Behaviour | None, policy: RetryPolicy, ends: list[tuple[int, int | None]], data: bytes
) -> None:
    second = answering if data == GET else reads_all
    asked = await ask(data, Limits(policy), first, second)
    assert (status(asked), asked.backend.ends, asked.outcome.tries) == (200, ends, 2)
    assert b"x-target: 1" in asked.answer.lower()
    assert asked.backend.budget == 10  # given back


@pytest.mark.parametrize("counts", [True, False], ids=["counted", "not counted"])
async def test_a_server_is_told_the_how_manyeth_try_it_is_where_tries_are_counted(counts: bool) -> None:
    heads: list[bytes] = []

    async def busy_and_notes(connection: Connection) -> None:
        heads.append(await connection.receive())
        await connection.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy")

    data = GET.replace(b"Connection", b"X-Envoy-Attempt-Count: 1\r\nConnection") if counts else GET
    await ask(data, Limits(ON_503), *[busy_and_notes] * 3)
    told = [re.findall(rb"x-envoy-attempt-count: (\d+)", head, re.IGNORECASE) for head in heads]
    assert told == ([[b"1"], [b"2"], [b"3"]] if counts else [[], [], []])


@pytest.mark.parametrize(
    ("data", "limits", "server", "budget", "expected", "flags"),
    [
        pytest.param(GET, Limits(NO_RETRIES), None, 10, 503, ["UF"], id="no retries"),
        pytest.param(GET, Limits(DEFAULT_POLICY), None, 10, 503, ["UF", "URX"], id="nobody anywhere"),
        pytest.param(GET, Limits(DEFAULT_POLICY), None, 0, 503, ["UF"], id="no budget"),
        pytest.param(GET, Limits(DEFAULT_POLICY), leaves, 10, 503, ["UC"], id="what it has done is not known"),
        pytest.param(GET, Limits(ON_503), busy, 10, 503, ["URX"], id="the last answer is the client's"),
        pytest.param(GET, Limits(NO_RETRIES, attempt=0.05), silent, 10, 504, ["UT"], id="an attempt's time"),
        pytest.param(GET, Limits(DEFAULT_POLICY, whole=0.05), silent, 10, 504, ["UT"], id="the whole time"),
        pytest.param(post(KEPT * 3), Limits(ON_503), busy, 10, 503, [], id="too long to be sent again"),
    ],
)
async def test_what_the_client_gets_in_the_end(
    data: bytes, limits: Limits, server: Behaviour | None, budget: int, expected: int, flags: list[str]
) -> None:
    asked = await ask(data, limits, server, budget=budget)
    assert (status(asked), asked.outcome.flags) == (expected, flags)


async def test_nobody_to_ask() -> None:
    asked = await ask(GET, Limits(DEFAULT_POLICY))
    assert (status(asked), asked.outcome.flags, asked.backend.ends) == (503, ["UH"], [])


async def test_half_an_answer_is_not_taken_for_a_whole_one() -> None:
    asked = await ask(GET, Limits(ON_503), half, answering)
    assert asked.was_reset
    assert asked.outcome.tries == 1
