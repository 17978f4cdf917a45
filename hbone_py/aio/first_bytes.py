"""What an application says at once travels with its CONNECT, instead of behind the 200 (decision 0026).

All DATA behind a CONNECT's headers is the tunnel's (RFC 9113 section 8.5): a server that has not answered yet keeps it
within the stream's window, and one that refuses drops it. The bytes are only looked at, and stay in the application's
socket until there is a tunnel: whoever has to ask again, or to give up, finds them there.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from hbone_py.aio.outbox import SMALL
from hbone_py.aio.pieces import PIECES_A_CALL
from hbone_py.aio.reactor import CLOSING, READABLE
from hbone_py.frames import HEADER

if TYPE_CHECKING:
    from hbone_py.aio.peer import Peer
    from hbone_py.streams import Stream


class FirstBytes:
    """Of one application, for a tunnel that was just asked for: what is there is sent, else waited for.

    Then `hand_on` them to the relay, or `stop`. One DATA frame at most, as large as every peer takes; the application's
    end waits for the 200, like all else.
    """

    __slots__ = ("_edges", "_is_hearing", "_is_watching", "_peer", "_sock", "_stream", "broken", "heard", "sent")

    def __init__(self, peer: Peer, stream: Stream, sock: socket.socket) -> None:
        self._peer, self._stream, self._sock = peer, stream, sock
        self._is_watching = self._is_hearing = False
        self._edges = 0  # reported, and not for us to act upon
        self.sent = 0
        """How many bytes have been sent, and are still to be taken off the socket."""
        self.heard = 0
        """How many bytes the application was given before there was a relay (`hear`)."""
        self.broken: OSError | None = None
        """What the kernel has said of the socket, and says only once."""
        self._send()
        if not self.sent:
            self._is_watching = True
            peer.reactor.register(sock.fileno(), self)

    def hear(self) -> None:
        """What comes in one record with the 200 goes to the application at once, and is not held until that is told."""
        self._is_hearing = True
        self._stream.sink = self._give

    def _give(self, pieces: list[memoryview], size: int) -> int:
        """The stream's sink. What it leaves, and a socket that is broken, the relay will find."""
        try:
            count = self._sock.send(pieces[0]) if len(pieces) == 1 else self._sock.sendmsg(pieces[:PIECES_A_CALL])
        except OSError:
            return 0
        self.heard += count
        return count

    def hand_on(self) -> int:
        """The tunnel is open: whoever registers the socket next has the rest. Returns `sent`."""
        if self._is_watching:
            self._is_watching = False
            self._peer.reactor.hand_on(self._sock, self._edges)
        return self.sent

    def stop(self) -> None:
        """There will be no tunnel, or another one."""
        if self._is_hearing:
            self._is_hearing = False
            self._stream.sink = None  # else both would keep each other alive
        if self._is_watching:
            self._is_watching = False
            self._peer.reactor.unregister(self._sock.fileno())

    def _send(self) -> bool:
        """Returns whether that was all there is. Nothing is put behind a full TLS socket or a shut window."""
        peer, stream = self._peer, self._stream
        engine = peer.engine
        room = 0 if peer.is_stalled else engine.sendable(stream)
        if not room:
            return False
        if room > SMALL:
            room = SMALL
        view = peer.reactor.plaintext_out.view
        try:
            count = self._sock.recv_into(view, room, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError as error:
            self.broken = error
            return False
        if count:
            self.sent = count
            # `claim` and `queue_frame`, once a tunnel.
            stream.send_window -= count
            engine.send_window -= count
            engine.output.append(HEADER.pack(count << 8, 0, stream.stream_id) + view[:count])
        return count < room

    def on_ready(self, mask: int) -> None:
        """The kernel reports an edge: the first bytes, or what the relay will have to be told."""
        if mask & READABLE and not self.sent:
            is_all = self._send()
            self._peer.reactor.touch(self._peer)
            if is_all and not mask & CLOSING:
                return
        self._edges |= mask

    def on_again(self) -> None:
        """Never asked for."""

    def abort(self, error: Exception) -> None:
        """A handler of ours failed: the relay begins with the socket as it is."""
        self.stop()
