"""The fast lane against the slow one: the same requests and faults give the same answers, log lines and numbers."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hbone_py.aio.dialling import connect_tcp
from hbone_py.aio.reactor import Reactor
from hbone_py.aio.tcp import SocketOptions
from hbone_py.aio.tcp_stream import TcpStream
from hbone_py.errors import HboneError
from mesh_py.exchange import lane
from mesh_py.exchange.downstream import Downstream
from mesh_py.exchange.lifetimes import serve
from mesh_py.exchange.passage import Limits, Plan
from mesh_py.exchange.pool import Pool, PoolLimits
from mesh_py.http.codec_h1 import H1Client, H1Server
from mesh_py.http.errors import AccessDenied, UpstreamFailure
from mesh_py.http.retry import DEFAULT_POLICY, NO_RETRIES, RetryPolicy
from mesh_py.model.address import IpAddress
from mesh_py.process.background import background
from mesh_py.proxy.cluster import Pick
from mesh_py.proxy.journal import Journal, as_http_error
from mesh_py.proxy.ways import Endpoint, Plain
from tests.mesh_py.telemetry.test_requests import Taken
from tests.support.processes import eventually
from tests.support.sockets import tcp_pair
from tests.support.tcp_apps import TcpApp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mesh_py.exchange.exchange import Exchange
    from mesh_py.exchange.upstream import Upstream
    from mesh_py.exchange.wire import WireStream
    from mesh_py.http.codec import ClientCodec
    from mesh_py.http.messages import HttpResponse
    from tests.support.tcp_apps import Behaviour, Connection

    Sender = Callable[[str, bytes], bytes]

TRIES_AGAIN = Limits(RetryPolicy(attempts=2, codes=frozenset({503}), resets=True, backoff=0.0))
TWICE = RetryPolicy(attempts=1, resets=True, backoff=0.0)
LONG = 700_000
"""Bytes of an answer that no socket takes at once."""

# What the server does, by path: bytes, and whether it then closes the connection.
ANSWERS: dict[str, tuple[bytes, bool]] = {
    "/ok": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", False),
    "/empty": (b"HTTP/1.1 204 No Content\r\n\r\n", False),
    "/none": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", False),
    "/chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1\r\n!\r\n0\r\nx-t: 1\r\n\r\n",
        False,
    ),
    "/early": (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", False),
    "/missing": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nlost", False),
    "/busy": (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy", False),
    "/bare-busy": (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", False),
    "/last": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", True),
    "/open-ended": (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", True),
    "/half": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", True),
    "/nonsense": (b"nonsense\r\n\r\n", True),
    "/two-lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", True),
    "/cut": (b"", True),
    "/long": (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LONG + bytes(LONG), False),
    "/refused": (b"", False),
    "/silent": (b"", False),
    "/stuck": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", False),
}
ENDLESS = {"/silent", "/stuck"}
"""Nothing but a time limit ends those."""


class Case(NamedTuple):
    """What a client sends on one connection, piece by piece: the next once the answers so far have come."""

    pieces: tuple[bytes, ...]
    limits: Limits = Limits(DEFAULT_POLICY)
    codec: Callable[[], ClientCodec] = H1Client
    """What the server is spoken to in."""
    server: Behaviour | None = None
    """None: `server`."""


def get(path: str, method: str = "GET", more: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: web\r\nX-Request-Id: same\r\n{more}\r\n".encode()


def post(path: str, body: bytes, more: str = "") -> bytes:
    return get(path, "POST", f"Content-Length: {len(body)}\r\n{more}") + body


def chunked(path: str, body: bytes, trailers: str = "") -> bytes:
    pieces = [body[start : start + 5000] for start in range(0, len(body), 5000)]
    said = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return get(path, "POST", "Transfer-Encoding: chunked\r\n") + said + b"0\r\n" + trailers.encode() + b"\r\n"


class Handler:
    """What a role would do: an id, a line, a policy for one path, forwarding for all others."""

    def __init__(self, taken: Taken, pool: Pool, server: tuple[str, int], limits: Limits) -> None:
        self.taken, self.pool, self.server, self.limits = taken, pool, server, limits
        self.codec: Callable[[], ClientCodec] = H1Client
        self.ends: list[int | None] = []
        self.tasks: list[str] = []
        """By whom each request was served, in the order of their ends."""

    def passage(self, exchange: Exchange) -> Passage:
        return Passage(self, exchange)


class Passage:
    def __init__(self, handler: Handler, exchange: Exchange) -> None:
        self._handler, self._exchange = handler, exchange
        self._journal = Journal(handler.taken.telemetry, "source", exchange, "10.0.0.1:9", "10.0.0.2:80")

    def decide(self) -> Plan[Pick]:
        if self._exchange.request.path == "/refused":
            raise AccessDenied("not here")
        backend, limits = Backend(self._handler), self._handler.limits
        return Plan(self._exchange.request, backend, limits, self._journal.outcome, lambda: 0.0)

    def seen(self, response: HttpResponse, target: Pick) -> None:
        self._journal.answered(response)
        response.headers.set("x-seen", "1")

    def failed(self, error: HboneError) -> None:
        failure = as_http_error(error)
        self._journal.failed(failure)
        self._exchange.fail(failure)

    def close(self) -> None:
        task = asyncio.current_task()
        self._handler.tasks.append("" if task is None else task.get_name())
        self._journal.close()


class Backend:
    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._pick = Pick(Endpoint(Plain((IpAddress("10.0.0.2"), 80))))

    def choose(self, tried: frozenset[Pick]) -> Pick:
        return self._pick

    def lease_now(self, target: Pick) -> Upstream | None:
        return self._handler.pool.lease_now("server")

    async def lease(self, target: Pick) -> Upstream:
        handler = self._handler

        async def dial() -> tuple[WireStream, ClientCodec]:
            sock = await connect_tcp(handler.server, SocketOptions(), 5)
            return TcpStream(Reactor.current(), sock), handler.codec()

        try:
            is_multiplexed = handler.codec is not H1Client
            return await handler.pool.lease("server", dial, PoolLimits(), multiplexed=is_multiplexed)
        except HboneError as error:
            raise UpstreamFailure(str(error)) from error

    def begun(self, target: Pick) -> None:
        pass

    def ended(self, target: Pick, status: int | None) -> None:
        self._handler.ends.append(status)

    def may_retry(self) -> bool:
        return True

    def retried(self) -> None:
        pass


async def server(connection: Connection) -> None:
    """Answers each request, once it is whole, by its path. `/stale` is served only on a fresh connection."""
    seen, served = b"", 0
    with contextlib.suppress(ConnectionError):
        while data := await connection.receive():
            seen += data
            while (found := _whole_request(seen)) is not None:
                path, seen = found
                if path == "/stale" and served:
                    return
                served += 1
                answer, closes = ANSWERS.get(path, ANSWERS["/ok"])
                await connection.send(answer)
                if closes:
                    return


def _whole_request(seen: bytes) -> tuple[str, bytes] | None:
    head, end, rest = seen.partition(b"\r\n\r\n")
    if not end:
        return None
    length = re.search(rb"content-length: (\d+)", head)
    if b"transfer-encoding" in head:
        _, end, after = (b"\r\n" + rest).partition(b"\r\n0\r\n")
        _, end, after = (b"\r\n" + after).partition(b"\r\n\r\n") if end else (b"", b"", b"")
        return (head.split()[1].decode(), after) if end else None
    count = int(length[1]) if length else 0
    return (head.split()[1].decode(), rest[count:]) if len(rest) >= count else None


@dataclass
class Seen:
    """All that anybody outside can tell."""

    answers: list[bytes]
    ended: str
    lines: list[str]
    counts: list[tuple[object, ...]]
    ends: list[int | None]


async def converse(case: Case) -> Seen:
    """One client's connection, in front of a pool that holds a connection already."""
    pool = Pool(Reactor.current().wheel)
    taken = Taken()
    async with TcpApp(case.server or server) as app, background(pool.serve()):
        await asyncio.sleep(0)
        handler = Handler(taken, pool, (app.host, app.port), case.limits)
        handler.codec = case.codec
        await send(handler, (get("/ok"),))
        taken.lines.clear()
        handler.ends.clear()
        answers, ended = await send(handler, case.pieces)
    was_cut = any(" UC " in line for line in taken.lines)
    counts = _counts(taken, ["istio_requests"] if was_cut else ["istio_requests", "istio_response_bytes"])
    return Seen(answers, ended, [_timeless(line) for line in taken.lines], counts, handler.ends)


def _counts(taken: Taken, names: list[str]) -> list[tuple[object, ...]]:
    families = {family.name: family for family in taken.metrics.snapshot().families}
    return sorted((name, labels, *values) for name in names for labels, values in families[name].samples.items())


def _timeless(line: str) -> str:
    """Without times and ports, and without how much went out before a cut: that is a matter of time too."""
    line = re.sub(r" \d+ (\d+|-) \"-\" \"-\" \"same\"", " T T same", line[25:])
    line = re.sub(r"127\.0\.0\.1:\d+", "OURS", line)
    return re.sub(r" \d+ T T", " N T T", line) if " UC " in line else line


async def send(handler: Handler, pieces: tuple[bytes, ...]) -> tuple[list[bytes], str]:
    near, far = tcp_pair()
    downstream = Downstream(TcpStream(Reactor.current(), far), H1Server(), handler, Reactor.current().wheel)
    client = TcpStream(Reactor.current(), near)
    answers: list[bytes] = []
    ended = "kept"
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(serve(downstream))
        try:
            for piece in pieces:
                await client.send(piece)
                answers.append(await _answers(client, piece))
        except HboneError:
            ended = "reset"
        except EOFError as error:
            answers.append(error.args[0])
            ended = "closed"
        await client.aclose()
        await serving
    return [re.sub(rb"service-time: \d+", b"service-time: T", answer) for answer in answers], ended


async def _answers(client: TcpStream, piece: bytes) -> bytes:
    """As many as requests were sent. Raises EOFError with what has come."""
    wanted = len(re.findall(rb"^[A-Z]+ /\S* HTTP/1", piece, re.MULTILINE))
    is_head = piece.startswith(b"HEAD")
    seen = b""
    while _complete(seen, is_head=is_head) < wanted:
        data = await client.receive()
        if not data:
            raise EOFError(seen)
        seen += data
    return seen


def _complete(seen: bytes, *, is_head: bool) -> int:
    count = 0
    while b"\r\n\r\n" in seen:
        head, _, rest = seen.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if b"chunked" in head:
            _, end, rest = rest.partition(b"0\r\n")
            if not end or b"\r\n\r\n" not in b"\r\n" + rest:
                return count
            rest = (b"\r\n" + rest).partition(b"\r\n\r\n")[2]
        elif length and not is_head:
            if len(rest) < int(length[1]):
                return count
            rest = rest[int(length[1]) :]
        count += not head.startswith(b"HTTP/1.1 1")
        seen = rest
    return count


@contextlib.contextmanager
def closed_lane() -> Iterator[None]:
    lane.IS_OPEN = False
    try:
        yield
    finally:
        lane.IS_OPEN = True


async def both(case: Case) -> Seen:
    fast = await converse(case)
    with closed_lane():
        slow = await converse(case)
    assert fast == slow
    return fast


CASES = {
    **{path: Case((get(path),)) for path in ANSWERS if path not in ENDLESS},
    **{f"{path}, then another": Case((get(path), get("/ok"))) for path in ("/ok", "/chunked", "/last", "/missing")},
    **{f"{path}, tried again": Case((get(path),), TRIES_AGAIN) for path in ("/busy", "/bare-busy", "/cut", "/half")},
    "a kept connection that is gone": Case((get("/ok"), get("/stale"), get("/ok"))),
    "HEAD": Case((get("/ok", "HEAD"), get("/ok"))),
    "a short body": Case((post("/ok", b"body"), post("/missing", b""))),
    "a short body, tried again": Case((post("/busy", b"body"),), TRIES_AGAIN),
    "a chunked body": Case((get("/ok", "POST", "Transfer-Encoding: chunked\r\n") + b"2\r\nhi\r\n0\r\n\r\n",)),
    "a long body": Case((post("/ok", bytes(300_000)), get("/ok"))),
    "a body in two pieces": Case((post("/ok", b"body", "Expect: 100-continue\r\n"),)),
    "a long chunked body": Case((chunked("/ok", bytes(300_000), "x-t: 1\r\n"), get("/ok"))),
    "a long body, and a long answer": Case((post("/long", bytes(300_000)), get("/ok"))),
    "a long body, tried again in vain": Case((post("/busy", bytes(300_000)),), TRIES_AGAIN),
    "a body just short enough to be tried again": Case((post("/busy", bytes(65_536)),), TRIES_AGAIN),
    "a long body, and nobody listens": Case((post("/cut", bytes(300_000)), get("/ok")), Limits(NO_RETRIES)),
    "a long body, and time is over": Case((post("/silent", bytes(300_000)),), Limits(NO_RETRIES, whole=0.1)),
    "pipelined": Case((get("/ok") + get("/missing") + get("/refused") + get("/ok"),)),
    "many refused at once": Case((get("/refused") * 100,)),
    "the last one": Case((get("/ok", more="Connection: close\r\n"),)),
    "HTTP/1.0": Case((b"GET /ok HTTP/1.0\r\nHost: web\r\nX-Request-Id: same\r\n\r\n",)),
    "nonsense from the client": Case((get("/ok"), b"GET /ok HTTP/1.1\r\nno colon\r\n\r\n")),
    "time limits": Case((get("/ok"), get("/chunked"), post("/ok", b"x")), Limits(DEFAULT_POLICY, 5.0, attempt=4.0)),
    "a time limit, and the client reads slowly": Case((get("/long"), get("/ok")), Limits(DEFAULT_POLICY, whole=5.0)),
    "time is over before an answer": Case((get("/silent"), get("/ok")), Limits(TWICE, whole=0.15)),
    "time is over with a body": Case((post("/silent", b"body"),), Limits(NO_RETRIES, whole=0.05)),
    "time is over within the answer": Case((get("/stuck"),), Limits(TWICE, whole=0.15)),
    "time is over after the answer": Case((get("/ok"), get("/silent")), Limits(NO_RETRIES, whole=0.15)),
    "an attempt's time is over": Case((get("/silent"), get("/ok")), Limits(NO_RETRIES, attempt=0.15)),
    "an attempt's time is over, twice": Case((get("/silent"),), Limits(TWICE, whole=5.0, attempt=0.05)),
    "an attempt's time ends with the head": Case((get("/stuck"),), Limits(TWICE, whole=0.2, attempt=0.1)),
    "the whole is shorter than an attempt": Case((get("/silent"),), Limits(TWICE, whole=0.05, attempt=0.2)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_nobody_can_tell_the_lanes_apart(case: Case) -> None:
    assert (await both(case)).lines


REQUESTS = st.builds(
    get, st.sampled_from(sorted(ANSWERS.keys() - {"/long"} - ENDLESS)), st.sampled_from(["GET", "HEAD"])
)
SENDERS = st.sampled_from([post, chunked])
PLACES = ["/ok", "/busy", "/cut", "/stale", "/chunked"]
BODIES = st.tuples(SENDERS, st.sampled_from([*PLACES, "/refused"]), st.integers(0, 50))
LONG_BODIES = st.tuples(SENDERS, st.sampled_from(PLACES), st.integers(50_000, 400_000))


LIMITS = st.sampled_from([Limits(DEFAULT_POLICY), TRIES_AGAIN, Limits(TWICE, whole=5.0), Limits(TWICE, attempt=5.0)])


@given(st.lists(REQUESTS | BODIES | LONG_BODIES, min_size=1, max_size=5), LIMITS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_nor_by_any_conversation(said: list[bytes | tuple[Sender, str, int]], limits: Limits) -> None:
    pieces = [one if isinstance(one, bytes) else one[0](one[1], bytes(one[2])) for one in said]
    asyncio.run(both(Case(tuple(pieces), limits)))


@pytest.mark.parametrize("limits", [Limits(DEFAULT_POLICY), Limits(TWICE, whole=5.0, attempt=4.0)], ids=["", "timed"])
async def test_what_goes_without_a_task(limits: Limits) -> None:
    pool, taken = Pool(Reactor.current().wheel), Taken()
    async with TcpApp(server) as app, background(pool.serve()):
        await asyncio.sleep(0)
        handler = Handler(taken, pool, (app.host, app.port), limits)
        await send(handler, (get("/ok"), get("/missing"), post("/ok", b"body"), get("/chunked"), get("/ok")))
        await send(handler, (post("/ok", bytes(LONG)), chunked("/ok", bytes(LONG)), get("/long"), get("/ok", "HEAD")))
    assert handler.tasks == ["GET /ok"] + [""] * 8  # for the first there was no connection


@pytest.mark.parametrize("limits", [Limits(DEFAULT_POLICY), Limits(TWICE, whole=5.0, attempt=4.0)], ids=["", "timed"])
async def test_a_client_that_leaves_is_let_go(limits: Limits) -> None:
    async def silent(connection: Connection) -> None:
        await connection.receive()
        await connection.send(ANSWERS["/ok"][0])
        while await connection.receive():
            pass

    pool, taken = Pool(Reactor.current().wheel), Taken()
    async with TcpApp(silent) as app, background(pool.serve()):
        await asyncio.sleep(0)
        handler = Handler(taken, pool, (app.host, app.port), limits)
        await send(handler, (get("/ok"),))
        near, far = tcp_pair()
        downstream = Downstream(TcpStream(Reactor.current(), far), H1Server(), handler, Reactor.current().wheel)
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            tasks.create_task(serve(downstream))
            client = TcpStream(Reactor.current(), near)
            await client.send(get("/ok"))
            await eventually(lambda: not downstream.is_idle, "the request")
            await client.aclose()
        assert not Reactor.current().wheel.pending, "a deadline of nobody"
    assert handler.ends == [200, None]
    assert " 0 DC " in taken.lines[-1]


async def test_a_piece_of_an_answer_does_not_wait_for_the_next() -> None:
    steps = [asyncio.Event(), asyncio.Event()]

    async def step_by_step(connection: Connection) -> None:
        await connection.receive()
        await connection.send(ANSWERS["/ok"][0])
        await connection.receive()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\none")
        for step, piece in zip(steps, (b" two", b" end"), strict=True):
            await step.wait()
            await connection.send(piece)
        await connection.receive()

    pool, taken = Pool(Reactor.current().wheel), Taken()
    async with TcpApp(step_by_step) as app, background(pool.serve()):
        await asyncio.sleep(0)
        handler = Handler(taken, pool, (app.host, app.port), Limits(DEFAULT_POLICY))
        await send(handler, (get("/ok"),))
        near, far = tcp_pair()
        downstream = Downstream(TcpStream(Reactor.current(), far), H1Server(), handler, Reactor.current().wheel)
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            tasks.create_task(serve(downstream))
            client, seen = TcpStream(Reactor.current(), near), b""
            await client.send(get("/ok"))
            for step, so_far in zip([*steps, None], (b"one", b"one two", b"one two end"), strict=True):
                while not seen.endswith(b"\r\n\r\n" + so_far):
                    seen += await client.receive()
                if step is not None:
                    step.set()
            await client.aclose()
