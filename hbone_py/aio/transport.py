"""What a peer runs over: a socket on the reactor, or another tunnel (so that a tunnel can run inside a tunnel).

A transport behaves like a non-blocking socket: `recv_into` and `send` raise BlockingIOError when they would wait,
and the pollable it was started with hears of edges.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Protocol

from hbone_py.aio.reactor import CLOSING, READABLE, WRITABLE
from hbone_py.aio.tcp import canonical, show
from hbone_py.errors import ErrorCode

if TYPE_CHECKING:
    from hbone_py import events as ev
    from hbone_py.aio.peer import Peer
    from hbone_py.aio.reactor import Pollable, Reactor
    from hbone_py.aio.tcp import SocketAddress
    from hbone_py.errors import HboneError
    from hbone_py.streams import Stream


class Transport(Protocol):
    """A byte stream that never blocks."""

    def start(self, pollable: Pollable) -> None:
        """Report edges to `pollable` from now on."""

    def recv_into(self, buffer: memoryview, /) -> int:
        """Bytes read, 0 at the end. Raises BlockingIOError when there are none now."""

    def send(self, data: bytes | memoryview, /) -> int:
        """Bytes taken. Raises BlockingIOError when there is no room now."""

    def await_room(self) -> None:
        """`send` took less than it was given: report an edge when there is room."""

    def hold(self) -> None:
        """What is sent from now on may leave with the end that follows at once."""

    def end(self) -> None:
        """We send no more; reading goes on."""

    def close(self) -> None:
        """Let go at once."""

    @property
    def local_address(self) -> SocketAddress:
        """Our end of the TCP connection that carries it. Raises OSError once that is closed."""


class TcpTransport:
    """A connected, non-blocking socket."""

    __slots__ = ("_reactor", "peer_address", "recv_into", "send", "sock")

    def __init__(self, reactor: Reactor, sock: socket.socket, peer_address: SocketAddress) -> None:
        self._reactor = reactor
        self.sock = sock
        self.peer_address = peer_address
        self.recv_into = sock.recv_into
        self.send = sock.send

    def start(self, pollable: Pollable) -> None:
        """Register with the reactor; the present state is reported at once."""
        self._reactor.register(self.sock.fileno(), pollable)

    def await_room(self) -> None:
        """See `Transport`."""
        self._reactor.await_room(self.sock.fileno())

    def hold(self) -> None:
        """The last bytes and the FIN in one packet."""
        with contextlib.suppress(OSError):  # it is gone already
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)

    def end(self) -> None:
        """FIN."""
        with contextlib.suppress(OSError):  # it is gone already
            self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Unregister and close."""
        if self.sock.fileno() >= 0:
            self._reactor.forget(self.sock.fileno())
            self.sock.close()

    @property
    def local_address(self) -> SocketAddress:
        """See `Transport`."""
        return canonical(self.sock.getsockname())

    def __str__(self) -> str:
        return show(self.peer_address)


class TunnelTransport:
    """An open tunnel as a transport: the outer tunnel of double HBONE (hbone-dataplane 2.8)."""

    def __init__(self, outer: Peer, stream: Stream) -> None:
        self._outer = outer
        self._stream = stream
        self._pollable: Pollable | None = None
        self._is_over = not stream.remote_open
        stream.owner = self

    def start(self, pollable: Pollable) -> None:
        """Report edges; anything that came before counts as one."""
        self._pollable = pollable
        self._stream.sink = self._arrived
        self._outer.reactor.again(pollable)

    def recv_into(self, buffer: memoryview, /) -> int:
        """From the bytes the outer stream holds."""
        stream, outer = self._stream, self._outer
        if not stream.unread:
            if self._is_over:
                return 0
            raise BlockingIOError
        count = 0
        while stream.unread and count < len(buffer):
            piece = memoryview(stream.held[0])[: len(buffer) - count]
            buffer[count : count + len(piece)] = piece
            count += len(piece)
            outer.engine.consumed(stream, len(piece))
        outer.reactor.touch(outer)
        return count

    def send(self, data: bytes | memoryview, /) -> int:
        """Into the outer stream, as far as its window allows."""
        outer = self._outer
        if self._is_over or not self._stream.local_open:
            raise BrokenPipeError("the outer tunnel is over")
        if outer.is_stalled:
            outer.wait_writable(self)
            raise BlockingIOError
        count = outer.engine.send(self._stream, data)
        if count < len(data):
            outer.engine.sendable(self._stream)  # asks to be told when the window opens
        outer.reactor.touch(outer)
        if not count:
            raise BlockingIOError
        return count

    def await_room(self) -> None:
        """`send` has asked for it."""

    def hold(self) -> None:
        """The end of the batch joins them anyway."""

    def end(self) -> None:
        """END_STREAM on the outer tunnel."""
        if not self._outer.is_closed:
            self._outer.engine.end(self._stream)
            self._outer.reactor.touch(self._outer)

    def close(self) -> None:
        """End our direction of the outer tunnel; nobody reads the other one any more."""
        outer, stream = self._outer, self._stream
        self.end()
        outer.engine.reset(stream, ErrorCode.NO_ERROR)  # drops what is held, also when the stream is over
        outer.reactor.touch(outer)

    @property
    def local_address(self) -> SocketAddress:
        """See `Transport`."""
        return self._outer.transport.local_address

    def _arrived(self, pieces: list[memoryview], size: int) -> int:
        if self._pollable is not None:
            self._outer.reactor.again(self._pollable)
        return 0

    def _edge(self, mask: int) -> None:
        if self._pollable is not None:
            self._pollable.on_ready(mask)

    # TunnelDriver of the outer stream

    def tunnel_accepted(self, event: ev.TunnelAccepted) -> None:
        """Happened before this transport was made."""

    def tunnel_refused(self, status: int) -> None:
        """Happened before this transport was made."""

    def tunnel_ended(self) -> None:
        """End of file, once what is held has been read."""
        self._is_over = True
        self._edge(READABLE | CLOSING)

    def tunnel_reset(self, event: ev.TunnelReset) -> None:
        """The outer tunnel is gone."""
        self.tunnel_ended()

    def tunnel_lost(self, error: HboneError) -> None:
        """The outer connection is gone."""
        self.tunnel_ended()

    def tunnel_writable(self) -> None:
        """Room again."""
        self._edge(WRITABLE)

    def __str__(self) -> str:
        return f"stream {self._stream.stream_id} of {self._outer}"
