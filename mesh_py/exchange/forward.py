"""One request carried to an upstream and its answer carried back: heads, bodies, trailers, 1xx, upgrades."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from mesh_py.http.errors import HttpError, UpstreamTimeout
from mesh_py.http.messages import accepts_tunnel

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh_py.exchange.exchange import Exchange
    from mesh_py.exchange.replay import Replay
    from mesh_py.exchange.upstream import Call
    from mesh_py.http.messages import HttpResponse


async def carry(
    exchange: Exchange, call: Call, body: Replay, judge: Callable[[HttpResponse], None], seconds: float | None
) -> None:
    """One attempt, both directions at once, until the answer is complete.

    Args:
        judge: sees the answer's head before anybody else, may change it, and raises to make another attempt.
        seconds: how long the answer's head may take; None: for ever.

    Raises HttpError: no answer, or an answer that is cut short.
    """
    sending = exchange.beside(_send(body, call)) if exchange.has_body else None
    try:
        response = await _head(call, seconds)
        judge(response)
        body.settle()
        await _answer(exchange, call, response)
        if sending is not None and accepts_tunnel(response.status, exchange.request):
            await sending  # the client's direction of a tunnel lives on
    finally:
        if sending is not None:
            sending.cancel()  # nobody reads the rest of the request once the answer is complete
        call.release()


async def _head(call: Call, seconds: float | None) -> HttpResponse:
    if seconds is None:
        return await call.response()
    try:
        async with asyncio.timeout(seconds):
            return await call.response()
    except TimeoutError:
        raise UpstreamTimeout("upstream has not answered in time") from None


async def _send(body: Replay, call: Call) -> None:
    """The request's body, as it comes, and its trailers. That it broke is told to the exchange, not here."""
    with contextlib.suppress(HttpError):
        while data := await body.read():
            await call.send(data)
        call.end(body.trailers)


async def _answer(exchange: Exchange, call: Call, response: HttpResponse) -> None:
    """The head that has come, then the body as it comes."""
    if not call.has_answer_body:
        exchange.send_response(response, ended=True)
        return
    exchange.send_response(response, follows=call.body.held > 0)
    while data := await call.body.read():
        await exchange.send(data)
    exchange.end(call.body.trailers)
