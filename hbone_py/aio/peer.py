"""Peer: the authenticated other end. A transport, a TlsEngine and an HboneConnection, driven by the reactor.

It knows no tunnel's meaning: what happens on a stream goes to the stream's `owner` (a `TunnelDriver`), what happens
to the connection goes to the peer's `owner`. Here it is read and told; `peer_output` writes, `peer_life` ends it. The
three are layers of one object, since every message passes through it: a call between objects would cost each of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py import events as ev
from hbone_py.aio.owners import NOBODY, let_nobody_in
from hbone_py.aio.peer_life import PeerLife
from hbone_py.aio.pieces import READ_SIZE, SHORT_RECORDS
from hbone_py.aio.reactor import CLOSING, READABLE, WRITABLE
from hbone_py.config import Http2Config
from hbone_py.connection import HboneConnection
from hbone_py.errors import (
    ConnectionLost,
    ErrorCode,
    HboneError,
    SettingsTimeout,
    TlsError,
    TlsTimeout,
)
from hbone_py.placement import LARGE
from hbone_py.tls.engine import TlsEngine
from hbone_py.tls.records import FULL_RECORD
from hbone_py.tls.verify import identities_of_der

if TYPE_CHECKING:
    from hbone_py.aio.owners import IdentityCheck, PeerOwner
    from hbone_py.aio.reactor import Reactor
    from hbone_py.aio.transport import Transport
    from hbone_py.config import Deadlines, Keepalive
    from hbone_py.identity import SpiffeId
    from hbone_py.streams import Stream
    from hbone_py.tls.context import TlsContext

_NEARLY_FULL = READ_SIZE
"""Plaintext of no more than this in the buffer is all there was: one more record would have found room."""


class Peer(PeerLife):
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
        is_client = not context.is_server
        config = config or Http2Config()
        if reactor.ledger.is_near:
            config = config.cramped()
        engine = HboneConnection(client=is_client, config=config, ledger=reactor.ledger)
        super().__init__(reactor, transport, TlsEngine(context), engine, deadlines, keepalive)
        self.owner: PeerOwner = owner
        self.is_client = is_client
        self.identities: tuple[SpiffeId, ...] = ()
        """The peer's SPIFFE identities, once TLS is done."""
        self._check = check
        self._is_bulk = False  # so the last read says
        self._is_new = True  # its handshake is not over
        self._unheard = b""  # plaintext that the last turn had no time for; nothing is read meanwhile
        self._without_turn: list[Stream] = []  # when the connection's window was open the last time

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
        if self.is_stalled and mask & WRITABLE and self._unstall():
            self._room_again()
        if mask & READABLE and (self._is_bulk or (self._is_new and not self.reactor.has_time())):
            self.reactor.later(self)
        elif mask & READABLE:
            self.on_again()

    def on_again(self) -> None:
        """Read once, then let others have a turn. Never stops for anybody's window."""
        if self.is_closed:
            return
        if self._is_leaving or self._unheard:
            self._read_no_further()
            return
        way = self.way
        most = (
            SHORT_RECORDS * FULL_RECORD
            if self._is_bulk and self.reactor.short_pieces
            else self.reactor.ciphertext_in.size
        )
        try:
            size = way.receive(most)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(ConnectionLost(f"connection to the peer broke: {error.strerror}"))
            return
        except TlsError as error:
            self._lose(error)
            return
        count = way.received
        if not count:
            self._end_of_file()
            return
        try:
            self._take(size)
        except TlsError as error:
            self._lose(error)
            return
        self._is_bulk = count >= LARGE and self.engine.saw_bulk()
        if self._is_bulk:
            self.meter.moved(count, self.reactor.wheel.now)
        if count == most:
            self.reactor.later(self)
        elif self._is_hung_up:
            self._read_on()

    def _read_on(self) -> None:
        """The end lies behind what was read, and no edge tells of it any more; it may have been told already."""
        if not self.is_closed and not self._unheard:
            self.reactor.again(self)

    def _read_no_further(self) -> None:
        """We leave, and nothing counts any more; or the last read held more than one turn may take."""
        if self._is_leaving:
            self._read_to_end()
            return
        try:
            self._hear_rest()
        except TlsError as error:
            self._lose(error)
            return
        self.reactor.later(self)

    def _hear_rest(self) -> None:
        """As `_take`, with what the last turn has left."""
        tls, plaintext = self.tls, self.reactor.plaintext_in
        data, self._unheard = self._unheard, b""
        view, size = memoryview(data), len(data)
        while size:
            rest = self.engine.receive(view, size)
            if rest:
                self._unheard = bytes(view[size - rest : size])
                break
            view, size = plaintext.view, tls.read_into(plaintext)
        self._dispatch()
        if tls.peer_closed and not self._unheard and not self.is_closed:
            self._end_of_file()

    def _take(self, size: int) -> None:
        """`size` bytes of plaintext are in the shared buffer, or the engine was fed what belongs to the handshake."""
        reactor, tls = self.reactor, self.tls
        plaintext = reactor.plaintext_in
        if self._is_new:
            if not self._shake():
                return
            size = tls.read_into(plaintext)
        engine = self.engine
        while size:
            rest = engine.receive(plaintext.view, size)
            if rest:
                self._unheard = bytes(plaintext.view[size - rest : size])
                reactor.later(self)
                break
            if size <= _NEARLY_FULL:
                break
            size = tls.read_into(plaintext)
        if engine.happened or engine.blocked or self._without_turn:
            self._dispatch()
        elif engine.output:  # credit, that is: a message mostly brings nothing but its bytes
            reactor.touch(self)
        if tls.peer_closed and not self._unheard and not self.is_closed:
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

    def _room_again(self) -> None:
        """The socket takes bytes again: everybody who waits for it tries."""
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

    def _settings_received(self) -> None:
        if not self.is_up and not self.is_closed:
            self.is_up = True
            self._set_timer(self._keepalive.interval, self._ping)
            self.owner.peer_up(self)

    def _closed(self, error: HboneError | None) -> None:
        self.reactor.peers.discard(self)
        self._without_turn.clear()
        self._unheard = b""
        self._check = let_nobody_in
        owner, self.owner = self.owner, NOBODY
        owner.peer_closed(self, error)

    def __str__(self) -> str:
        return f"peer {self.identity or '(unknown)'} over {self.transport}"
