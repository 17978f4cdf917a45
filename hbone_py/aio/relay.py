"""Relay: one application socket and one tunnel, as a state machine on the reactor, without a task.

Bytes go straight through: from the application into the shared buffer behind room for frame headers, from the
decrypted buffer into the application's socket. What a full socket refuses stays in the stream, unread, so that the
window is the back-pressure; a shut window or a full tunnel socket stops the reading of the application.
`plain_relay.relay` is the same in plain coroutines: the specification.

Resets travel (hbone-dataplane 1.6, mended): a TCP RST becomes a stream reset and back again, so that nobody takes a
cut for an end; `lenient` gives the real ztunnel's form, where both become clean ends. A connection that is lost
resets its applications too, once they have what arrived before.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from hbone_py.aio.outbox import LAST, SMALL, STEP
from hbone_py.aio.pieces import (
    PIECE,
    PIECES_A_CALL,
    SCATTERED_FRAME,
    SHORT_PIECE,
    SHORT_RECORDS,
    first_of,
    write_headers,
)
from hbone_py.aio.reactor import ARRIVAL, BROKEN, CLOSING, READABLE, SHORT_PIECES, WRITABLE
from hbone_py.aio.tcp import reset, unacknowledged, what_broke
from hbone_py.errors import ConnectionLost, ErrorCode, HboneError, StreamReset
from hbone_py.frames import HEADER, HEADER_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py import events as ev
    from hbone_py.aio.peer import Peer
    from hbone_py.aio.wheel import Timer
    from hbone_py.streams import Stream

_READS_PER_TURN = 4
_GIVEN_A_TURN = 4 * SHORT_PIECE
"""Held bytes that an application is given in one turn while somebody talks."""
_GRACE = 5.0
_DELIVERY, _LOOK = 30.0, 0.5
"""Seconds that an application has for what a lost tunnel brought, and from one look at that to the next."""
_CLEAN_RESETS = (ErrorCode.NO_ERROR, ErrorCode.CANCEL)


def _told(_relay: Relay, _error: HboneError | None) -> None:
    """In the place of `Relay.done` once that was called."""


class Relay:
    """Carries one connection. `done(relay, error)` is called once, when both directions are over or it broke.

    The application's socket comes to the reactor with `start`. `sent` counts bytes
    from the application into the tunnel, `received` bytes from the tunnel that the application's kernel took.
    """

    __slots__ = (
        "_grace",
        "_has_begun",
        "_has_room",
        "_is_broken",
        "_is_closing",
        "_is_discarding",
        "_is_full",
        "_is_reading",
        "_is_small",
        "_lenient",
        "_reactor",
        "done",
        "down_ended",
        "is_over",
        "peer",
        "received",
        "sent",
        "sock",
        "stream",
        "up_ended",
    )

    def __init__(
        self,
        peer: Peer,
        stream: Stream,
        sock: socket.socket,
        done: Callable[[Relay, HboneError | None], None],
        *,
        lenient: bool = False,
    ) -> None:
        self.peer, self.stream, self.sock, self.done = peer, stream, sock, done
        self.sent = self.received = 0
        self.up_ended = False
        """The application ended its direction."""
        self.down_ended = False
        """The tunnel ended its direction and the application was told."""
        self.is_over = False
        self._reactor = peer.reactor
        self._lenient = lenient
        self._has_begun = False  # the tunnel is open,
        self._is_reading = False  # and the application may be read: nothing has ended it
        self._is_full = False  # the application's socket refused bytes: some are held
        self._has_room = False  # it takes them again, and our turn to give them is to come
        self._is_closing = False  # the kernel said the application has hung up: read to the end
        self._is_broken = False  # and that it was by a reset
        self._is_small = True  # the last read was smaller than a frame
        self._is_discarding = False  # the tunnel is gone, cleanly: what the application still says goes nowhere,
        self._grace: Timer | None = None  # for this long

    def start(self, sent_before: int = 0, broken: OSError | None = None) -> None:
        """The tunnel is open: carry bytes both ways from now on, those held so far first.

        Client: `sent_before` bytes of the application's have gone, and are still in its socket; `broken` is what became
        of that meanwhile (`first_bytes`).
        """
        self._has_begun = self._is_reading = True
        stream = self.stream
        stream.owner = self
        self._reactor.register(self.sock.fileno(), self)
        if stream.unread:
            self._drain_held()
            if self.is_over:
                return
        stream.sink = self._deliver
        # One that was reset in this very batch is open on neither side: that it was no end is told next.
        if stream.local_open and not stream.remote_open and not stream.unread:
            self._finish_down()
        if sent_before or broken is not None:
            self._take_off(sent_before, broken)
        elif self.peer.is_client and not self.is_over:
            self.on_again()  # the application spoke first, most likely; a server's has yet to hear something

    def _take_off(self, count: int, broken: OSError | None) -> None:
        """The tunnel has these bytes already. The kernel reports what is behind them, but not again what broke."""
        try:
            self.sent += self.sock.recv_into(self._reactor.plaintext_out.view[:count])
        except OSError as error:
            self._application_broke(error)
        if broken is not None:
            self._application_broke(broken)

    # The application's socket ---------------------------------------------------------------

    def on_ready(self, mask: int) -> None:
        """The kernel reports an edge."""
        if mask == ARRIVAL and self._is_small and not self._is_full:
            self._hear()
            return
        if mask & CLOSING:
            self._is_closing = True
            self._is_broken = self._is_broken or bool(mask & BROKEN)
        if self._is_full and mask & WRITABLE:
            self._drain_held()
        if mask & READABLE and not self.is_over:
            self._read_soon()
        if self._is_broken and self.up_ended and not self.is_over:
            self._application_broke(what_broke(self.sock))

    def _hear(self) -> None:
        """The usual message: `on_again` where nothing stands in its way, in fewer steps."""
        peer, window = self.peer, self.stream.send_window
        if not self._is_reading or peer.is_stalled or window < SMALL or peer.engine.send_window < SMALL:
            self.on_again()
            return
        try:
            room = self._read_small(SMALL)
        except BlockingIOError:
            return
        except OSError as error:
            self._application_broke(error)
            return
        if room < 0:
            self._application_ended()
        elif not room:
            self._reactor.later(self)

    def on_again(self) -> None:
        """Application to tunnel: read while both the window and the tunnel's socket have room."""
        if self._has_room:
            self._drain_held()
        if self._is_discarding:
            self._discard()
            return
        if not self._is_reading:
            return
        peer, stream = self.peer, self.stream
        for _ in range(_READS_PER_TURN):
            if peer.is_stalled:
                peer.wait_writable(self)
                self._paused()
                return
            allowed = peer.engine.sendable(stream)
            if not allowed:
                self._paused()
                return
            try:
                room = self._read_small(allowed) if self._is_small else self._read_large(allowed)
            except BlockingIOError:
                return
            except OSError as error:
                self._application_broke(error)
                return
            if room < 0:
                self._application_ended()
                return
            if room and not self._is_closing:
                return
            if not self._is_small:
                break
        self._reactor.later(self)

    def _read_soon(self) -> None:
        """At once, or in line with others' bulk where the last read says that this will be bulk."""
        if self._is_small:
            self.on_again()
        else:
            self._reactor.later(self)

    def _paused(self) -> None:
        """There is no room for what the application says. If it is gone by a reset, its bytes are worth nothing."""
        if self._is_broken and not self._lenient:
            self._application_broke(what_broke(self.sock))

    def _read_small(self, allowed: int) -> int:
        """Read once, as much as a frame that every peer takes, and frame in place; written when the batch is over.

        Returns for how many bytes more there was room, or -1 at the end.
        """
        peer, reactor = self.peer, self._reactor
        outbox, engine, stream = reactor.outbox, peer.engine, self.stream
        used, wanted = outbox.used, SMALL if allowed >= SMALL else allowed
        if used > LAST:
            outbox.make_room()
            used = 0
        if reactor.frames is not None:
            count = reactor.frames.read(self.sock, used, wanted, stream.stream_id)
        else:
            room = outbox.buffer.view[used + HEADER_SIZE : used + STEP] if used else outbox.first
            count = self.sock.recv_into(room if wanted == SMALL else room[:wanted])
            HEADER.pack_into(outbox.buffer.view, used, count << 8, 0, stream.stream_id)
        if not count:
            return -1
        if count == SMALL:
            self._is_small = False
        else:  # whoever talks would feel others' bulk
            reactor.short_pieces = SHORT_PIECES
        self.sent += count
        stream.send_window -= count
        engine.send_window -= count
        whole = used + HEADER_SIZE + count
        if engine.output or (used and outbox.owner is not peer):
            engine.queue_frame(bytes(outbox.buffer.view[used:whole]))
        else:
            outbox.owner = peer
            outbox.used = whole
        if not peer.is_dirty:
            reactor.touch(peer)
        return wanted - count

    def _read_large(self, allowed: int) -> int:
        """The same for bulk: one frame as large as the peer takes, written at once."""
        peer, buffer = self.peer, self._reactor.plaintext_out
        largest = peer.engine.peer_max_frame
        if largest < PIECE:
            return self._read_scattered(allowed)
        wanted = min(allowed, SHORT_PIECE if self._reactor.short_pieces else PIECE)
        count = self.sock.recv_into(buffer.view[HEADER_SIZE : HEADER_SIZE + wanted])
        if not count:
            return -1
        self._is_small = count < SMALL
        self._claim(count)
        HEADER.pack_into(buffer.view, 0, count << 8, 0, self.stream.stream_id)
        peer.write_frames(HEADER_SIZE + count)
        return wanted - count

    def _read_scattered(self, allowed: int) -> int:
        """For a peer that takes frames of 16 KiB only: one read fills many, each behind its own header."""
        reactor = self._reactor
        pieces = reactor.scattered
        wanted = min(allowed, (SHORT_RECORDS if reactor.short_pieces else len(pieces)) * SCATTERED_FRAME)
        whole, rest = divmod(wanted, SCATTERED_FRAME)
        targets = pieces[:whole]
        if rest:
            targets.append(pieces[whole][:rest])
        count = self.sock.recvmsg_into(targets)[0]
        if not count:
            return -1
        self._is_small = count < SCATTERED_FRAME
        self._claim(count)
        self.peer.write_frames(write_headers(reactor.plaintext_out.view, count, self.stream.stream_id))
        return wanted - count

    def _claim(self, count: int) -> None:
        """`count` bytes of the application's are on their way: take them off both windows."""
        self.sent += count
        self.peer.engine.claim(self.stream, count)

    def _application_ended(self) -> None:
        """FIN: our direction of the tunnel ends, the other lives on."""
        self.up_ended = True
        self._is_reading = False
        self.peer.engine.end(self.stream)
        self._reactor.touch(self.peer)
        if self.down_ended:
            self._finish(None)

    def _application_broke(self, error: OSError) -> None:
        """RST, or the like. What the tunnel still holds or brings for the application is dropped."""
        engine, is_client = self.peer.engine, self.peer.is_client
        if self._lenient:
            engine.end(self.stream)
            code = ErrorCode.CANCEL if is_client else ErrorCode.NO_ERROR
        else:
            code = ErrorCode.CONNECT_ERROR if is_client else ErrorCode.INTERNAL_ERROR
        engine.reset(self.stream, code)
        self._reactor.touch(self.peer)
        self._finish(ConnectionLost(f"application connection broke: {error.strerror}"))

    # The tunnel ---------------------------------------------------------------

    def _deliver(self, pieces: list[memoryview], size: int) -> int:
        """The stream's sink: tunnel to application, as much as its socket takes now."""
        frames = self._reactor.frames
        try:
            if len(pieces) == 1:
                count = self.sock.send(pieces[0]) if frames is None else frames.give(self.sock, pieces[0])
            elif len(pieces) <= PIECES_A_CALL:
                count = self.sock.sendmsg(pieces)
            else:
                count = self.sock.send(b"".join(pieces))
        except BlockingIOError:
            count = 0
        except OSError as error:
            self._application_broke(error)
            return 0
        self.received += count
        if count < size:
            self._await_room()
        return count

    def _await_room(self) -> None:
        """The application's socket is full: what it refused is held."""
        self._is_full = True
        self._reactor.await_room(self.sock.fileno())

    def _drain_held(self) -> None:
        """The application has room: what the stream holds goes first, and while somebody talks a piece a turn.

        Only then: what arrives before all of it is given is held too, which is a copy more.
        """
        stream, engine = self.stream, self.peer.engine
        self._is_full = self._has_room = False
        given = 0
        most = _GIVEN_A_TURN if self._reactor.short_pieces else stream.unread
        while stream.unread:
            if given >= most:
                self._is_full = self._has_room = True
                self._reactor.later(self)
                break
            try:
                if len(stream.held) == 1 and stream.unread <= most:  # as what came with a CONNECT is
                    count = self.sock.send(stream.held[0])
                else:
                    count = self.sock.sendmsg(first_of(stream.held, most - given))
            except BlockingIOError:
                self._await_room()
                break
            except OSError as error:
                self._application_broke(error)
                return
            given += count
            engine.consumed(stream, count)
        self.received += given
        self._reactor.touch(self.peer)
        if not stream.unread and not stream.remote_open:
            self._finish_down()

    def _finish_down(self) -> None:
        """The tunnel's direction is over and delivered: the application reads an end."""
        if self.down_ended:
            return
        self.down_ended = True
        if self.up_ended:
            self._finish(None)  # closing says the same
            return
        try:  # noqa: SIM105  # once for each tunnel: a context manager is three calls more
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:  # it may be gone already; reading will tell
            pass
        if self._is_discarding:
            self._begin_grace()

    def _begin_grace(self) -> None:
        self._grace = self._reactor.wheel.after(_GRACE, lambda: self._finish(None))

    def _discard(self) -> None:
        """Nobody wants what the application still says; closing under it would turn its end into a reset."""
        if self.is_over or self.up_ended:
            return
        view = self._reactor.plaintext_out.view
        try:
            for _ in range(_READS_PER_TURN):
                if not self.sock.recv_into(view):
                    break
            else:
                self._reactor.again(self)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.up_ended = True
        if self.down_ended:
            self._finish(None)

    def tunnel_ended(self) -> None:
        """The peer's direction is over; what is held goes first."""
        if self._has_begun and not self.stream.unread and not self.is_over:
            self._finish_down()

    def tunnel_reset(self, event: ev.TunnelReset) -> None:
        """The stream is gone: an end if it says so, else a reset for the application."""
        if self.is_over:
            return
        clean = event.after_end and event.code == ErrorCode.NO_ERROR
        # The engine has dropped what was held, unless the reset says that nothing is missing.
        forgiven = self._lenient and event.by_peer and event.code in _CLEAN_RESETS and not self._is_full
        if clean or forgiven:
            self._end_cleanly()
            return
        self._finish(StreamReset(event.code, by_peer=event.by_peer))

    def _end_cleanly(self) -> None:
        """The stream is gone with nothing missing: the application reads an end, and may say what it likes."""
        self._is_discarding = True
        self._is_reading = False
        if self.down_ended:
            self._begin_grace()
        elif not self.stream.unread:
            self._finish_down()
        self._discard()

    def tunnel_lost(self, error: HboneError) -> None:
        """The connection is gone. What had arrived is the application's; then it sees a reset: more may be missing."""
        has_begun, self._has_begun = self._has_begun, False
        self._is_reading = False
        self._await_delivery(error, self._reactor.wheel.now + _DELIVERY if has_begun else 0.0)

    def _await_delivery(self, error: HboneError, deadline: float) -> None:
        """The reset drops what the application's kernel does not have yet, and so it waits, but not forever."""
        if self.is_over:
            return
        wheel = self._reactor.wheel
        if wheel.now < deadline and (self.stream.unread or unacknowledged(self.sock)):
            self._grace = wheel.after(_LOOK, lambda: self._await_delivery(error, deadline))
            return
        self.peer.engine.reset(self.stream, ErrorCode.CANCEL)  # drops what is still held
        self._finish(error)

    def tunnel_writable(self) -> None:
        """Window or socket room is back."""
        self._read_soon()

    def tunnel_accepted(self, event: ev.TunnelAccepted) -> None:
        """Client: the tunnel is open."""
        self.start()

    def tunnel_refused(self, status: int) -> None:
        """Handled by whoever opened the tunnel; a relay starts after the 200."""

    # The end ---------------------------------------------------------------

    def cut(self, error: HboneError, code: ErrorCode) -> None:
        """End it from outside: both sides are reset."""
        if not self.is_over:
            self.peer.engine.reset(self.stream, code)
            self._reactor.touch(self.peer)
            self._finish(error)

    def abort(self, error: Exception) -> None:
        """A handler of ours failed."""
        self.cut(HboneError(f"unexpected error: {error!r}"), ErrorCode.INTERNAL_ERROR)

    def _finish(self, error: HboneError | None) -> None:
        if self.is_over:
            return
        self.is_over = True
        self._is_reading = False
        self.stream.sink = self.stream.owner = None
        if self._grace is not None:
            self._grace.cancel()
        self._reactor.forget(self.sock.fileno())
        if error is None:
            self.sock.close()
        else:
            reset(self.sock)
        done, self.done = self.done, _told  # else the connection and its relay would keep each other alive
        done(self, error)
