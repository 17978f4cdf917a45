"""InnerTls: TLS inside a tunnel, as its client speaks it to the application behind.

The contract is TlsStream's: no end of one direction, `send_close_notify` instead. Ciphertext that finds no room in the
tunnel is kept, one piece of it at most; then `send_now` takes nothing.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from hbone_py.aio.stream import RECEIVE_SIZE, TunnelStream, Waiter
from hbone_py.errors import HboneError, StreamEnded, TlsError, TlsTimeout
from hbone_py.tls.buffers import SharedBuffer
from hbone_py.tls.engine import TlsEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hbone_py.tls.context import TlsContext

_PIECE = 64 * 1024
"""Plaintext that is encrypted at once."""


class _Scratch(threading.local):
    """Memory that the streams of a thread use in turn: nothing stays in it from one call to the next."""

    def __init__(self) -> None:
        self.buffer = SharedBuffer(_PIECE)


_scratch = _Scratch()


class InnerTls:
    """One TLS connection in a tunnel. Made by `shake_hands_inside`."""

    def __init__(self, tunnel: TunnelStream, context: TlsContext) -> None:
        self.tls = TlsEngine(context)
        self.on_room: Callable[[], None] | None = None
        """Called when there is room again (`send_now`)."""
        self.on_data: Callable[[], None] | None = None
        """Called when `receive_now` may have something, in place of waking whoever waits in `receive`."""
        self.tunnel = tunnel
        self._buffer = _scratch.buffer
        self._unsent = b""
        self._is_short_of_room = False  # `send_now` took less than it was given
        self._held = b""
        self._may_hold_more = False  # the engine may have plaintext
        self._has_ended = False  # we said close_notify
        self._error: HboneError | None = None
        self._readable = Waiter()
        self._writable = Waiter()

    # The handshake -----------------------------------------------------------

    async def _shake(self) -> None:
        try:
            while not self.tls.handshake():
                await self._tell_all()
                data = await self.tunnel.receive()
                if not data:
                    raise TlsError("TLS handshake failed: the peer closed the connection")
                self.tls.feed(data)
        except TlsError:
            await self._tell_all()  # the alert that tells the peer why
            raise
        await self._tell_all()
        self._may_hold_more = True  # application data may lie behind the handshake
        self.tunnel.on_data, self.tunnel.on_room = self._came, self._has_room

    async def _tell_all(self) -> None:
        while piece := self._ciphertext():
            await self.tunnel.send(piece)

    # Reading -------------------------------------------------------------------

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        """Some bytes, or b"" after the peer's close_notify. Raises TlsError at any other end, StreamReset."""
        while (piece := self.receive_now(max_bytes)) is None:
            await self._readable.wait()
        return piece

    def receive_now(self, max_bytes: int = RECEIVE_SIZE) -> bytes | None:
        """The same without waiting: None if nothing is there yet; `on_data` tells when to ask again."""
        while not self._held:
            if self._error is not None:
                raise self._error
            if self.tls.peer_closed:
                return b""
            if self._may_hold_more:
                self._decrypt()
            elif not self._feed():
                return None
        piece, self._held = self._held[:max_bytes], self._held[max_bytes:]
        return piece

    def _decrypt(self) -> None:
        count = self.tls.read_into(self._buffer)
        self._held = bytes(self._buffer.view[:count])
        self._may_hold_more = count == self._buffer.size
        self._push_if_it_lives()  # reading may have produced an answer, such as to a KeyUpdate

    def _feed(self) -> bool:
        """Whether there was ciphertext, or its end."""
        data = self.tunnel.receive_now()
        if data is None:
            return False
        if data:
            self.tls.feed(data)
        else:
            self.tls.feed_eof()
            self._error = TlsError("TLS failed: the peer closed the connection without close_notify")
            self._held = bytes(self._buffer.view[: self.tls.read_into(self._buffer)])
        self._may_hold_more = bool(data)
        return True

    # Writing -------------------------------------------------------------------

    async def send(self, data: bytes | memoryview) -> None:
        """Raises StreamEnded after `send_close_notify` or `aclose`, and what ended the tunnel."""
        view = memoryview(data)
        while view := view[self.send_now(view) :]:
            await self._writable.wait()

    def send_now(self, data: bytes | memoryview) -> int:
        """How much of it was encrypted, which found room or soon will; `on_room` tells when the rest may go.

        Raises as `send`.
        """
        if self._error is not None:
            raise self._error
        if self._has_ended:
            raise StreamEnded("the stream takes no more data")
        view, taken = memoryview(data), 0
        self._push()
        while taken < len(view) and not self._unsent:
            piece = view[taken : taken + _PIECE]
            self.tls.write(piece)
            taken += len(piece)
            self._push()
        self._is_short_of_room = taken < len(view)
        return taken

    async def send_close_notify(self) -> None:
        """Say that we write no more."""
        if self._error is not None:
            raise self._error
        if not self._has_ended:
            self._has_ended = True
            self.tls.send_close_notify()
            self._push()

    def _push(self) -> None:
        """What the tunnel takes now. Raises what ended it."""
        while self._unsent or (piece := self._ciphertext()):
            self._unsent = self._unsent or piece
            self._unsent = self._unsent[self.tunnel.send_now(self._unsent) :]
            if self._unsent:
                return

    def _ciphertext(self) -> bytes:
        return bytes(self._buffer.view[: self.tls.take_ciphertext(self._buffer)])

    # The end --------------------------------------------------------------------

    async def aclose(self) -> None:
        """close_notify, as far as it finds room at once, and the end of the tunnel."""
        if self._error is None and not self._has_ended:
            self._has_ended = True
            self.tls.send_close_notify()
            self._push_if_it_lives()
        self._close()
        await self.tunnel.aclose()

    def abort(self, error: Exception | None = None) -> None:
        """RST_STREAM."""
        self._close()
        self.tunnel.abort()

    def _close(self) -> None:
        self._held = b""
        self._error = self._error or StreamEnded("the stream is closed")
        self.tunnel.on_data = self.tunnel.on_room = None
        self._writable.wake()
        if self.on_data is not None:  # whoever closes it may be in the midst of anything
            self.tunnel.peer.reactor.loop.call_soon(self._tell_reader)
        else:
            self._readable.wake()

    # What the tunnel tells --------------------------------------------------------

    def _came(self) -> None:
        """Ciphertext, or the end of the tunnel, for which a writer may be waiting as well."""
        self._writable.wake()
        self._tell_reader()

    def _tell_reader(self) -> None:
        if self.on_data is not None:
            self.on_data()
        else:
            self._readable.wake()

    def _has_room(self) -> None:
        self._push_if_it_lives()
        if self._unsent:
            return
        self._writable.wake()
        if self._is_short_of_room:
            self._is_short_of_room = False
            if self.on_room is not None:
                self.on_room()

    def _push_if_it_lives(self) -> None:
        try:
            self._push()
        except HboneError as error:
            self._error = self._error or error


async def shake_hands_inside(
    tunnel: TunnelStream, context: TlsContext, *, seconds: float, server_name: str = "", alpn: Sequence[bytes] = ()
) -> InnerTls:
    """TLS in an open tunnel, which is the stream's from now on. Who the peer is, the caller has yet to judge.

    Args:
        seconds: how long the whole handshake may take.
        server_name: SNI.
        alpn: what is offered, instead of the context's.

    Raises TlsHandshakeError, TlsTimeout, what ended the tunnel; it is then closed.
    """
    stream = InnerTls(tunnel, replace(context, server_name=server_name, alpn=tuple(alpn)))
    try:
        async with asyncio.timeout(seconds):
            await stream._shake()
    except TimeoutError as error:
        stream.abort()
        raise TlsTimeout("TLS handshake timed out") from error
    except TlsError:
        await stream.aclose()  # a reset would overtake the alert
        raise
    except BaseException:
        stream.abort()
        raise
    return stream
