"""The way out of one peer: what its engine and its relays have to say, through TLS, to the socket.

Writing waits for the end of the batch (`flush`), save for bulk frames, which are encrypted straight from the shared
buffer (`write_frames`). A socket that is full keeps the rest here, a buffer's worth at most, until it has room again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.aio.transport import TcpTransport
from hbone_py.aio.way import way_between
from hbone_py.errors import ErrorCode, RemoteProtocolError
from hbone_py.placement import BulkMeter

if TYPE_CHECKING:
    from hbone_py.aio.owners import TunnelDriver
    from hbone_py.aio.reactor import Reactor
    from hbone_py.aio.transport import Transport
    from hbone_py.connection import HboneConnection
    from hbone_py.errors import HboneError
    from hbone_py.tls.buffers import SharedBuffer
    from hbone_py.tls.engine import TlsEngine


class PeerOutput:
    """The lowest of the three layers that make a `Peer`: its four pieces, and writing."""

    def __init__(self, reactor: Reactor, transport: Transport, tls: TlsEngine, engine: HboneConnection) -> None:
        self.reactor = reactor
        self.transport = transport
        self.tls = tls
        self.engine = engine
        self.way = way_between(reactor, transport.sock if isinstance(transport, TcpTransport) else transport, tls)
        self.is_closed = False
        self.is_dirty = False
        """Listed for a flush; the reactor's."""
        self.is_stalled = False
        """The socket is full: nobody may write bulk until `tunnel_writable`."""
        self.meter = BulkMeter()
        self._unsent = b""
        self._waiting: dict[TunnelDriver, None] = {}  # for the socket

    def flush(self) -> None:
        """Write what relays and the engine have collected: one record each, one system call."""
        if self.is_closed or not self.tls.handshake_done:
            return
        outbox, used = self.reactor.outbox, 0
        if outbox.owner is self:
            used = outbox.take()
        if self.is_stalled:
            self.tls.write_shared(outbox.buffer, used)
            self._bound_control()
        else:
            self._send(outbox.buffer, used, self._queued() if self.engine.output else b"")

    def write_frames(self, count: int) -> None:
        """Encrypt and send the first `count` bytes of the shared `plaintext_out`, behind what is already queued."""
        if self.reactor.outbox.owner is self:
            self.empty_outbox()
        if self.engine.output:
            self.tls.write(self._queued())
        self.meter.moved(count, self.reactor.wheel.now)
        if self.is_stalled:
            self.tls.write_shared(self.reactor.plaintext_out, count)
        else:
            self._send(self.reactor.plaintext_out, count, b"")

    def empty_outbox(self) -> None:
        """Encrypt what relays have put there for this peer. It is sent with the next that is."""
        outbox = self.reactor.outbox
        self.tls.write_shared(outbox.buffer, outbox.take())

    def _queued(self) -> bytes:
        """What the engine has to say; taken."""
        out = self.engine.output
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    def wait_writable(self, driver: TunnelDriver) -> None:
        """`driver` stopped because the socket is full; it is told when there is room."""
        self._waiting[driver] = None

    def _send_ciphertext(self) -> None:
        """Hand the kernel what is encrypted."""
        if not (self.is_stalled or self.is_closed):
            self._send(self.reactor.outbox.buffer, 0, b"")

    def _send(self, buffer: SharedBuffer, size: int, queued: bytes) -> None:
        """Encrypt as `Way.send` says, and hand it to the kernel; on the first refusal keep the rest and stall."""
        try:
            unsent = self.way.send(buffer, size, queued)
        except OSError:
            self._write_failed()
            return
        if unsent:
            self._unsent = unsent
            self.is_stalled = True
            self.transport.await_room()

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
