"""A small httpbin: what it is asked for, it answers, and it remembers who asked.

    python -m lab_py.apps.httpbin --host 127.0.1.1 --port 8000

The answers have the shape of the well-known httpbin service, so that habits and curl lines carry over.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from aiohttp import web

from lab_py.apps import serving
from lab_py.apps.caller_record import Call, CallerRecord, joined, timestamp
from lab_py.apps.payload import deterministic_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiohttp.typedefs import Handler

MAX_BYTES = 100 << 20
MAX_SECONDS = 60.0
MAX_EVENTS = 10_000
DRAIN_SECONDS = 5.0
"""How long open requests may finish after SIGTERM."""

N = TypeVar("N", int, float)
NAME = web.AppKey("NAME", str)
RECORD = web.AppKey("RECORD", CallerRecord)
SILENT = frozenset({"/record", "/healthz"})
"""Paths that questions to the witness use; they are not calls themselves."""

INDEX = """\
/ip  /headers  /get  /anything  /hostname  /healthz
/bytes/N?seed=S     N bytes, the same for the same seed
/delay/N            answers after N seconds, 60 at most
/status/N           answers with that status, 200 to 599
/echo               any method: the body comes back while it arrives
/sse?count=5&interval=0.1     server-sent events
/record?token=T     who called, with T in the path or a header
"""


def make_app(name: str, record: CallerRecord) -> web.Application:
    """The application, to be run by whoever has a loop.

    :param name: what ``/hostname`` answers.
    """
    app = web.Application(middlewares=[_let_go, _remember], client_max_size=MAX_BYTES)
    app[NAME] = name
    app[RECORD] = record
    app.router.add_get("/", _index)
    app.router.add_get("/ip", _ip)
    app.router.add_get("/headers", _headers)
    app.router.add_get("/get", _anything)
    app.router.add_route("*", "/anything", _anything)
    app.router.add_get("/bytes/{count}", _bytes)
    app.router.add_route("*", "/delay/{seconds}", _delay)
    app.router.add_route("*", "/status/{code}", _status)
    app.router.add_route("*", "/echo", _echo)
    app.router.add_get("/sse", _sse)
    app.router.add_get("/stream", _sse)
    app.router.add_get("/hostname", _hostname)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/record", _record)
    return app


@contextlib.asynccontextmanager
async def serve(host: str, port: int, name: str, record: CallerRecord) -> AsyncIterator[serving.Address]:
    """Serve until the context ends; its value is the bound address (port 0 takes any free one).

    :raises OSError: the address cannot be bound.
    """
    runner = web.AppRunner(make_app(name, record), access_log=None, shutdown_timeout=DRAIN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound_host, bound_port = runner.addresses[0][:2]
        yield bound_host, bound_port
    finally:
        await runner.cleanup()
        record.close()


@web.middleware
async def _let_go(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A client that leaves in the middle is no error of ours, nor worth a traceback."""
    try:
        return await handler(request)
    except ConnectionError:
        return web.Response()  # to nobody


@web.middleware
async def _remember(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Write the call down before it is answered: whoever has an answer finds it in the record."""
    if request.path not in SILENT:
        request.app[RECORD].add(
            Call(
                time=timestamp(),
                peer=_end(request, "peername"),
                local=_end(request, "sockname"),
                method=request.method,
                path=request.path_qs,
                headers=_received(request),
            )
        )
    return await handler(request)


async def _index(request: web.Request) -> web.Response:
    return web.Response(text=INDEX)


async def _ip(request: web.Request) -> web.Response:
    return web.json_response({"origin": _origin(request)})


async def _headers(request: web.Request) -> web.Response:
    return web.json_response({"headers": _received(request)})


async def _anything(request: web.Request) -> web.Response:
    body = await request.read()
    return web.json_response(
        {
            "args": joined(request.query.items()),
            "data": body.decode("utf-8", "replace"),
            "headers": _received(request),
            "method": request.method,
            "origin": _origin(request),
            "url": str(request.url),
        }
    )


async def _bytes(request: web.Request) -> web.StreamResponse:
    count = _number(request.match_info["count"], "count", 0, MAX_BYTES, int)
    seed = request.query.get("seed", "0")
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.content_length = count
    await response.prepare(request)
    for piece in deterministic_bytes(count, seed):
        await response.write(piece)
    await response.write_eof()
    return response


async def _delay(request: web.Request) -> web.Response:
    seconds = _number(request.match_info["seconds"], "seconds", 0.0, MAX_SECONDS, float)
    await asyncio.sleep(seconds)
    return await _anything(request)


async def _status(request: web.Request) -> web.Response:
    return web.Response(status=_number(request.match_info["code"], "code", 200, 599, int))


async def _echo(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": request.headers.get("Content-Type", "text/plain")})
    if request.content_length is not None:
        response.content_length = request.content_length
    await response.prepare(request)
    async for piece in request.content.iter_any():
        await response.write(piece)
    await response.write_eof()
    return response


async def _sse(request: web.Request) -> web.StreamResponse:
    count = _number(request.query.get("count", "5"), "count", 0, MAX_EVENTS, int)
    interval = _number(request.query.get("interval", "0.1"), "interval", 0.0, MAX_SECONDS, float)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    for number in range(count):
        if number:
            await asyncio.sleep(interval)
        event = f'id: {number}\nevent: tick\ndata: {{"event": {number}, "time": "{timestamp()}"}}\n\n'
        await response.write(event.encode())
    await response.write_eof()
    return response


async def _hostname(request: web.Request) -> web.Response:
    return web.json_response({"hostname": request.app[NAME]})


async def _healthz(request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _record(request: web.Request) -> web.Response:
    calls = request.app[RECORD].calls(request.query.get("token", ""))
    return web.json_response([asdict(call) for call in calls])


def _received(request: web.Request) -> dict[str, str]:
    """The headers in the spelling they arrived in, which aiohttp's own mapping may change."""
    return joined((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers)


def _origin(request: web.Request) -> str:
    """The caller's address as TCP tells it, without its port; no header is believed."""
    return _end(request, "peername").rpartition(":")[0].strip("[]")


def _end(request: web.Request, which: str) -> str:
    """One end of the request's connection, "ip:port"; empty when the connection has gone."""
    address = request.get_extra_info(which)
    if address is None:
        return ""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _number(text: str, what: str, least: N, most: N, kind: Callable[[str], N]) -> N:
    """The number in a path or query.

    :raises web.HTTPBadRequest: not a number, or outside the bounds.
    """
    try:
        number = kind(text)
        if least <= number <= most:  # NaN is not
            return number
    except ValueError:
        pass
    raise web.HTTPBadRequest(text=f"{what} must be a number from {least} to {most}, not {text!r}\n")


@click.command(help=__doc__)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, help="Port to listen on; 0 takes any free one.")
@click.option("--name", default="httpbin", show_default=True, help="What /hostname answers.")
@click.option("--record", type=click.Path(path_type=Path), help="Append every call to this file, as JSON lines.")
@click.option("--ready-fd", type=int, help="Write 'host port' to this file descriptor once clients may connect.")
def main(host: str, port: int, name: str, record: Path | None, ready_fd: int | None) -> None:
    """Run the application until SIGTERM."""
    serving.run(lambda: serve(host, port, name, CallerRecord(record)), "httpbin", ready_fd)


if __name__ == "__main__":
    main()
