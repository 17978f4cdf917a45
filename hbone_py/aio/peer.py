"""Peer: the authenticated other end. A transport, a TlsEngine and an HboneConnection, driven by the reactor.

It knows no tunnel's meaning: what happens on a stream goes to the stream's `owner` (a `TunnelDriver`), what happens
to the connection goes to the peer's `owner`. Writing waits for the end of the batch (`flush`), save for bulk frames,
which are encrypted straight from the shared buffer (`write_frames`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py import events as ev
from hbone_py.aio.owners import NOBODY, let_nobody_in
from hbone_py.aio.reactor import CLOSING, READ_SIZE, READABLE, SHORT_PIECE, WRITABLE
from hbone_py.config import PING_PAYLOAD, Deadlines, Http2Config, Keepalive
from hbone_py.connection import HboneConnection
from hbone_py.errors import (
    ConnectionLost,
    ErrorCode,
    HboneError,
    RemoteProtocolError,
    SettingsTimeout,
    TlsError,
    TlsTimeout,
)
from hbone_py.placement import LARGE, BulkMeter
from hbone_py.tls.engine import TlsEngine
from hbone_py.tls.verify import identities_of_der

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.aio.owners import IdentityCheck, PeerOwner, TunnelDriver
    from hbone_py.aio.reactor import Reactor
    from hbone_py.aio.transport import Transport
    from hbone_py.aio.wheel import Timer
    from hbone_py.identity import SpiffeId
    from hbone_py.streams import Stream
    from hbone_py.tls.context import TlsContext

_FAREWELL = 5.0
_READS_PER_TURN = 4
_NEARLY_FULL = READ_SIZE - 16 * 1024
"""Plaintext of less than this in the buffer is all there was: one more record would have found room."""


class Peer:
    """One HBONE connection over any transport. Make it, then `start()`."""

    def __init__(
        self,
        reactor: Reactor,
        transport: Transport,
        context: TlsContext,
        owner: PeerOwner,
        *,
        check: IdentityCheck,
        config: Http2Config | None = None,
        deadlines: Deadlines | None = None,
        keepalive: Keepalive | None = None,
    ) -> None:
        config = config or Http2Config()
        self.reactor = reactor
        self.transport = transport
        self.owner: PeerOwner = owner
        self.is_client = not context.is_server
        self.tls = TlsEngine(context)
        self.engine = HboneConnection(
            client=self.is_client,
            config=config.cramped() if reactor.ledger.is_near else config,
            ledger=reactor.ledger,
        )
        self.identities: tuple[SpiffeId, ...] = ()
        """The peer's SPIFFE identities, once TLS is done."""
        self.is_up = False
        self.is_closed = False
        self.is_dirty = False
        """Listed for a flush; the reactor's."""
        self.is_stalled = False
        """The socket is full: nobody may write bulk until `tunnel_writable`."""
        self.meter = BulkMeter()
        self._is_bulk = False  # so the last read says
        self._check = check
        self._deadlines = deadlines or Deadlines()
        self._keepalive = keepalive or Keepalive()
        self._unsent = b""
        self._waiting: dict[TunnelDriver, None] = {}  # for the socket
        self._without_turn: list[Stream] = []  # when the connection's window was open the last time
        self._timer: Timer | None = None
        self._is_hung_up = False
        self._is_new = True  # its handshake is not over
        self._is_leaving = False

    @property
    def identity(self) -> SpiffeId | None:
        """The peer's first identity: what policies judge (hbone-dataplane 1.1)."""
        return self.identities[0] if self.identities else None

    def start(self) -> None:
        """Begin the TLS handshake; a server says its SETTINGS as soon as TLS allows."""
        self.reactor.peers.add(self)
        self._timer = self.reactor.wheel.after(
            self._deadlines.tls, lambda: self._lose(TlsTimeout("TLS handshake timed out"))
        )
        self.transport.start(self)
        if self.is_client:
            self._shake()

    # Reading ---------------------------------------------------------------

    def on_ready(self, mask: int) -> None:
        """The kernel reports an edge."""
        if mask & CLOSING:
            self._is_hung_up = True
        if self.is_stalled and mask & WRITABLE:
            self._unstall()
        if mask & READABLE and (self._is_bulk or (self._is_new and not self.reactor.has_time())):
            self.reactor.later(self)
        elif mask & READABLE:
            self.on_again()

    def on_again(self) -> None:
        """Read once, then let others have a turn. Never stops for anybody's window."""
        if self.is_closed:
            return
        if self._is_leaving:
            self._read_to_end()
            return
        view = self.reactor.ciphertext_in.view
        if self._is_bulk and self.reactor.short_pieces:
            view = view[:SHORT_PIECE]
        try:
            count = self.transport.recv_into(view)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(ConnectionLost(f"connection to the peer broke: {error.strerror}"))
            return
        if not count:
            self._end_of_file()
            return
        try:
            self._take(count)
        except TlsError as error:
            self._lose(error)
            return
        self._is_bulk = count >= LARGE and self.engine.saw_bulk()
        if self._is_bulk:
            self.meter.moved(count, self.reactor.wheel.now)
        if count == len(view) or self._is_hung_up:
            self.reactor.later(self)

    def _take(self, count: int) -> None:
        """`count` bytes of ciphertext are in the shared buffer."""
        reactor, tls = self.reactor, self.tls
        plaintext = reactor.plaintext_in
        if tls.handshake_done:
            size = tls.receive(reactor.ciphertext_in, count, plaintext)
        else:
            tls.feed_shared(reactor.ciphertext_in, count)
            if not self._shake():
                return
            size = tls.read_into(plaintext)
        engine = self.engine
        while size:
            engine.receive(plaintext.view, size)
            if size <= _NEARLY_FULL:
                break
            size = tls.read_into(plaintext)
        if engine.happened or engine.blocked or self._without_turn:
            self._dispatch()
        elif engine.output:  # credit, that is: a message mostly brings nothing but its bytes
            reactor.touch(self)
        if tls.peer_closed and not self.is_closed:
            self._end_of_file()

    def _shake(self) -> bool:
        """Go on with the handshake; True once it is over and the peer is who it should be."""
        try:
            done = self.tls.handshake()
            if done:
                self.identities = identities_of_der(self.tls.peer_leaf_der)
                check, self._check = self._check, let_nobody_in
                check(self.identities)
        except TlsError as error:
            self._send_ciphertext()  # the alert that tells the peer why
            self._lose(error)
            return False
        if not done:
            self._send_ciphertext()
            return False
        self._is_new = False
        late = SettingsTimeout("http2 handshake failed: no SETTINGS from the peer in time")
        self._set_timer(self._deadlines.settings, lambda: self._lose(late))
        self.owner.peer_secured(self)
        if self.is_client:  # the handshake's end, our SETTINGS and a first tunnel: somebody waits for them
            self.flush()
        return not self.is_closed

    def _end_of_file(self) -> None:
        if not self.tls.handshake_done:
            self._lose(TlsError("TLS handshake failed: the peer closed the connection"))
            return
        self.engine.receive_eof()
        self._dispatch()

    def _dispatch(self) -> None:
        """Tell owners what the engine found, in order."""
        engine = self.engine
        for event in engine.events():
            if self.is_closed:
                return
            try:
                kind = type(event)
                if kind is ev.TunnelRequested:
                    self.owner.tunnel_requested(self, event)  # type: ignore[arg-type]
                elif kind is ev.TunnelAccepted:
                    owner = event.stream.owner  # type: ignore[union-attr]
                    if owner is not None:  # else it was given up in this very batch
                        owner.tunnel_accepted(event)
                elif kind is ev.TunnelEnded:
                    owner = event.stream.owner  # type: ignore[union-attr]
                    if owner is not None:
                        owner.tunnel_ended()
                else:
                    self._dispatch_rare(event)
            except Exception as error:
                self._owner_failed(getattr(event, "stream", None), error)
        if engine.blocked or self._without_turn:
            self._resume()
        if engine.output and not self.is_closed:
            self.reactor.touch(self)

    def _resume(self) -> None:
        """The window may be open again: everybody who was refused tries, those first who had no turn the last time."""
        engine = self.engine
        ready = self._without_turn + engine.unblocked()
        self._without_turn = []
        for position, stream in enumerate(ready):
            if engine.send_window <= 0:
                self._without_turn = ready[position:]
                return
            if stream.owner is not None and stream.local_open:
                try:
                    stream.owner.tunnel_writable()
                except Exception as error:
                    self._owner_failed(stream, error)

    def _dispatch_rare(self, event: ev.Event) -> None:
        match event:
            case ev.TunnelReset():
                if event.stream.owner is not None:
                    event.stream.owner.tunnel_reset(event)
            case ev.TunnelRefused():
                if event.stream.owner is not None:
                    event.stream.owner.tunnel_refused(event.status)
            case ev.SettingsReceived():
                self._settings_received()
            case ev.PingAcknowledged():
                self._set_timer(self._keepalive.interval, self._ping)
            case ev.GoAwayReceived():
                self.owner.peer_draining(self)
            case ev.RequestRefused():
                self.owner.request_refused(self, event)
            case ev.ConnectionEnded():
                self._lose(event.as_error())
            case _:
                pass

    def _owner_failed(self, stream: Stream | None, error: Exception) -> None:
        """A handler of ours is broken: its own stream ends, its neighbours go on."""
        self.reactor.report(self, error)
        if stream is None:
            self.abort(error)
            return
        owner, stream.owner = stream.owner, None
        self.engine.reset(stream, ErrorCode.INTERNAL_ERROR)
        self.reactor.touch(self)
        if owner is not None:
            self._tell_lost(owner, HboneError(f"unexpected error: {error!r}"))

    def _tell_all_lost(self, streams: list[Stream], error: HboneError) -> None:
        for stream in streams:
            if stream.owner is not None:
                self._tell_lost(stream.owner, error)

    def _tell_lost(self, driver: TunnelDriver, error: HboneError) -> None:
        try:
            driver.tunnel_lost(error)
        except Exception as another:
            self.reactor.report(driver, another)

    def _settings_received(self) -> None:
        if not self.is_up and not self.is_closed:
            self.is_up = True
            self._set_timer(self._keepalive.interval, self._ping)
            self.owner.peer_up(self)

    # Writing ---------------------------------------------------------------

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
                return
            if count < buffer.size:
                return

    def _unstall(self) -> None:
        """There is room again: the kept rest first, then everybody who waits."""
        while self._unsent:
            try:
                sent = self.transport.send(self._unsent)
            except BlockingIOError:
                return
            except OSError:
                self._write_failed()
                return
            self._unsent = self._unsent[sent:]
        self.is_stalled = False
        self._send_ciphertext()
        if self.is_closed or self.is_stalled:
            return
        if self._is_leaving:
            self._take_leave()
            return
        self.flush()
        waiting = self._waiting
        while waiting and not self.is_stalled:  # who is not reached keeps its place before those who were
            driver = next(iter(waiting))
            del waiting[driver]
            try:
                driver.tunnel_writable()
            except Exception as error:
                streams = self.engine.streams.values()
                self._owner_failed(next((stream for stream in streams if stream.owner is driver), None), error)

    def _write_failed(self) -> None:
        """Nothing more can be written. What the peer sent before may still say why (a TLS alert): read it first."""
        self.is_stalled = True
        self._waiting.clear()
        self._is_hung_up = True
        self.reactor.again(self)

    def _bound_control(self) -> None:
        """A peer that asks and never reads our answers is ended before they fill memory."""
        if self.engine.queued_bytes > self.engine.config.max_queued_control:
            self._lose(RemoteProtocolError("the peer does not read our answers", ErrorCode.ENHANCE_YOUR_CALM))

    # Deadlines and the end ---------------------------------------------------------------

    def _set_timer(self, seconds: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.reactor.wheel.after(seconds, callback)

    def _ping(self) -> None:
        if not self.engine.streams:
            self.tls.release_memory()  # what a burst made its buffers grow to
        self.engine.ping(PING_PAYLOAD)
        self.reactor.touch(self)
        self._set_timer(self._keepalive.timeout, lambda: self._lose(ConnectionLost("the peer does not answer PINGs")))

    def drain(self) -> None:
        """Server: say GOAWAY in two steps; open tunnels go on."""
        self.engine.drain()
        self.reactor.touch(self)

    def farewell(self) -> None:
        """End it so that the peer can read all we sent: GOAWAY, close_notify, FIN, and wait a little for its own.

        Closing at once would drop what the socket has not taken yet, and where something unread has arrived the
        kernel would answer with RST and drop what it still holds. Open streams are told at once.
        """
        if not self.is_up or self.is_closed:
            self.close()
        elif not self._is_leaving:
            self._is_leaving = True
            streams = self.engine.abandon(ErrorCode.CANCEL)
            self.engine.close()
            self._tell_all_lost(streams, ConnectionLost("connection closed"))
            self._set_timer(_FAREWELL, lambda: self._lose(None))
            if not self.is_stalled:
                self._take_leave()

    def _take_leave(self) -> None:
        """The last bytes, as soon as the socket has room for them."""
        self.flush()
        self.tls.send_close_notify()
        self._send_ciphertext()
        if not self.is_stalled:
            self.transport.end()
            self.reactor.again(self)

    def _read_to_end(self) -> None:
        """Nothing the peer still says matters, but that it ends."""
        for _ in range(_READS_PER_TURN):
            try:
                count = self.transport.recv_into(self.reactor.ciphertext_in.view)
            except BlockingIOError:
                return
            except OSError:
                count = 0
            if not count:
                self._lose(None)
                return
        self.reactor.again(self)

    def close(self, error: HboneError | None = None) -> None:
        """End it now: GOAWAY, close_notify, FIN. Open streams are told `error`."""
        if self.is_closed:
            return
        self.engine.close()
        if self.tls.handshake_done and not self.is_stalled:
            self.flush()
            self.tls.send_close_notify()
            self._send_ciphertext()
        self._lose(error)

    def abort(self, error: Exception) -> None:
        """A handler of ours failed: end the connection at once."""
        self._lose(ConnectionLost(f"unexpected error: {error!r}"))

    def _lose(self, error: HboneError | None) -> None:
        if self.is_closed:
            return
        if self.tls.handshake_done and not self.is_stalled and self.engine.ended:
            self.flush()  # the GOAWAY that says what was wrong
        self.is_closed = True
        if self.reactor.outbox.owner is self:
            self.reactor.outbox.clear()
        self.reactor.peers.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self.transport.close()
        self._waiting.clear()
        self._without_turn.clear()
        self.engine.close()  # nobody opens a tunnel here any more
        self._tell_all_lost(self.engine.abandon(), error or ConnectionLost("connection closed"))
        self._check = let_nobody_in
        owner, self.owner = self.owner, NOBODY
        owner.peer_closed(self, error)

    def __str__(self) -> str:
        return f"peer {self.identity or '(unknown)'} over {self.transport}"
