"""TLS between a TCP transport of asyncio and a protocol that knows nothing of it, over OpenSSL's memory buffers.

Stdlib's TLS cannot keep what we promise about suites and groups (docs/decisions/0004-tls-library.md). Back-pressure
passes straight through: what TCP does not take stays in the transport below, which pauses the protocol above; what the
protocol does not want to read stays in the kernel. Nothing is kept here but the rest of one read.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from hbone_py.errors import TlsError, TlsHandshakeError, TlsTimeout
from hbone_py.tls import SharedBuffer, TlsEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.errors import HboneError
    from hbone_py.tls import TlsContext

ALPN: Final = "h2"
_BUFFER = 1 << 16


class _Scratch(threading.local):
    """Memory that the links of a thread use in turn: nothing stays in it from one call to the next."""

    def __init__(self) -> None:
        self.buffer = SharedBuffer(_BUFFER)


_scratch = _Scratch()


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """What one connection may take, seconds and bytes."""

    handshake: float = 10.0
    """From TCP to the end of the TLS handshake."""
    farewell: float = 3.0
    """For what is still to be sent, once we have closed."""
    unsent: int = 4 << 20
    """With more than this waiting for a peer that does not read, the next write ends the connection."""


class LinkOwner(Protocol):
    """Hears of a link's beginning and of its end."""

    def link_up(self, link: TlsLink) -> None:
        """The handshake is done, the peer is accepted, the protocol above runs."""

    def link_lost(self, link: TlsLink, error: BaseException | None) -> None:
        """It is over; None: both sides took leave. Called once, whether it was up or not."""


class TlsLink(asyncio.Protocol):
    """One TLS connection: a protocol to the TCP transport below, and the owner of the transport above."""

    def __init__(
        self,
        context: TlsContext,
        above: Callable[[], asyncio.Protocol],
        owner: LinkOwner,
        *,
        check: Callable[[TlsEngine], None] = lambda engine: None,
        limits: LinkLimits | None = None,
    ) -> None:
        """`check` judges the peer after the handshake, before a byte goes up or down; it raises TlsError."""
        self.engine = TlsEngine(context)
        self.above: asyncio.Protocol | None = None
        """The protocol over this link; None until the handshake is done."""
        self.transport = TlsTransport(self)
        self.below: asyncio.Transport
        self._make_above, self._owner, self._check = above, owner, check
        self._limits = limits or LinkLimits()
        self._buffer = _scratch.buffer
        self._error: BaseException | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.is_closing = False
        """Whether nothing goes up or down any more."""
        self._is_made = False
        self._is_paused = False

    # asyncio.Protocol, called by the transport below

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP is there: a client speaks at once."""
        self.below = cast("asyncio.Transport", transport)
        if self.is_closing:  # nobody waited for it
            self.below.abort()
            return
        self._is_made = True
        self._timer = asyncio.get_running_loop().call_later(self._limits.handshake, self._handshake_is_late)
        self._shake_hands()

    def data_received(self, data: bytes) -> None:
        """Ciphertext."""
        if self.is_closing:
            return
        self.engine.feed(data)
        if self.above is None:
            self._shake_hands()
        if self.above is not None:
            self.deliver()

    def eof_received(self) -> None:
        """FIN. Without close_notify before it, the end may be somebody else's work."""
        if self.is_closing:
            return
        self.engine.feed_eof()
        if self.above is None:
            self._shake_hands()
        else:
            self.deliver()

    def pause_writing(self) -> None:
        """TCP does not take more."""
        if self.above is not None:
            self.above.pause_writing()

    def resume_writing(self) -> None:
        """It does again."""
        if self.above is not None:
            self.above.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """TCP is gone."""
        self.is_closing = True
        self._stop_timer()
        error = self._error or exc
        if self.above is not None:
            # The protocol's signature is narrower than what asyncio's own transports pass on.
            self.above.connection_lost(cast("Exception | None", error))
        self._owner.link_lost(self, error)

    # What the transport above asks for

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Plaintext to send. Too much waiting already means that the peer does not read: it loses the connection."""
        if self.is_closing or self._is_cut_off():
            return
        try:
            self.engine.write(data)
        except TlsError as error:
            self._fail(error)
        else:
            self._flush()

    def deliver(self) -> None:
        """Hand up the plaintext there is, as far as it is wanted."""
        assert self.above is not None, "called only when up"
        count = self._buffer.size
        while count == self._buffer.size and not (self._is_paused or self.is_closing):
            try:
                count = self.engine.read_into(self._buffer)
            except TlsError as error:
                self._fail(error)
                return
            if count:
                self.above.data_received(bytes(self._buffer.view[:count]))
        if self.is_closing or self._is_cut_off():
            return
        self._flush()  # reading may have produced an answer, such as to a KeyUpdate
        if self.engine.peer_closed and not self.above.eof_received():
            self.close()

    def pause(self) -> None:
        """Nothing more is wanted above."""
        self._is_paused = True
        self.below.pause_reading()

    def resume(self) -> None:
        """More is wanted; what was read already comes first, and not from within this call."""
        if not self._is_paused or self.is_closing:
            return
        self._is_paused = False
        self.below.resume_reading()
        asyncio.get_running_loop().call_soon(self._deliver_rest)

    def close(self) -> None:
        """Say close_notify, send what is waiting, and go; what takes too long is cut."""
        if self.is_closing:
            return
        self.is_closing = True
        if self._is_made:
            self.engine.send_close_notify()
            self._flush()
            self._leave()

    def abort(self) -> None:
        """Go at once."""
        self.is_closing = True
        if self._is_made:
            self.below.abort()

    def _shake_hands(self) -> None:
        try:
            done = self.engine.handshake()
        except TlsError as error:
            self._fail(error)
            return
        self._flush()
        if not done:
            return
        try:
            self._accept_peer()
        except TlsError as error:
            self._fail(error)
            return
        self._stop_timer()
        self.above = self._make_above()
        self.above.connection_made(self.transport)
        self._owner.link_up(self)

    def _accept_peer(self) -> None:
        if self.engine.alpn != ALPN:
            raise TlsHandshakeError(f"the peer does not speak {ALPN} (ALPN: {self.engine.alpn or 'nothing'})")
        self._check(self.engine)

    def _handshake_is_late(self) -> None:
        self._error = TlsTimeout(f"no TLS handshake within {self._limits.handshake:g} s")
        self.abort()

    def _fail(self, error: HboneError) -> None:
        """TLS itself is broken; an alert may be on its way."""
        self._error = error
        self.is_closing = True
        if not isinstance(error, TlsHandshakeError):
            self.engine.send_close_notify()
        self._flush()
        self._leave()

    def _is_cut_off(self) -> bool:
        """Whether so much waits already that the peer cannot be reading: it is not written to any more."""
        waiting = self.below.get_write_buffer_size()
        if waiting <= self._limits.unsent:
            return False
        self._error = TlsError(f"the peer does not read: {waiting} bytes wait for it")
        self.abort()
        return True

    def _leave(self) -> None:
        self._stop_timer()
        if self.below.is_closing():
            return
        self.below.resume_reading()  # or a peer that still talks would keep the end from us
        self.below.close()
        self._timer = asyncio.get_running_loop().call_later(self._limits.farewell, self.below.abort)

    def _deliver_rest(self) -> None:
        if not (self._is_paused or self.is_closing):
            self.deliver()

    def _flush(self) -> None:
        while count := self.engine.take_ciphertext(self._buffer):
            self.below.write(bytes(self._buffer.view[:count]))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class TlsTransport(asyncio.Transport):
    """What the protocol above sees of a `TlsLink`."""

    def __init__(self, link: TlsLink) -> None:
        super().__init__()
        self._link = link

    @property
    def engine(self) -> TlsEngine:
        """The TLS connection: who the peer is, which suite was agreed on."""
        return self._link.engine

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the TCP transport below answers: `peername`, `sockname`, `socket`."""
        return self._link.below.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `TlsLink.write`."""
        self._link.write(data)

    def can_write_eof(self) -> bool:
        """TLS has no half-close that peers agree on."""
        return False

    def pause_reading(self) -> None:
        """See `TlsLink.pause`."""
        self._link.pause()

    def resume_reading(self) -> None:
        """See `TlsLink.resume`."""
        self._link.resume()

    def get_write_buffer_size(self) -> int:
        """Ciphertext that TCP has not taken."""
        return self._link.below.get_write_buffer_size()

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._link.is_closing or self._link.below.is_closing()

    def close(self) -> None:
        """See `TlsLink.close`."""
        self._link.close()

    def abort(self) -> None:
        """See `TlsLink.abort`."""
        self._link.abort()
