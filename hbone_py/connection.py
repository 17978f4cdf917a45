"""HboneConnection: one side of an HBONE connection after TLS, without I/O and without a clock [pure].

Bytes go in, events and bytes come out. Three lanes share one stream table (hot-path 5): h2 has the connection's
control frames (`control`), prepared header blocks open and answer tunnels (`header_lane`), and DATA is ours alone
(`frame_reader`, `data_lane`). What is open, and what may still arrive for what is not: `stream_table`. What a peer
may send, and what we owe it: `flow`. What its frames do: `incoming`. This file is what a driver asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py import frames
from hbone_py.errors import ConnectionClosing, ErrorCode, LocalProtocolError, StreamEnded, TooManyStreams
from hbone_py.header_blocks import STATUS_200, status
from hbone_py.incoming import DRAIN_PING, Incoming

if TYPE_CHECKING:
    from hbone_py.events import Event
    from hbone_py.flow import UnreadLedger
    from hbone_py.streams import Stream


class HboneConnection(Incoming):
    """Feed it plaintext; drain `events()` and `data_to_send()`.

    A client opens tunnels, a server is asked for them. `sendable`, `claim` and `queue_frame` serve a driver that
    builds its own DATA frames in place; `send` serves everybody else.
    """

    # What drivers drain ---------------------------------------------------------------

    def events(self) -> list[Event]:
        """What happened since the last call, in order."""
        happened = self.happened.copy()
        self.happened.clear()
        return happened

    def data_to_send(self) -> list[bytes]:
        """What must be written, in order."""
        out = self.output.copy()
        self.output.clear()
        return out

    @property
    def queued_bytes(self) -> int:
        """Bytes that `data_to_send` would give."""
        return sum(map(len, self.output))

    def saw_bulk(self) -> bool:
        """Whether a stream had much in one piece (`flow.BULK_RUN`) since the last time this was asked."""
        saw, self._credit.saw_bulk = self._credit.saw_bulk, False
        return saw

    @property
    def unread(self) -> int:
        """Bytes received and not taken by any sink, over all streams."""
        return self._credit.unread

    @property
    def is_crowded(self) -> bool:
        """Streams that nobody reads hold what all share, three quarters of our window or all of the peer's: new tunnels
        belong elsewhere."""
        credit = self._credit
        return self.send_window <= 0 or credit.unread > credit.crowd

    @property
    def ledger(self) -> UnreadLedger:
        """Unread bytes of the whole process; near its limit we return no credit."""
        return self._credit.ledger

    # Tunnels: a client opens, a server answers ---------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many more tunnels a client may open here now."""
        if self.ended or self.peer_goaway is not None or self._table.next_id > frames.MAX_STREAM_ID:
            return 0
        return self.peer_max_streams - len(self.streams)

    @property
    def tunnels_opened(self) -> int:
        """How many tunnels a client has opened here so far."""
        return self._table.next_id >> 1

    def open_tunnel(self, block: bytes) -> Stream:
        """Client: send CONNECT (a block of `header_blocks.connect_block`).

        Raises ConnectionClosing when no new tunnel may be opened here, TooManyStreams at the peer's limit.
        """
        table = self._table
        if self.room <= 0:
            if self.ended or self.peer_goaway is not None or table.next_id > frames.MAX_STREAM_ID:
                raise ConnectionClosing("the connection takes no new tunnels")
            raise TooManyStreams(f"the peer allows {self.peer_max_streams} streams")
        if not self.is_client:
            raise LocalProtocolError("only a client opens tunnels")
        stream = table.add(table.next_id)
        stream.expected = 0
        table.next_id += 2
        self._headers.write(stream.stream_id, block)
        return stream

    def accept_tunnel(self, stream: Stream, block: bytes = STATUS_200) -> None:
        """Server: answer 200. `block` may hold more headers behind STATUS_200. Nothing happens to a dead stream."""
        self._check_unanswered(stream)
        if stream.stream_id in self.streams:
            stream.answered = True
            self._headers.write(stream.stream_id, block)

    def reject_tunnel(self, stream: Stream, code: int) -> None:
        """Server: answer `code` and end; a client whose direction is open also gets RST_STREAM(NO_ERROR) (1.6)."""
        self._check_unanswered(stream)
        if stream.stream_id not in self.streams:
            return
        self._headers.write(stream.stream_id, status(code), frames.END_STREAM)
        stream.answered = True
        if stream.remote_open:
            self._table.reset(stream.stream_id, ErrorCode.NO_ERROR)
        self._table.forget(stream)
        self._credit.drop(stream)

    def _check_unanswered(self, stream: Stream) -> None:
        if self.is_client or stream.answered:
            raise LocalProtocolError(f"stream {stream.stream_id} is answered already, or not ours to answer")

    # Tunnels: bytes out ---------------------------------------------------------------

    def sendable(self, stream: Stream) -> int:
        """How many payload bytes both windows allow now. When none, the stream joins `unblocked` later."""
        window = stream.send_window
        if window > self.send_window:
            window = self.send_window
        if window > 0:
            return window
        if not stream.blocked and stream.local_open:
            stream.blocked = True
            self._table.blocked[stream] = None
        return 0

    def claim(self, stream: Stream, count: int) -> None:
        """`count` bytes of DATA are being sent by the driver: take them off both windows."""
        stream.send_window -= count
        self.send_window -= count

    def queue_frame(self, frame: bytes) -> None:
        """Queue a DATA frame the driver built itself, after `claim`."""
        self.output.append(frame)

    def send(self, stream: Stream, data: bytes | memoryview) -> int:
        """Queue DATA frames for as much of `data` as the windows allow; returns how much that was.

        Raises StreamEnded when our direction is over, LocalProtocolError when the tunnel is not accepted yet.
        """
        if not (stream.answered or self.is_client):
            self._check_sending(stream)
        if not stream.local_open:
            raise StreamEnded(f"stream {stream.stream_id} takes no more data")
        count = len(data)
        if not count:
            return 0
        if count > stream.send_window or count > self.send_window:
            count = min(count, self.sendable(stream))
        most = self.peer_max_frame
        for start in range(0, count, most):
            piece = data[start : min(start + most, count)]
            self.output.append(frames.HEADER.pack(len(piece) << 8, 0, stream.stream_id) + piece)
        stream.send_window -= count
        self.send_window -= count
        return count

    def end(self, stream: Stream) -> None:
        """End our direction. Nothing happens when it has ended already."""
        if stream.local_open and stream.stream_id in self.streams:
            if not (stream.answered or self.is_client):
                self._check_sending(stream)
            stream.local_open = False
            self.output.append(frames.end_stream(stream.stream_id))
            if not stream.remote_open:
                self._table.forget(stream)

    def reset(self, stream: Stream, code: int) -> None:
        """End both directions at once; held bytes are dropped, also those of a stream that is over."""
        if stream.stream_id in self.streams:
            self._table.reset(stream.stream_id, code)
            self._table.forget(stream)
        self._credit.drop(stream)

    def _check_sending(self, stream: Stream) -> None:
        if not stream.answered and not self.is_client and stream.local_open:
            raise LocalProtocolError(f"stream {stream.stream_id} is not accepted yet")

    def unblocked(self) -> list[Stream]:
        """Streams that were refused window and may try again now."""
        blocked = self.blocked
        if self.send_window <= 0 or not blocked:
            return []
        ready = [stream for stream in blocked if stream.send_window > 0]
        for stream in ready:
            stream.blocked = False
            del blocked[stream]
        return ready

    # Tunnels: bytes in ---------------------------------------------------------------

    def consumed(self, stream: Stream, count: int) -> None:
        """The reader has `count` held bytes: reopen both windows."""
        self._credit.release(stream, count)

    # The connection ---------------------------------------------------------------

    def ping(self, payload: bytes) -> None:
        """Ask the peer for a sign of life; `PingAcknowledged` brings the eight bytes back."""
        self.output.append(frames.ping(payload))

    def drain(self) -> None:
        """Begin a graceful end: GOAWAY that refuses nothing yet, and a PING whose answer brings the second (1.8)."""
        if not self.is_draining and not self.ended:
            self.is_draining = True
            self.output.append(frames.goaway(frames.MAX_STREAM_ID, ErrorCode.NO_ERROR) + frames.ping(DRAIN_PING))

    def close(self, code: ErrorCode = ErrorCode.NO_ERROR, reason: str = "closed") -> None:
        """End the connection from our side, with GOAWAY; open streams are lost."""
        if not self.ended:
            self.output.append(frames.goaway(self._table.last_peer_id, code))
            self._end(code, reason, by_peer=False)

    def abandon(self, code: ErrorCode | None = None) -> list[Stream]:
        """The connection is over: forget its open streams and return them.

        With `code` the peer is told by a reset of each; without it nothing will be written any more. What a stream
        holds can still be read where it has a reader (a sink), who drops the rest (`reset`); else it goes too.
        """
        streams = list(self.streams.values())
        self.streams.clear()
        self._credit.stop(streams)
        for stream in streams:
            if code is not None:
                self._table.reset(stream.stream_id, code)
            if stream.sink is None:
                self._credit.drop(stream)
        if code is None:
            self.output.clear()
        return streams


__all__ = ["DRAIN_PING", "HboneConnection"]
