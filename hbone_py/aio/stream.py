"""ByteStream: the contract every two-way stream of bytes keeps, and a TCP connection and a tunnel that keep it.

For library users, the control plane and tests. The proxies' bulk path is `relay.Relay`, which keeps the same promises
without coroutines.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Protocol

from hbone_py.aio.reactor import CLOSING, READABLE, WRITABLE, Reactor
from hbone_py.aio.tcp import reset
from hbone_py.errors import ConnectionLost, ErrorCode, HboneError, StreamEnded, StreamReset, TunnelRefused

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from hbone_py import events as ev
    from hbone_py.aio.client import Connection
    from hbone_py.aio.peer import Peer
    from hbone_py.aio.wheel import Timer
    from hbone_py.header_blocks import HeaderList
    from hbone_py.streams import Stream

RECEIVE_SIZE = 64 * 1024
_AT_ONCE = 16 * 1024
"""A message of a tunnel up to this size goes to a reader that is called, past the stream's window."""
LEFTOVER_SECONDS = 30.0
"""How long what arrived on a connection that is lost waits for its reader."""


class ByteStream(Protocol):
    """Two directions that end apart. Every error is an HboneError."""

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        """Some bytes, at least one; b"" once the other side has ended its direction."""

    async def send(self, data: bytes | memoryview) -> None:
        """Returns when all of it has found room: this is the back-pressure."""

    async def send_eof(self) -> None:
        """End our direction; receiving goes on."""

    async def aclose(self) -> None:
        """End both directions, politely."""

    def abort(self) -> None:
        """End both at once: the other side sees a reset."""


class Waiter:
    """At most one coroutine waits for an edge; waking nobody is fine."""

    def __init__(self) -> None:
        self._future: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        """Until `wake`. Raises RuntimeError if somebody waits already."""
        if self._future is not None:
            raise RuntimeError("another coroutine already waits for this direction of the stream")
        self._future = asyncio.get_running_loop().create_future()
        try:
            await self._future
        finally:
            self._future = None

    def wake(self) -> None:
        """Whoever waits goes on."""
        if self._future is not None and not self._future.done():
            self._future.set_result(None)


class TcpStream:
    """A connected socket as a ByteStream, on the reactor."""

    def __init__(self, reactor: Reactor, sock: socket.socket) -> None:
        self.sock = sock
        self._reactor = reactor
        self._error: HboneError | None = None
        self._has_ended = False
        self.on_room: Callable[[], None] | None = None
        """Called when there is room again (`send_now`)."""
        self.on_data: Callable[[], None] | None = None
        """Called when `receive_now` may have something, in place of waking whoever waits in `receive`."""
        self._is_short_of_room = False  # `send_now` took less than it was given
        self._is_closing = False  # nothing comes behind what is there
        self._may_have_more = True  # after a short read the kernel is empty: an edge tells of more
        self._readable = Waiter()
        self._writable = Waiter()
        reactor.register(sock.fileno(), self)

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        """Some bytes, or b"" at the end. Raises ConnectionLost on a reset, StreamEnded once closed."""
        while (data := self.receive_now(max_bytes)) is None:
            await self._readable.wait()
        return data

    def receive_now(self, max_bytes: int = RECEIVE_SIZE) -> bytes | None:
        """The same without waiting: None if nothing is there yet; `on_data` tells when to ask again."""
        if not self._may_have_more:
            return None
        try:
            data = self.sock.recv(max_bytes)
        except BlockingIOError:
            self._may_have_more = False
            return None
        except OSError as error:
            raise self._broken(error) from error
        self._may_have_more = len(data) == max_bytes or self._is_closing
        if not data and self._error is not None:  # the kernel told `send` of the reset, and tells it only once
            raise self._error
        return data

    async def send(self, data: bytes | memoryview) -> None:
        """Raises ConnectionLost when the other side is gone, StreamEnded after `send_eof` or `aclose`."""
        view = memoryview(data)
        if self._has_ended:
            raise StreamEnded("the stream takes no more data")
        while view:
            try:
                view = view[self.sock.send(view) :]
            except BlockingIOError:
                self._reactor.await_room(self.sock.fileno())
                await self._writable.wait()
            except OSError as error:
                raise self._broken(error) from error

    def send_now(self, data: bytes | memoryview) -> int:
        """How much of it found room at once; `on_room` tells when the rest may. Raises as `send`."""
        if self._has_ended:
            raise StreamEnded("the stream takes no more data")
        try:
            taken = self.sock.send(data)
        except BlockingIOError:
            taken = 0
        except OSError as error:
            raise self._broken(error) from error
        if taken < len(data):
            self._is_short_of_room = True
            self._reactor.await_room(self.sock.fileno())
        return taken

    async def peek(self, more_than: int = 0, max_bytes: int = RECEIVE_SIZE) -> bytes:
        """What has arrived, left where it is, once that is more than `more_than` bytes; less at the end.

        Raises ConnectionLost on a reset.
        """
        while True:
            try:
                data = self.sock.recv(max_bytes, socket.MSG_PEEK)
            except BlockingIOError:
                data = b""
            except OSError as error:
                raise self._broken(error) from error
            else:
                if not data or self._is_closing:
                    return data
            if len(data) > more_than:
                return data
            await self._readable.wait()

    def release(self) -> socket.socket:
        """Give the socket to somebody else, less what `receive` has taken; the stream is of no more use."""
        self._reactor.unregister(self.sock.fileno())
        self._has_ended = True
        return self.sock

    async def send_eof(self) -> None:
        """FIN."""
        self._has_ended = True
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._broken(error) from error

    async def aclose(self) -> None:
        """Close."""
        self._close(reset_it=False)

    def abort(self, error: Exception | None = None) -> None:
        """RST."""
        self._close(reset_it=True)

    def _close(self, *, reset_it: bool) -> None:
        if self.sock.fileno() >= 0:
            self._reactor.forget(self.sock.fileno())
            if reset_it:
                reset(self.sock)
            else:
                self.sock.close()
        if self._error is None:
            self._error = StreamEnded("the stream is closed")
        self._may_have_more = True  # the error, that is
        self._readable.wake()
        self._writable.wake()
        if self.on_data is not None:  # whoever closes it may be in the midst of anything
            self._reactor.loop.call_soon(self._tell_reader)

    def _broken(self, error: OSError) -> HboneError:
        if self._error is None:
            self._error = ConnectionLost(f"connection broke: {error.strerror}")
        return self._error

    def on_ready(self, mask: int) -> None:
        """The kernel reports an edge."""
        if mask & CLOSING:
            self._is_closing = True
        if mask & (READABLE | CLOSING):
            self._may_have_more = True
            self._tell_reader()
        if mask & (WRITABLE | CLOSING):
            self._writable.wake()
            if self._is_short_of_room:
                self._is_short_of_room = False
                if self.on_room is not None:
                    self.on_room()

    def _tell_reader(self) -> None:
        if self.on_data is not None:
            self.on_data()
        else:
            self._readable.wake()

    def on_again(self) -> None:
        """Never asked for."""


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
