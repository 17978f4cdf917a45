"""TunnelStream: one tunnel as a ByteStream, on the connection it shares with others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hbone_py.aio.stream import RECEIVE_SIZE, Waiter
from hbone_py.errors import ErrorCode, HboneError, StreamEnded, StreamReset, TunnelRefused

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from hbone_py import events as ev
    from hbone_py.aio.client import Connection
    from hbone_py.aio.peer import Peer
    from hbone_py.aio.tcp import SocketAddress
    from hbone_py.aio.wheel import Timer
    from hbone_py.header_blocks import HeaderList
    from hbone_py.streams import Stream

_AT_ONCE = 16 * 1024
"""A message of a tunnel up to this size goes to a reader that is called, past the stream's window."""
LEFTOVER_SECONDS = 30.0
"""How long what arrived on a connection that is lost waits for its reader."""


def _joined(held: deque[bytearray | memoryview], most: int) -> bytes:
    """A copy of what comes first, as many pieces as fit: what a reader does for each may cost more than a copy."""
    first = held[0]
    if len(first) >= most or len(held) == 1:
        return bytes(memoryview(first)[:most])
    pieces: list[bytearray | memoryview] = []
    for piece in held:
        most -= len(piece)
        if most < 0:
            break
        pieces.append(piece)
    return b"".join(pieces)


class TunnelStream:
    """One tunnel as a ByteStream. Received bytes wait in the stream's window until they are asked for.

    One short message does not: a reader that is called (`on_data`) has it in this very batch.
    """

    def __init__(self, peer: Peer, stream: Stream) -> None:
        self.peer = peer
        self.response_headers: HeaderList = []
        """Client: what came with the 200."""
        self.carrier: Connection | None = None
        """A connection of the tunnel's own, which closes with it."""
        self.on_room: Callable[[], None] | None = None
        """Called when there is room again (`send_now`)."""
        self.on_data: Callable[[], None] | None = None
        """Called when `receive_now` may have something, in place of waking whoever waits in `receive`."""
        self._stream = stream
        self._message = b""  # it came before all that the stream holds
        self._error: HboneError | None = None
        self._leftover: Timer | None = None
        self._readable = Waiter()
        self._writable = Waiter()
        stream.owner = self
        stream.sink = self._arrived

    @property
    def stream_id(self) -> int:
        """The HTTP/2 stream."""
        return self._stream.stream_id

    @property
    def local_address(self) -> SocketAddress:
        """Our end of the TCP connection that carries it. Raises OSError once that is closed."""
        return self.peer.transport.local_address

    async def opened(self) -> None:
        """Client: wait for the 200. Raises TunnelRefused, or what ended the stream."""
        while not self._stream.answered or self._error:
            if self._error:
                raise self._error
            await self._readable.wait()

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        """Some bytes, or b"" at the end. Raises StreamReset or ConnectionLost when bytes may be missing."""
        while (piece := self.receive_now(max_bytes)) is None:
            await self._readable.wait()
        return piece

    def receive_now(self, max_bytes: int = RECEIVE_SIZE) -> bytes | None:
        """The same without waiting: None if nothing is there yet; `on_data` tells when to ask again."""
        stream = self._stream
        if message := self._message:
            self._message = message[max_bytes:]
            return message[:max_bytes]
        if not stream.unread:
            if self._error:
                raise self._error
            return None if stream.remote_open else b""
        piece = _joined(stream.held, max_bytes)
        self.peer.engine.consumed(stream, len(piece))
        self.peer.reactor.touch(self.peer)
        return piece

    async def peek(self, more_than: int = 0, max_bytes: int = RECEIVE_SIZE) -> bytes:
        """What has arrived, left in the window, once that is more than `more_than` bytes; less at the end."""
        stream = self._stream
        while stream.unread <= more_than and stream.remote_open:
            if self._error:
                raise self._error
            await self._readable.wait()
        return b"".join(stream.held)[:max_bytes]

    def peek_now(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        """What `receive_now` would give, left where it is; b"" if nothing is there."""
        if self._message:
            return self._message[:max_bytes]
        return _joined(self._stream.held, max_bytes) if self._stream.unread else b""

    def release(self) -> tuple[Peer, Stream]:
        """Give the tunnel to somebody else, who takes it over at once, with what it holds."""
        return self.peer, self._stream

    async def send(self, data: bytes | memoryview) -> None:
        """Raises StreamEnded after `send_eof`, StreamReset or ConnectionLost when the tunnel is gone."""
        view = memoryview(data)
        peer, stream = self.peer, self._stream
        while view:
            if self._error:
                raise self._error
            if not stream.local_open:
                raise StreamEnded(f"stream {stream.stream_id} takes no more data")
            if peer.is_stalled:
                peer.wait_writable(self)
                await self._writable.wait()
            elif count := peer.engine.send(stream, view[: 4 * RECEIVE_SIZE]):
                peer.reactor.touch(peer)
                view = view[count:]
                await asyncio.sleep(0)  # let the batch be written before more is queued
            else:
                await self._writable.wait()

    def send_now(self, data: bytes | memoryview) -> int:
        """How much of it found room at once; `on_room` tells when the rest may. Raises as `send`."""
        peer, stream = self.peer, self._stream
        if self._error:
            raise self._error
        if not stream.local_open:
            raise StreamEnded(f"stream {stream.stream_id} takes no more data")
        if peer.is_stalled:
            peer.wait_writable(self)
            return 0
        count = peer.engine.send(stream, data)
        if count < len(data):
            peer.engine.sendable(stream)  # asks to be told when the window opens
        peer.reactor.touch(peer)
        return count

    async def send_eof(self) -> None:
        """END_STREAM."""
        if self._error:
            raise self._error
        self.peer.engine.end(self._stream)
        self.peer.reactor.touch(self.peer)

    async def aclose(self) -> None:
        """END_STREAM; if the other side still talks, RST_STREAM(NO_ERROR) behind it.

        All that was sent counts, and nobody listens any more (RFC 9113 section 8.1).
        """
        if not self.peer.is_closed:
            self.peer.engine.end(self._stream)
        self._let_go(ErrorCode.NO_ERROR, StreamEnded("the stream is closed"))
        if self.carrier is not None:
            await self.carrier.aclose()

    def abort(self, code: ErrorCode | Exception | None = None) -> None:
        """RST_STREAM. An error, which is what the reactor gives, stands for no code in particular."""
        if not isinstance(code, ErrorCode):
            code = ErrorCode.CONNECT_ERROR if self.peer.is_client else ErrorCode.INTERNAL_ERROR
        self._let_go(code, StreamReset(code, by_peer=False))
        if self.carrier is not None:
            self.peer.close()

    def _let_go(self, code: ErrorCode, error: HboneError) -> None:
        self._message = b""
        self.peer.engine.reset(self._stream, code)  # drops what is held, also when the stream is over
        self.peer.reactor.touch(self.peer)
        if self._leftover is not None:
            self._leftover.cancel()
        if self._error is None:
            self._fail(error)
            if self._stream.owner is not self:  # a connection runs inside (`connect_over`)
                self._stream.owner.tunnel_lost(error)

    def _arrived(self, pieces: list[memoryview], size: int) -> int:
        self._tell_reader()
        if size > _AT_ONCE or self._message or self.on_data is None:
            return 0
        self._message = b"".join(pieces)
        return size

    def _tell_reader(self) -> None:
        """Once the frames that have come are read: what they bring is not in the stream yet."""
        if self.on_data is not None:
            self.peer.reactor.again(self)
        else:
            self._readable.wake()

    def on_again(self) -> None:
        """The turn that `_tell_reader` has asked for."""
        if self.on_data is not None:
            self.on_data()

    def on_ready(self, mask: int) -> None:
        """Never told: a tunnel has no socket of its own."""

    def _fail(self, error: HboneError) -> None:
        self._error = error
        self._tell_reader()
        self._writable.wake()

    # TunnelDriver

    def tunnel_accepted(self, event: ev.TunnelAccepted) -> None:
        """200."""
        self.response_headers = event.headers
        self._tell_reader()

    def tunnel_refused(self, status: int) -> None:
        """Not 200."""
        self._fail(TunnelRefused(status))

    def tunnel_ended(self) -> None:
        """END_STREAM."""
        self._tell_reader()

    def tunnel_reset(self, event: ev.TunnelReset) -> None:
        """RST_STREAM; after an end with NO_ERROR only our own direction is cut."""
        if event.after_end and event.code == ErrorCode.NO_ERROR:
            self._tell_reader()
            self._writable.wake()
        else:
            self._fail(StreamReset(event.code, by_peer=event.by_peer))

    def tunnel_lost(self, error: HboneError) -> None:
        """The connection is gone. What had arrived can still be read, for a while; then comes the error."""
        if self._stream.unread:
            self._leftover = self.peer.reactor.wheel.after(LEFTOVER_SECONDS, self._drop)
        self._fail(error)

    def _drop(self) -> None:
        """Nobody came for it."""
        self.peer.engine.reset(self._stream, ErrorCode.CANCEL)

    def tunnel_writable(self) -> None:
        """Room again."""
        self._writable.wake()
        if self.on_room is not None:
            self.on_room()
