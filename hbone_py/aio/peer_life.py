"""How long a peer lives: the one deadline it has at a time, its signs of life, and its three ways to end.

`farewell` lets the other end read all that was said, `close` ends it now, and a fault (`_lose`) ends it at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.aio.peer_output import PeerOutput
from hbone_py.config import PING_PAYLOAD, Deadlines, Keepalive
from hbone_py.errors import ConnectionLost, ErrorCode, HboneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.aio.owners import TunnelDriver
    from hbone_py.aio.reactor import Reactor
    from hbone_py.aio.transport import Transport
    from hbone_py.aio.wheel import Timer
    from hbone_py.connection import HboneConnection
    from hbone_py.streams import Stream
    from hbone_py.tls.engine import TlsEngine

_FAREWELL = 5.0
_READS_PER_TURN = 4


class PeerLife(PeerOutput):
    """The middle layer of a `Peer`: timers, and the end."""

    def __init__(
        self,
        reactor: Reactor,
        transport: Transport,
        tls: TlsEngine,
        engine: HboneConnection,
        deadlines: Deadlines | None,
        keepalive: Keepalive | None,
    ) -> None:
        super().__init__(reactor, transport, tls, engine)
        self.is_up = False
        """TLS is done and the peer's SETTINGS are here."""
        self._deadlines = deadlines or Deadlines()
        self._keepalive = keepalive or Keepalive()
        self._timer: Timer | None = None
        self._is_hung_up = False
        self._is_leaving = False

    # Deadlines ---------------------------------------------------------------

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

    # The end ---------------------------------------------------------------

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
        self._send_last()
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
            self._send_last()
        self._lose(error)

    def _send_last(self) -> None:
        """All that is left, GOAWAY, close_notify: one system call, and one packet with the FIN behind it."""
        if self.reactor.outbox.owner is self:
            self.empty_outbox()
        if self.engine.output:
            self.tls.write(self._queued())
        self.tls.send_close_notify()
        self.transport.hold()
        self._send_ciphertext()

    def abort(self, error: Exception) -> None:
        """A handler of ours failed: end the connection at once."""
        self._lose(ConnectionLost(f"unexpected error: {error!r}"))

    def _write_failed(self) -> None:
        """Nothing more can be written. What the peer sent before may still say why (a TLS alert): read it first."""
        self.is_stalled = True
        self._waiting.clear()
        self._is_hung_up = True
        self.reactor.again(self)

    def _lose(self, error: HboneError | None) -> None:
        """It is over, `error` being why: every stream is told, then the owner, once."""
        if self.is_closed:
            return
        if self.tls.handshake_done and not self.is_stalled and self.engine.ended:
            self.flush()  # the GOAWAY that says what was wrong
        self.is_closed = True
        if self.reactor.outbox.owner is self:
            self.reactor.outbox.take()
        if self._timer is not None:
            self._timer.cancel()
        self.transport.close()
        self._waiting.clear()
        self.engine.close()  # nobody opens a tunnel here any more
        self._tell_all_lost(self.engine.abandon(), error or ConnectionLost("connection closed"))
        self._closed(error)

    def _tell_all_lost(self, streams: list[Stream], error: HboneError) -> None:
        for stream in streams:
            if stream.owner is not None:
                self._tell_lost(stream.owner, error)

    def _tell_lost(self, driver: TunnelDriver, error: HboneError) -> None:
        try:
            driver.tunnel_lost(error)
        except Exception as another:
            self.reactor.report(driver, another)

    def _closed(self, error: HboneError | None) -> None:
        """The last act of `_lose`: see `Peer`."""
        raise NotImplementedError
