"""Whatever else ends meanwhile, each wait ends as itself, cancelled or failed. Compiled coroutines may confuse them.

mypyc keeps the exception that is being handled with the thread, not with the coroutine (docs/decisions/0023).
"""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hbone_py.aio.reactor import Reactor
from mesh_py.exchange.body import Body
from mesh_py.exchange.downstream import Downstream
from mesh_py.exchange.exchange import Exchange
from mesh_py.exchange.replay import Replay
from mesh_py.exchange.upstream import Call, Upstream
from mesh_py.http.codec_h1 import H1Client, H1Server
from mesh_py.http.errors import HttpError, UpstreamReset
from mesh_py.http.messages import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Wait = Coroutine[Any, Any, object]


def a_body() -> tuple[Wait, Callable[[HttpError], None]]:
    body = Body(lambda _: None)
    return body.read(), body.fail


def a_replay() -> tuple[Wait, Callable[[HttpError], None]]:
    body = Body(lambda _: None)
    return Replay(body).read(), body.fail


def a_call() -> tuple[Wait, Callable[[HttpError], None]]:
    call = Call(Upstream(nowhere(), H1Client(), lambda _: None))
    return call.response(), call.failed


def an_exchange() -> tuple[Wait, Callable[[HttpError], None]]:
    """Its work fails; it raises that no further, since there is an answer in its place."""
    nobody: Any = None
    connection = Downstream(nowhere(), H1Server(), nobody, Reactor.current().wheel)
    exchange = Exchange(connection, 1, HttpRequest("GET", "/", "web"), ended=True)
    body = Body(lambda _: None)

    async def work() -> None:
        await body.read()

    async def run() -> None:
        await exchange.run(work)
        if exchange.error is not None:
            raise exchange.error

    return run(), body.fail


def nowhere() -> Any:
    """A stream on which nothing comes and goes."""
    return SimpleNamespace(send_now=len, abort=lambda: None, local_address=("127.0.0.1", 9))


async def end_of(wait: Wait) -> BaseException | None:
    try:
        await wait
    except (HttpError, asyncio.CancelledError) as error:
        return error
    return None


@pytest.mark.parametrize("make", [a_body, a_replay, a_call, an_exchange])
async def test_each_ends_as_itself(make: Callable[[], tuple[Wait, Callable[[HttpError], None]]]) -> None:
    waits = [make() for _ in range(6)]
    errors = [UpstreamReset(f"failure {number}") for number in range(6)]
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        tasks = [group.create_task(end_of(wait)) for wait, _ in waits]
        await asyncio.sleep(0)
        for number, (task, (_, fail)) in enumerate(zip(tasks, waits, strict=True)):
            if number % 2:
                fail(errors[number])
            else:
                task.cancel()
    ends = [task.result() for task in tasks]
    assert ends[1::2] == errors[1::2]
    assert [type(end) for end in ends[::2]] == [asyncio.CancelledError] * 3
    assert sys.exc_info() == (None, None, None)
