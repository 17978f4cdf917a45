"""What stands behind sidecars in tests: httpbin with a WebSocket, and a gRPC service, in the test's own loop."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import grpc
from aiohttp import WSMsgType, web

from lab_py.apps import httpbin
from lab_py.apps.caller_record import CallerRecord

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def web_application(host: str, port: int, may_answer: asyncio.Event | None = None) -> AsyncIterator[CallerRecord]:
    """httpbin, `/ws`, which says back what it hears, and `/held`; the value is its record of callers.

    Args:
        may_answer: `/held` answers once it is set.
    """

    async def held(_: web.Request) -> web.Response:
        assert may_answer is not None
        await may_answer.wait()
        return web.Response()

    record = CallerRecord()
    app = httpbin.make_app("httpbin", record)
    app.router.add_get("/ws", _echo_socket)
    app.router.add_get("/held", held)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    try:
        yield record
    finally:
        await runner.cleanup()


async def _echo_socket(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            await socket.send_str(f"heard {message.data}")
        elif message.type == WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


class _Echo(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """`/test.Echo/Unary` says it back, `/test.Echo/Stream` each message as it comes, `/test.Echo/Fail` refuses."""

    def __init__(self, name: str) -> None:
        self._name = name

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        match details.method:
            case "/test.Echo/Unary":
                return grpc.unary_unary_rpc_method_handler(self._unary)
            case "/test.Echo/Stream":
                return grpc.stream_stream_rpc_method_handler(_stream)
            case "/test.Echo/Fail":
                return grpc.unary_unary_rpc_method_handler(_fail)
            case _:
                return None

    async def _unary(self, request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        context.set_trailing_metadata((("x-trailer", self._name),))
        return request


async def _stream(requests: AsyncIterator[bytes], _: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


async def _fail(_: bytes, context: grpc.aio.ServicerContext) -> bytes:
    await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today")
    raise AssertionError("abort raises")


@contextlib.asynccontextmanager
async def grpc_application(host: str, port: int, name: str = "behind") -> AsyncIterator[None]:
    """grpcio's own server. It says its name in the trailer `x-trailer`."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Echo(name),))
    server.add_insecure_port(f"{host}:{port}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(0.2)
