"""The ways of a TLS message: receive, feed the engine, read; and write, take the ciphertext, send.

`Way` says what is done, in plain Python. `NativeWay` does the same with one call into C each way (`_way.c`), where that
was compiled and OpenSSL's bindings let it: a message then costs no wrapper of the interpreter's or of cffi's around
each step. What is not one whole record is left to plain Python there too.
"""

from __future__ import annotations

from socket import socket as KernelSocket
from typing import TYPE_CHECKING, Protocol

from hbone_py.tls.direct import DirectEngine

if TYPE_CHECKING:
    from hbone_py.aio._way import Ways
    from hbone_py.aio.reactor import Reactor
    from hbone_py.tls.buffers import SharedBuffer
    from hbone_py.tls.engine import TlsEngine


class Socket(Protocol):
    """What ciphertext runs over: a non-blocking socket, or something that behaves like one."""

    def recv_into(self, buffer: memoryview, /) -> int:
        """Bytes read, 0 at the end. Raises BlockingIOError when there are none now."""

    def send(self, data: bytes | memoryview, /) -> int:
        """Bytes taken. Raises BlockingIOError when there is no room now."""


class Way:
    """Between one TLS engine and its socket, through the reactor's shared buffers."""

    __slots__ = ("_ciphertext_in", "_ciphertext_out", "_plaintext_in", "_socket", "_tls", "received")

    def __init__(self, reactor: Reactor, socket: Socket, tls: TlsEngine) -> None:
        self._socket = socket
        self._tls = tls
        self._ciphertext_in = reactor.ciphertext_in
        self._plaintext_in = reactor.plaintext_in
        self._ciphertext_out = reactor.ciphertext_out
        self.received = 0
        """Bytes of ciphertext that the last `receive` read, if it did not raise; 0 at the end."""

    def receive(self, most: int) -> int:
        """Read once, at most `most` bytes, and decrypt to `plaintext_in`: how many bytes that is.

        If they fill it, go on with the engine's `read_into`. As long as the handshake is not over the engine is fed
        only, and the result is 0.

        Raises BlockingIOError when nothing is there, OSError when the connection is broken, TlsError as the engine.
        """
        buffer = self._ciphertext_in
        self.received = self._socket.recv_into(buffer.view if most == buffer.size else buffer.view[:most])
        return self._decrypt()

    def _decrypt(self) -> int:
        """What was received, which may be the end: how many bytes of plaintext that is."""
        tls = self._tls
        if not self.received:
            return 0
        if tls.handshake_done:
            return tls.receive(self._ciphertext_in, self.received, self._plaintext_in)
        tls.feed_shared(self._ciphertext_in, self.received)
        return 0

    def send(self, buffer: SharedBuffer, size: int, queued: bytes | memoryview) -> bytes:
        """Encrypt the first `size` bytes of `buffer`, then `queued`, and offer the socket all that is encrypted.

        Returns the bytes it refused; there may be more behind them in the engine then. Raises OSError when the
        connection is broken, TlsError as the engine.
        """
        tls = self._tls
        if size:
            tls.write_shared(buffer, size)
        if queued:
            tls.write(queued)
        out = self._ciphertext_out
        while count := tls.take_ciphertext(out):
            view = out.view[:count]
            try:
                sent = self._socket.send(view)
            except BlockingIOError:
                sent = 0
            if sent < count:
                return bytes(view[sent:])
            if count < out.size:
                break
        return b""


class NativeWay(Way):
    """The same in C, for a socket of the kernel's."""

    __slots__ = ("_ways",)

    def __init__(self, reactor: Reactor, socket: Socket, tls: TlsEngine, ways: Ways) -> None:
        super().__init__(reactor, socket, tls)
        self._ways = ways

    def receive(self, most: int) -> int:
        """See `Way.receive`."""
        size = self._tls.receive_by(self._ways, self._socket, most)
        self.received = self._ways.received
        return self._decrypt() if size < 0 else size

    def send(self, buffer: SharedBuffer, size: int, queued: bytes | memoryview) -> bytes:
        """See `Way.send`."""
        return self._tls.send_by(self._ways, self._socket, buffer, size, queued)


def way_between(reactor: Reactor, socket: Socket, tls: TlsEngine) -> Way:
    """In C where it is there and can be: not over a tunnel, nor with an engine of public calls."""
    ways = reactor.ways
    if ways is not None and isinstance(socket, KernelSocket) and isinstance(tls, DirectEngine):
        return NativeWay(reactor, socket, tls, ways)
    return Way(reactor, socket, tls)
