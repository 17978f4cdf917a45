"""What carries a TlsStream's ciphertext: a socket, or a tunnel (TLS inside HBONE, to the application behind)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hbone_py.aio.reactor import CLOSING, READABLE, WRITABLE
from hbone_py.aio.tcp import canonical, reset

if TYPE_CHECKING:
    import socket

    from hbone_py.aio.reactor import Pollable, Reactor
    from hbone_py.aio.tcp import SocketAddress
    from hbone_py.aio.tunnel_stream import TunnelStream
    from hbone_py.aio.way import Socket


class Medium(Protocol):
    """What carries the ciphertext."""

    @property
    def socket(self) -> Socket:
        """What it is read from and written to."""

    @property
    def tunnel(self) -> TunnelStream | None:
        """The tunnel that it is, if it is one."""

    @property
    def local_address(self) -> SocketAddress:
        """Our end of the TCP connection below. Raises OSError once that is closed."""

    @property
    def is_piecewise(self) -> bool:
        """Whether there may be more behind a read that did not fill its buffer."""

    def start(self, pollable: Pollable) -> None:
        """Report edges to `pollable` from now on."""

    def await_room(self) -> None:
        """A write was refused: report when there is room."""

    async def aclose(self) -> None:
        """End it politely; it reports nothing any more."""

    def abort(self) -> None:
        """End it by a reset; likewise."""


class SocketMedium:
    """A connected, non-blocking socket."""

    tunnel = None
    is_piecewise = False

    def __init__(self, reactor: Reactor, sock: socket.socket) -> None:
        self.socket = sock
        self._reactor = reactor

    @property
    def local_address(self) -> SocketAddress:
        """See `Medium`."""
        return canonical(self.socket.getsockname())

    def start(self, pollable: Pollable) -> None:
        """See `Medium`."""
        self._reactor.register(self.socket.fileno(), pollable)

    def await_room(self) -> None:
        """See `Medium`."""
        self._reactor.await_room(self.socket.fileno())

    async def aclose(self) -> None:
        """FIN."""
        if self._leave():
            self.socket.close()

    def abort(self) -> None:
        """RST."""
        if self._leave():
            reset(self.socket)

    def _leave(self) -> bool:
        """Whether it was still open."""
        if self.socket.fileno() < 0:
            return False
        self._reactor.forget(self.socket.fileno())
        return True


class TunnelMedium:
    """An open tunnel that carries the ciphertext, in the manner of a non-blocking socket."""

    is_piecewise = True

    def __init__(self, tunnel: TunnelStream) -> None:
        self.tunnel = tunnel

    @property
    def socket(self) -> TunnelMedium:
        """Itself."""
        return self

    @property
    def local_address(self) -> SocketAddress:
        """See `Medium`."""
        return self.tunnel.local_address

    def recv_into(self, buffer: memoryview, /) -> int:
        """Bytes read, 0 at the end. Raises BlockingIOError when there are none now, and what ended the tunnel."""
        data = self.tunnel.receive_now(len(buffer))
        if data is None:
            raise BlockingIOError
        buffer[: len(data)] = data
        return len(data)

    def send(self, data: bytes | memoryview, /) -> int:
        """Bytes taken. Raises BlockingIOError when there is no room now, and what ended the tunnel."""
        count = self.tunnel.send_now(data)
        if not count:
            raise BlockingIOError
        return count

    def start(self, pollable: Pollable) -> None:
        """See `Medium`. Whatever comes may be the end, for which a writer may be waiting as well."""
        self.tunnel.on_data = lambda: pollable.on_ready(READABLE | CLOSING)
        self.tunnel.on_room = lambda: pollable.on_ready(WRITABLE)

    def await_room(self) -> None:
        """`send` has asked for it."""

    async def aclose(self) -> None:
        """END_STREAM."""
        self._leave()
        await self.tunnel.aclose()

    def abort(self) -> None:
        """RST_STREAM."""
        self._leave()
        self.tunnel.abort()

    def _leave(self) -> None:
        self.tunnel.on_data = self.tunnel.on_room = None
