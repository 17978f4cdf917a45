"""A strict HTTP/2 peer: python-hyper's h2 with every check on, over TLS. It raises at whatever breaks the RFC."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events

if TYPE_CHECKING:
    import ssl


class StrictPeer:
    """One end of a connection with RFC 9113's own small default windows; `heard` collects payload by stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, client_side: bool) -> None:
        self._reader, self._writer = reader, writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=client_side))
        self.heard: dict[int, bytearray] = {}
        self.events: list[h2.events.Event] = []
        self.h2.initiate_connection()

    @classmethod
    async def dial(cls, host: str, port: int, context: ssl.SSLContext) -> StrictPeer:
        reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname="")
        return cls(reader, writer, client_side=True)

    async def flush(self) -> None:
        self._writer.write(self.h2.data_to_send())
        await self._writer.drain()

    async def until(self, kind: type[h2.events.Event], stream: int | None = None) -> h2.events.Event:
        """Read on to the first event of this kind (on `stream`); h2 raises at the first fault of the peer."""
        while True:
            for position, event in enumerate(self.events):
                if isinstance(event, kind) and stream in (None, getattr(event, "stream_id", None)):
                    del self.events[: position + 1]
                    return event
            self.events.clear()
            await self._read()

    async def send_all(self, stream: int, content: bytes) -> None:
        """Send `content` as the peer's windows allow, then END_STREAM."""
        while content:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room <= 0:
                await self._read()
                continue
            self.h2.send_data(stream, content[:room])
            content = content[room:]
            await self.flush()
        self.h2.end_stream(stream)
        await self.flush()

    def close(self) -> None:
        self._writer.transport.abort()

    async def _read(self) -> None:
        await self.flush()
        received = await self._reader.read(65536)
        assert received, "the peer ended the connection"
        for event in self.h2.receive_data(received):
            if isinstance(event, h2.events.DataReceived):
                self.heard.setdefault(event.stream_id, bytearray()).extend(event.data)
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.events.append(event)
        await self.flush()
