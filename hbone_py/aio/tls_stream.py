"""TlsStream: TLS directly on a TCP connection, as sidecars speak it to each other, or in a tunnel (`tls_medium`).

It keeps the contract of `stream.ByteStream` but for one promise: TLS cannot end one direction in a way that every peer
respects, so there is no `send_eof`, and a type checker refuses a TlsStream where a ByteStream is asked for. What comes
nearest is `send_close_notify`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.aio.reactor import CLOSING, READABLE, WRITABLE, Reactor
from hbone_py.aio.stream import RECEIVE_SIZE, Waiter
from hbone_py.aio.way import way_between
from hbone_py.errors import ConnectionLost, HboneError, StreamEnded, TlsError
from hbone_py.tls.engine import TlsEngine
from hbone_py.tls.verify import identities_of_der

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.aio.owners import IdentityCheck
    from hbone_py.aio.tcp import SocketAddress
    from hbone_py.aio.tls_medium import Medium
    from hbone_py.aio.tunnel_stream import TunnelStream
    from hbone_py.identity import SpiffeId
    from hbone_py.tls.context import TlsContext

_PIECE = 64 * 1024
"""Plaintext that is encrypted at once: its ciphertext must find room before there is more."""


class TlsStream:
    """One TLS connection. Made by `tls_handshake`, which has proved who is there."""

    def __init__(self, reactor: Reactor, medium: Medium, context: TlsContext) -> None:
        self.tls = TlsEngine(context)
        self._medium = medium
        self._socket = medium.socket
        self._way = way_between(reactor, self._socket, self.tls)
        self.identities: tuple[SpiffeId, ...] = ()
        """The peer's SPIFFE identities."""
        self.on_room: Callable[[], None] | None = None
        """Called when there is room again (`send_now`)."""
        self.on_data: Callable[[], None] | None = None
        """Called when `receive_now` may have something, in place of waking whoever waits in `receive`."""
        self._reactor = reactor
        self._unsent = b""
        self._is_short_of_room = False  # `send_now` took less than it was given
        self._held = b""
        self._may_hold_more = False  # the engine has plaintext that found no room in the buffer
        self._may_have_more = True  # after a short read the kernel is empty: an edge tells of more
        self._is_read_to_the_end = medium.is_piecewise  # or because nothing comes behind what is there
        self._is_over = False  # no more ciphertext comes
        self._has_ended = False  # we said close_notify
        self._error: HboneError | None = None
        self._readable = Waiter()
        self._writable = Waiter()
        medium.start(self)

    @property
    def tunnel(self) -> TunnelStream | None:
        """The tunnel that it runs in, if it does."""
        return self._medium.tunnel

    @property
    def local_address(self) -> SocketAddress:
        """Our end of the TCP connection that carries it. Raises OSError once that is closed."""
        return self._medium.local_address

    @property
    def identity(self) -> SpiffeId | None:
        """The peer's first identity: what policies judge (hbone-dataplane 1.1)."""
        return self.identities[0] if self.identities else None

    @property
    def alpn(self) -> str:
        """The protocol agreed on; empty if there was no agreement."""
        return self.tls.alpn

    # The handshake -----------------------------------------------------------

    async def shake(self) -> None:
        """All of it but the last flight, which `flush` sends. Raises TlsHandshakeError, what ended the medium."""
        while not self.tls.handshake():
            await self.flush()
            self._fed_some(await self._receive_ciphertext())

    def judge(self, check: IdentityCheck) -> None:
        """Who is there. Raises PeerIdentityError."""
        self.identities = identities_of_der(self.tls.peer_leaf_der)
        check(self.identities)

    async def _receive_ciphertext(self) -> int:
        """As `_receive_now`, as soon as something is there."""
        while (size := self._receive_now()) is None:
            await self._readable.wait()
        return size

    def _receive_now(self) -> int | None:
        """Bytes of plaintext now in the shared buffer; None if no ciphertext is there yet. See `Way.receive`."""
        if not self._may_have_more:
            return None
        most = self._reactor.ciphertext_in.size
        try:
            size = self._way.receive(most)
        except BlockingIOError:
            self._may_have_more = False
            return None
        except OSError as error:
            raise self._failed(_broken(error)) from error
        self._may_have_more = self._way.received == most or self._is_read_to_the_end
        return size

    def _fed_some(self, _size: int) -> None:
        if not self._way.received:
            raise TlsError("TLS handshake failed: the peer closed the connection")
        self._may_hold_more = True  # application data may lie behind the handshake

    # ByteStream ---------------------------------------------------------------

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        """Some bytes, or b"" after the peer's close_notify.

        Raises ConnectionLost or StreamReset on a reset, TlsError at any other end: it may be an attacker's, and bytes
        may be missing.
        """
        while (piece := self.receive_now(max_bytes)) is None:
            await self._readable.wait()
        return piece

    def receive_now(self, max_bytes: int = RECEIVE_SIZE) -> bytes | None:
        """The same without waiting: None if nothing is there yet; `on_data` tells when to ask again."""
        while not self._held:
            if self.tls.peer_closed:
                if self._error is not None:  # such as our own end, which may have thrown away what was not read
                    raise self._error
                return b""
            if not self._read_on():
                return None
        piece = self._held
        if len(piece) <= max_bytes:
            self._held = b""
            return piece
        self._held = piece[max_bytes:]
        return piece[:max_bytes]

    async def peek(self, more_than: int = 0, max_bytes: int = RECEIVE_SIZE) -> bytes:
        """What has arrived, left for `receive`, once that is more than `more_than` bytes; less at the end."""
        while len(self._held) <= more_than and not self.tls.peer_closed:
            if not self._read_on():
                await self._readable.wait()
        return self._held[:max_bytes]

    def _read_on(self) -> bool:
        """Whether there was something, or the end. What has come is read before what broke the connection is raised."""
        if self._may_hold_more:
            self._take(self.tls.read_into(self._reactor.plaintext_in))
        elif (size := self._receive_now()) is None:
            if self._error is not None:
                raise self._error
            return False
        elif self._way.received:
            self._take(size)
            self._flush_what_goes()
        else:
            self._take_end()
        return True

    def _take_end(self) -> None:
        if self._is_over:
            raise self._failed(TlsError("TLS failed: the peer closed the connection without close_notify"))
        self._is_over = True
        self.tls.feed_eof()
        self._take(self.tls.read_into(self._reactor.plaintext_in))

    def _take(self, count: int) -> None:
        plaintext = self._reactor.plaintext_in
        self._held += plaintext.view[:count]
        self._may_hold_more = count == plaintext.size

    async def send(self, data: bytes | memoryview) -> None:
        """Raises StreamEnded after `send_close_notify` or `aclose`, and what ended the connection."""
        if self._error is not None:
            raise self._error
        if self._has_ended:
            raise StreamEnded("the stream takes no more data")
        view = memoryview(data)
        await self.flush()  # what a cancelled send has left
        for start in range(0, len(view), _PIECE):
            self.tls.write(view[start : start + _PIECE])
            await self.flush()

    def send_now(self, data: bytes | memoryview) -> int:
        """How much of it was encrypted, which found room or soon will; `on_room` tells when the rest may go.

        Raises as `send`.
        """
        if self._error is not None:
            raise self._error
        if self._has_ended:
            raise StreamEnded("the stream takes no more data")
        view = memoryview(data)
        taken = 0
        if self._unsent:
            self._flush_what_goes()
        while taken < len(view) and not self._unsent and self._error is None:
            piece = view[taken : taken + _PIECE]
            taken += len(piece)
            self._flush_what_goes(piece)
        if taken < len(view):
            self._is_short_of_room = True
        return taken

    async def send_close_notify(self) -> None:
        """Say that we write no more. A TLS 1.3 peer may go on writing, as Envoy does; others close (RFC 8446 6.1)."""
        if self._error is not None:
            raise self._error
        if not self._has_ended:
            self._has_ended = True
            self.tls.send_close_notify()
            await self.flush()

    async def aclose(self) -> None:
        """close_notify, as far as it finds room at once, and close."""
        if self._error is None and not self._has_ended:
            self._has_ended = True
            self.tls.send_close_notify()
            self._flush_what_goes()
        await self.leave()

    async def leave(self) -> None:
        """Close without close_notify, which a peer has to take for an attack."""
        self._let_go()
        await self._medium.aclose()

    def abort(self, error: Exception | None = None) -> None:
        """RST, or RST_STREAM in a tunnel."""
        self._let_go()
        self._medium.abort()

    # Writing -------------------------------------------------------------------

    async def flush(self) -> None:
        """Until the medium has all ciphertext."""
        while True:
            self._flush_what_goes()
            if self._error is not None:
                raise self._error
            if not self._unsent:
                return
            await self._writable.wait()

    def _flush_what_goes(self, piece: bytes | memoryview = b"") -> None:
        """What the medium takes now: what it refused before, else `piece` and what is encrypted already."""
        if self._error is not None:
            return
        try:
            if self._unsent:
                taken = self._socket.send(self._unsent)
                self._unsent = self._unsent[taken:]
            if not self._unsent:
                self._unsent = self._way.send(self._reactor.outbox.buffer, 0, piece)
        except BlockingIOError:
            pass
        except OSError as error:
            self._failed(_broken(error))
            return
        except HboneError as error:
            self._failed(error)
            return
        if self._unsent:
            self._medium.await_room()

    # The end --------------------------------------------------------------------

    def _let_go(self) -> None:
        self._held, self._may_hold_more = b"", False
        self._failed(StreamEnded("the stream is closed"))
        self._may_have_more = False  # nothing but the error
        self._readable.wake()
        self._writable.wake()
        if self.on_data is not None:  # whoever closes it may be in the midst of anything
            self._reactor.loop.call_soon(self._tell_reader)

    def _failed(self, error: HboneError) -> HboneError:
        """The kernel may have told the reason to `send`, and tells it only once."""
        if self._error is None:
            self._error = error
        return self._error

    def on_ready(self, mask: int) -> None:
        """The medium reports an edge."""
        if mask & CLOSING:
            self._is_read_to_the_end = True
        if mask & (READABLE | CLOSING):
            self._may_have_more = True
            self._tell_reader()
        if mask & (WRITABLE | CLOSING):
            self._writable.wake()
            if self._unsent:
                self._flush_what_goes()
            if self._is_short_of_room and not self._unsent:
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


def _broken(error: OSError) -> HboneError:
    return ConnectionLost(f"connection broke: {error.strerror}")
