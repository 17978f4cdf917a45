"""A control plane that does what a test says and records what it hears: delta discovery on grpcio's own server.

judge = DiscoveryJudge()
with grpcio_server(judge, address=address) as port:
    ...                                       # a client is told of the port
    stream = await judge.stream()             # its first stream
    await stream.heard(2)                     # its opening requests
    stream.say(ADDRESS, named("uid", encode_workload(w)), nonce="n1")
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
from envoy.service.discovery.v3 import discovery_pb2

from mesh_py.xds.types import ADDRESS, AUTHORIZATION, DELTA_DISCOVERY
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from google.protobuf.message import Message

Request: TypeAlias = discovery_pb2.DeltaDiscoveryRequest
Response: TypeAlias = discovery_pb2.DeltaDiscoveryResponse
Resource: TypeAlias = discovery_pb2.Resource


def named(name: str, message: Message | bytes, version: str = "1", aliases: Sequence[str] = ()) -> Resource:
    """A resource of this name; bytes stand for a message that is broken."""
    data = message if isinstance(message, bytes) else message.SerializeToString()
    resource = Resource(name=name, version=version, aliases=aliases)
    resource.resource.value = data
    return resource


class JudgedStream:
    """One stream, as the server sees it."""

    def __init__(self, metadata: Mapping[str, str]) -> None:
        self.metadata = metadata
        self.requests: list[Request] = []
        self.is_over = False
        self._said: queue.SimpleQueue[Response | tuple[Any, str] | None] = queue.SimpleQueue()

    def say(self, type_url: str, *resources: Resource, removed: Sequence[str] = (), nonce: str = "n") -> None:
        """Send a response."""
        self._said.put(Response(type_url=type_url, resources=resources, removed_resources=removed, nonce=nonce))

    def end(self, code: Any | None = None, text: str = "") -> None:
        """End the stream: in order, or with a status such as `grpc.StatusCode.UNAVAILABLE`."""
        self._said.put(None if code is None else (code, text))

    async def heard(self, count: int) -> list[Request]:
        """All requests so far, once there are as many."""
        await eventually(lambda: len(self.requests) >= count, f"{count} requests; there are {self.requests}")
        return self.requests

    def of_type(self, type_url: str) -> list[Request]:
        """What was said about one type."""
        return [request for request in self.requests if request.type_url == type_url]

    def listen(self, requests: Iterator[Request]) -> None:
        """Record until the client is gone."""
        try:
            for request in requests:
                self.requests.append(request)
        except grpc.RpcError:
            pass
        self.end()

    def talk(self, context: Any) -> Iterator[Response]:
        """What was said, until the end."""
        while (said := self._said.get()) is not None:
            if isinstance(said, tuple):
                self.is_over = True
                context.abort(*said)
            yield said
        self.is_over = True


class DiscoveryJudge(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """Serves delta discovery, one `JudgedStream` after another.

    With `mesh`, each type is answered at once with what it has there; without, the test says every word.
    """

    def __init__(self, mesh: Mapping[str, Sequence[Resource]] | None = None) -> None:
        self.streams: list[JudgedStream] = []
        self.mesh = mesh
        self.refuses_with: tuple[Any, str] | None = None
        """A status that new streams get instead of an answer."""

    async def stream(self, number: int = 1) -> JudgedStream:
        """The stream of that number, from 1."""
        await eventually(lambda: len(self.streams) >= number, f"stream number {number}")
        return self.streams[number - 1]

    def service(self, details: Any) -> Any:
        if details.method != DELTA_DISCOVERY:
            return None
        return grpc.stream_stream_rpc_method_handler(
            self._serve,
            request_deserializer=Request.FromString,
            response_serializer=Response.SerializeToString,
        )

    def _serve(self, requests: Iterator[Request], context: Any) -> Iterator[Response]:
        stream = JudgedStream(dict(context.invocation_metadata()))
        if self.refuses_with is not None:
            self.streams.append(stream)
            context.abort(*self.refuses_with)
        if self.mesh is not None:
            for type_url in (ADDRESS, AUTHORIZATION):
                stream.say(type_url, *self.mesh.get(type_url, ()), nonce="first")
        threading.Thread(target=stream.listen, args=(requests,), daemon=True).start()
        self.streams.append(stream)
        yield from stream.talk(context)
