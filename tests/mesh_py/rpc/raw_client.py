"""A client of gRPC frame by frame: h2 on a socket, which says also what no client would."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import TYPE_CHECKING

from google.protobuf.wrappers_pb2 import StringValue
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from hyperframe.frame import SettingsFrame

from tests.support.rpc import SAY

if TYPE_CHECKING:
    from h2.events import Event

REQUEST = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", SAY),
    (":authority", "istiod"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]
SECONDS = 10.0
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0).serialize()


class RawClient:
    """h2 on a socket, without its own checks on what goes out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        config = H2Configuration(client_side=True, validate_outbound_headers=False, normalize_outbound_headers=False)
        self.h2 = H2Connection(config)
        self.h2.initiate_connection()
        self.events: list[Event] = []
        self.is_ended = False

    def flush(self, more: bytes = b"") -> None:
        self.writer.write(self.h2.data_to_send() + more)

    async def until(self, kind: type[Event], stream: int | None = None) -> Event:
        """The next event of that kind."""
        async with asyncio.timeout(SECONDS):
            while True:
                for event in self.events:
                    if isinstance(event, kind) and stream in (None, getattr(event, "stream_id", None)):
                        self.events.remove(event)
                        return event
                await self.hear()

    async def hear(self) -> None:
        data = await self.reader.read(65536)
        assert data, f"the server has left; so far: {self.events}"
        self.events += self.h2.receive_data(data)
        self.flush()

    async def ended(self) -> list[Event]:
        """Everything up to the server's end of the connection."""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(SECONDS):
                while data := await self.reader.read(65536):
                    self.events += self.h2.receive_data(data)
        return self.events

    def call(self, headers: list[tuple[str, str]] | None = None, body: bytes | None = None) -> int:
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, REQUEST if headers is None else headers)
        if body is not None:
            self.h2.send_data(stream, body, end_stream=True)
        self.flush()
        return stream

    async def answer(self, stream: int) -> dict[str, str]:
        """All headers of the answer, trailers included."""
        found: dict[str, str] = {}
        async with asyncio.timeout(SECONDS):
            while True:
                for event in [event for event in self.events if getattr(event, "stream_id", 0) == stream]:
                    self.events.remove(event)
                    match event:
                        case ResponseReceived() | TrailersReceived():
                            found |= {_text(key): _text(value) for key, value in event.headers}
                        case DataReceived():
                            found["body"] = event.data.decode("latin-1")
                        case StreamEnded() | StreamReset():
                            return found
                await self.hear()


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()


def message(text: str) -> bytes:
    body = StringValue(value=text).SerializeToString()
    return struct.pack(">BI", 0, len(body)) + body
