"""TcpStream: a connected socket as a ByteStream, on the reactor."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from hbone_py.aio.reactor import CLOSING, READABLE, WRITABLE, Reactor
from hbone_py.aio.stream import RECEIVE_SIZE, Waiter
from hbone_py.aio.tcp import canonical, reset
from hbone_py.errors import ConnectionLost, HboneError, StreamEnded

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.aio.tcp import SocketAddress


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

    @property
    def local_address(self) -> SocketAddress:
        """Our end. Raises OSError once it is closed."""
        return canonical(self.sock.getsockname())

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
        taken = self.send_now(view)
        while taken < len(view):
            await self._writable.wait()
            view = view[taken:]
            taken = self.send_now(view)

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
