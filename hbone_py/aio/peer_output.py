"""The way out of one peer: what its engine and its relays have to say, through TLS, to the socket.

Writing waits for the end of the batch (`flush`), save for bulk frames, which are encrypted straight from the shared
buffer (`write_frames`). A socket that is full keeps the rest here, a buffer's worth at most, until it has room again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.errors import ErrorCode, RemoteProtocolError
from hbone_py.placement import BulkMeter

if TYPE_CHECKING:
    from hbone_py.aio.owners import TunnelDriver
    from hbone_py.aio.reactor import Reactor
    from hbone_py.aio.transport import Transport
    from hbone_py.connection import HboneConnection
    from hbone_py.errors import HboneError
    from hbone_py.tls.engine import TlsEngine


class PeerOutput:
    """The lowest of the three layers that make a `Peer`: its four pieces, and writing."""

    def __init__(self, reactor: Reactor, transport: Transport, tls: TlsEngine, engine: HboneConnection) -> None:
        self.reactor = reactor
        self.transport = transport
        self.tls = tls
        self.engine = engine
        self.is_closed = False
        self.is_dirty = False
        """Listed for a flush; the reactor's."""
        self.is_stalled = False
        """The socket is full: nobody may write bulk until `tunnel_writable`."""
        self.meter = BulkMeter()
        self._unsent = b""
        self._waiting: dict[TunnelDriver, None] = {}  # for the socket

    def flush(self) -> None:
        """Write what the engine has collected: one record, one system call."""
        if self.is_closed or not self.tls.handshake_done:
            return
        if self.reactor.outbox.owner is self:
            self.empty_outbox()
        if self.is_stalled:
            self._bound_control()
            return
        if self.engine.output:
            self._write_queued()
        self._send_ciphertext()

    def write_frames(self, count: int) -> None:
        """Encrypt and send the first `count` bytes of the shared `plaintext_out`, behind what is already queued."""
        if self.reactor.outbox.owner is self:
            self.empty_outbox()
        if self.engine.output:
            self._write_queued()
        self.meter.moved(count, self.reactor.wheel.now)
        self.tls.write_shared(self.reactor.plaintext_out, count)
        self._send_ciphertext()

    def empty_outbox(self) -> None:
        """Encrypt what relays have put there for this peer. It is sent with the next that is."""
        outbox = self.reactor.outbox
        used, outbox.used, outbox.owner = outbox.used, 0, None
        self.tls.write_shared(outbox.buffer, used)

    def _write_queued(self) -> None:
        out = self.engine.output
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self.tls.write(data)

    def wait_writable(self, driver: TunnelDriver) -> None:
        """`driver` stopped because the socket is full; it is told when there is room."""
        self._waiting[driver] = None

    def _send_ciphertext(self) -> None:
        """Hand the kernel what is encrypted; on the first refusal keep the rest and stall."""
        if self.is_stalled or self.is_closed:
            return
        buffer = self.reactor.ciphertext_out
        while True:
            count = self.tls.take_ciphertext(buffer)
            if not count:
                return
            view = buffer.view[:count]
            try:
                sent = self.transport.send(view)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._write_failed()
                return
            if sent < count:
                self._unsent = bytes(view[sent:])
                self.is_stalled = True
                self.transport.await_room()
                return
            if count < buffer.size:
                return

    def _unstall(self) -> bool:
        """The kernel says that there is room: the kept rest first. True if there is room for more than that."""
        while self._unsent:
            try:
                sent = self.transport.send(self._unsent)
            except BlockingIOError:
                return False
            except OSError:
                self._write_failed()
                return False
            self._unsent = self._unsent[sent:]
        self.is_stalled = False
        self._send_ciphertext()
        return not (self.is_closed or self.is_stalled)

    def _bound_control(self) -> None:
        """A peer that asks and never reads our answers is ended before they fill memory."""
        if self.engine.queued_bytes > self.engine.config.max_queued_control:
            self._lose(RemoteProtocolError("the peer does not read our answers", ErrorCode.ENHANCE_YOUR_CALM))

    # What the layers above fill in ---------------------------------------------------------------

    def on_ready(self, mask: int) -> None:
        """See `Peer`."""
        raise NotImplementedError

    def on_again(self) -> None:
        """See `Peer`."""
        raise NotImplementedError

    def abort(self, error: Exception) -> None:
        """See `PeerLife`."""
        raise NotImplementedError

    def _write_failed(self) -> None:
        """Nothing more can be written: see `PeerLife`."""
        raise NotImplementedError

    def _lose(self, error: HboneError | None) -> None:
        """It is over: see `PeerLife`."""
        raise NotImplementedError
