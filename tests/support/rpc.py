"""A small gRPC service for tests of transports, once on our server and once on grpcio's, and a client's view of it.

test.Talk/Say    unary: the text it was sent, and who sent it
test.Talk/Chat   both ways: every text comes back
test.Talk/Hang   takes the call and does not answer before `gate` opens
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.wrappers_pb2 import StringValue
from grpclib.client import StreamStreamMethod, UnaryUnaryMethod
from grpclib.const import Cardinality, Handler

from hbone_py.tls import Credentials, TlsSettings
from mesh_py.rpc.contexts import server_context
from mesh_py.rpc.endpoint import Address, Endpoint
from mesh_py.rpc.peer import peer_of
from mesh_py.rpc.roots import Roots
from mesh_py.rpc.server import RpcServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from grpclib.client import Channel

    from mesh_py.rpc.server import ServerLimits
    from tests.support.certificates import CertificateFiles

SAY, CHAT, HANG = "/test.Talk/Say", "/test.Talk/Chat", "/test.Talk/Hang"


class Talk:
    """The service for our server. `hanging` counts calls of Hang that run now, `cancelled` those that were ended."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.hanging = 0
        self.most_hanging = 0
        self.cancelled = 0

    def __mapping__(self) -> dict[str, Handler]:
        return {
            SAY: Handler(self.say, Cardinality.UNARY_UNARY, StringValue, StringValue),
            CHAT: Handler(self.chat, Cardinality.STREAM_STREAM, StringValue, StringValue),
            HANG: Handler(self.hang, Cardinality.UNARY_UNARY, StringValue, StringValue),
        }

    async def say(self, stream: Any) -> None:
        message = await stream.recv_message()
        who = [str(identity) for identity in peer_of(stream).identities]
        metadata = {key: value for key, value in stream.metadata.items() if isinstance(value, str)}
        await stream.send_message(StringValue(value=json.dumps([message.value, who, metadata])))

    async def chat(self, stream: Any) -> None:
        async for message in stream:
            await stream.send_message(message)

    async def hang(self, stream: Any) -> None:
        self.hanging += 1
        self.most_hanging = max(self.most_hanging, self.hanging)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.hanging -= 1
        await stream.send_message(StringValue())


def say(channel: Channel) -> UnaryUnaryMethod[StringValue, StringValue]:
    return UnaryUnaryMethod(channel, SAY, StringValue, StringValue)


def chat(channel: Channel) -> StreamStreamMethod[StringValue, StringValue]:
    return StreamStreamMethod(channel, CHAT, StringValue, StringValue)


def hang(channel: Channel) -> UnaryUnaryMethod[StringValue, StringValue]:
    return UnaryUnaryMethod(channel, HANG, StringValue, StringValue)


async def said(channel: Channel, text: str = "hello") -> list[Any]:
    """One call of Say: the text, who we are to the server, our metadata there."""
    answer = await say(channel)(StringValue(value=text), timeout=10)
    return list(json.loads(answer.value))


class GrpcioTalk(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """The same service for grpcio's server."""

    def __init__(self) -> None:
        self.peers: list[str] = []

    def service(self, details: Any) -> Any:
        codec = {"request_deserializer": StringValue.FromString, "response_serializer": StringValue.SerializeToString}
        match details.method:
            case "/test.Talk/Say":
                return grpc.unary_unary_rpc_method_handler(self._say, **codec)
            case "/test.Talk/Chat":
                return grpc.stream_stream_rpc_method_handler(self._chat, **codec)
        return None

    def _say(self, message: StringValue, context: Any) -> StringValue:
        self.peers.append(context.peer())
        metadata = dict(context.invocation_metadata())
        return StringValue(value=json.dumps([message.value, [], metadata]))

    def _chat(self, messages: Any, context: Any) -> Iterator[StringValue]:
        yield from messages


@contextlib.contextmanager
def grpcio_server(*handlers: Any, address: str, credentials: Any | None = None, port: int = 0) -> Iterator[int]:
    """grpcio's own server with these handlers; gives its port."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(handlers)
    where = f"{address}:{port}"
    port = server.add_insecure_port(where) if credentials is None else server.add_secure_port(where, credentials)
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=0).wait()


def credentials_of(files: CertificateFiles) -> Credentials:
    return Credentials.from_files(files.chain, files.key, files.roots)


def endpoint_of(address: str, port: int, files: CertificateFiles, **more: Any) -> Endpoint:
    """A server of ours or of grpcio's, believed by the root of `files`."""
    return Endpoint(Address(address, port), Roots(str(files.roots)), **more)


@contextlib.asynccontextmanager
async def serving(
    address: str,
    files: CertificateFiles | None,
    *services: Any,
    limits: ServerLimits | None = None,
    tls: TlsSettings | None = None,
    send_buffer: int | None = None,
) -> AsyncIterator[tuple[RpcServer, int]]:
    """Our server and its port; without files in plaintext. `send_buffer`: what the kernel keeps for each client."""
    sock = socket.socket()
    if send_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    sock.bind((address, 0))
    port = sock.getsockname()[1]
    server = RpcServer(services or [Talk()], limits=limits)
    context = None if files is None else server_context(credentials_of(files), tls or TlsSettings())
    await server.listen(sock, None if context is None else lambda: context)
    try:
        yield server, port
    finally:
        await server.aclose()


def grpcio_credentials(files: CertificateFiles) -> Any:
    """What grpcio's server needs to be the server of `files`."""
    return grpc.ssl_server_credentials([(files.key.read_bytes(), files.chain.read_bytes())])
