"""HboneConnection: one side of an HBONE connection after TLS, without I/O and without a clock [pure].

Bytes and times go in, events and bytes come out. Three lanes share one stream table (hot-path 5): h2 has the
connection's control frames (`control`), prepared header blocks open and answer tunnels (`header_blocks`), and DATA
and WINDOW_UPDATE are ours alone (`frame_reader`, `flow`). This file is the table and its rules: RFC 9113 section 5.1
for the states, 5.2 and 6.9 for the windows, 8.5 for CONNECT.
"""

from __future__ import annotations

from hbone_py import events as ev
from hbone_py import frames
from hbone_py.config import Http2Config
from hbone_py.connect import check_trailers, read_request
from hbone_py.control import ControlLane
from hbone_py.errors import (
    BadConnect,
    ConnectionClosing,
    ErrorCode,
    MalformedRequest,
    RemoteProtocolError,
    StreamEnded,
    TooManyStreams,
)
from hbone_py.flow import ReceiveWindow, UnreadLedger
from hbone_py.frame_reader import FrameReader
from hbone_py.header_blocks import EMPTY_TABLE, STATUS_200, HeaderList, status
from hbone_py.header_reader import HeaderReader
from hbone_py.streams import Stream

_DEFAULT_WINDOW = 65_535
_MAX_WINDOW = 2**31 - 1
_REMEMBERED_RESETS = 64
DRAIN_PING = bytes.fromhex("0b7ba2f08b9bfe54")
"""The PING between the two GOAWAYs of a graceful end (hbone-dataplane 1.8)."""


class HboneConnection:
    """Feed it plaintext; drain `events()` and `data_to_send()`.

    A client opens tunnels, a server is asked for them. `sendable` and `claim` serve a driver that builds its own DATA
    frames in place; `send` serves everybody else.
    """

    def __init__(self, *, client: bool, config: Http2Config | None = None, ledger: UnreadLedger | None = None) -> None:
        self.config = config or Http2Config()
        self.ledger = ledger or UnreadLedger()
        """Unread bytes of the whole process; near its limit we return no credit."""
        self.is_client = client
        self.streams: dict[int, Stream] = {}
        """Every open stream. A stream leaves when both directions have ended, or at a reset."""
        self.send_window = _DEFAULT_WINDOW
        """Bytes the peer still lets us send on all streams together."""
        self.unread = 0
        """Bytes received and not taken by any sink, over all streams."""
        self.ended: ev.ConnectionEnded | None = None
        """Set once nothing more comes or goes."""
        self.peer_max_streams = self.config.assumed_peer_streams
        self.peer_max_frame = 16_384
        self.has_settings = False
        """The peer's first SETTINGS have arrived."""
        self.peer_goaway: int | None = None
        """The last stream id of the peer's GOAWAY, once it sent one."""
        self.is_draining = False
        self._control = ControlLane(client=client, config=self.config)
        self._frames = FrameReader(self, self.config.max_frame_size)
        self._headers = HeaderReader(self.config.max_header_list_client if client else self.config.max_header_list_server)
        self._receive_window = _connection_window(self.config)
        self._peer_window = _DEFAULT_WINDOW  # the peer's INITIAL_WINDOW_SIZE
        self._table_update = b""  # owed to the peer at the start of our next header block
        self._out: list[bytes] = [self._control.opening]
        self._events: list[ev.Event] = []
        self._blocked: list[Stream] = []
        self._next_id = 1
        self._last_peer_id = 0
        self._reset_by_us: dict[int, None] = {}
        self._protocol_resets = 0
        self._early_resets = 0
        self._preface = b"" if client else frames.PREFACE

    # What drivers drain ------------------------------------------------------------------------------------------

    def events(self) -> list[ev.Event]:
        """What happened since the last call, in order."""
        happened, self._events = self._events, []
        return happened

    def data_to_send(self) -> list[bytes]:
        """What must be written, in order."""
        out, self._out = self._out, []
        return out

    @property
    def has_blocked(self) -> bool:
        """Whether any stream waits for window."""
        return bool(self._blocked)

    @property
    def queued_bytes(self) -> int:
        """Bytes that `data_to_send` would give."""
        return sum(map(len, self._out))

    def unblocked(self) -> list[Stream]:
        """Streams that were refused window and may try again now."""
        if self.send_window <= 0 or not self._blocked:
            return []
        waiting, self._blocked = self._blocked, []
        ready = [stream for stream in waiting if stream.send_window > 0 or not stream.local_open]
        self._blocked = [stream for stream in waiting if stream.send_window <= 0 and stream.local_open]
        for stream in ready:
            stream.blocked = False
        return ready

    # What arrives ---------------------------------------------------------------------------------------------------

    def receive_data(self, data: memoryview | bytes) -> None:
        """Take plaintext from the peer. Keeps no reference to `data`; never raises for what the peer did."""
        if self.ended:
            return
        view = data if isinstance(data, memoryview) else memoryview(data)
        try:
            if self._preface:
                view = self._check_preface(view)
            self._frames.feed(view)
        except RemoteProtocolError as error:
            self.fail(error.code, str(error))

    def receive_eof(self) -> None:
        """The peer's bytes are over."""
        if not self.ended:
            self._end(ErrorCode.NO_ERROR, "connection closed by the peer", by_peer=True)

    def _check_preface(self, view: memoryview) -> memoryview:
        count = min(len(view), len(self._preface))
        if view[:count] != self._preface[:count]:
            raise RemoteProtocolError("not an HTTP/2 preface")
        self._preface = self._preface[count:]
        return view[count:]

    # Tunnels: a client opens -----------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many more tunnels a client may open here now."""
        if self.ended or self.peer_goaway is not None or self._next_id > frames.MAX_STREAM_ID:
            return 0
        return self.peer_max_streams - len(self.streams)

    @property
    def tunnels_opened(self) -> int:
        """How many tunnels a client has opened here so far."""
        return self._next_id >> 1

    def open_tunnel(self, block: bytes) -> Stream:
        """Client: send CONNECT (a block of `header_blocks.connect_block`).

        Raises ConnectionClosing when no new tunnel may be opened here, TooManyStreams at the peer's limit.
        """
        if self.room <= 0:
            if self.ended or self.peer_goaway is not None or self._next_id > frames.MAX_STREAM_ID:
                raise ConnectionClosing("the connection takes no new tunnels")
            raise TooManyStreams(f"the peer allows {self.peer_max_streams} streams")
        stream = self._new_stream(self._next_id)
        self._next_id += 2
        self._write_headers(stream.stream_id, block)
        return stream

    # Tunnels: a server answers ---------------------------------------------------------------------------------------

    def accept_tunnel(self, stream: Stream, block: bytes = STATUS_200) -> None:
        """Server: answer 200. `block` may hold more headers behind STATUS_200."""
        stream.answered = True
        self._write_headers(stream.stream_id, block)

    def reject_tunnel(self, stream: Stream, code: int) -> None:
        """Server: answer `code` and end; a client whose direction is open also gets RST_STREAM(NO_ERROR) (1.6)."""
        if stream.stream_id not in self.streams:
            return
        self._write_headers(stream.stream_id, status(code), frames.END_STREAM)
        stream.answered = True
        stream.local_open = False
        if stream.remote_open:
            self._out.append(frames.rst_stream(stream.stream_id, ErrorCode.NO_ERROR))
            self._remember_reset(stream.stream_id)
        self._forget(stream)

    # Tunnels: bytes out ---------------------------------------------------------------------------------------------

    def sendable(self, stream: Stream) -> int:
        """How many payload bytes both windows allow now. When none, the stream joins `unblocked` later."""
        window = stream.send_window
        if window > self.send_window:
            window = self.send_window
        if window > 0:
            return window
        if not stream.blocked and stream.local_open:
            stream.blocked = True
            self._blocked.append(stream)
        return 0

    def claim(self, stream: Stream, count: int) -> None:
        """`count` bytes of DATA are being sent by the driver: take them off both windows."""
        stream.send_window -= count
        self.send_window -= count

    def queue_frame(self, frame: bytes) -> None:
        """Queue a DATA frame the driver built itself, after `claim`."""
        self._out.append(frame)

    def send(self, stream: Stream, data: bytes | memoryview) -> int:
        """Queue DATA frames for as much of `data` as the windows allow; returns how much that was.

        Raises StreamEnded when our direction is over.
        """
        if not stream.local_open:
            raise StreamEnded(f"stream {stream.stream_id} takes no more data")
        count = min(len(data), self.sendable(stream))
        for start in range(0, count, self.peer_max_frame):
            piece = data[start : min(start + self.peer_max_frame, count)]
            self._out.append(frames.HEADER.pack(len(piece) << 8, 0, stream.stream_id) + piece)
        self.claim(stream, count)
        return count

    def end(self, stream: Stream) -> None:
        """End our direction. Nothing happens when it has ended already."""
        if stream.local_open and stream.stream_id in self.streams:
            stream.local_open = False
            self._out.append(frames.end_stream(stream.stream_id))
            if not stream.remote_open:
                self._forget(stream)

    def reset(self, stream: Stream, code: int) -> None:
        """End both directions at once; held bytes are dropped."""
        if stream.stream_id in self.streams:
            self._out.append(frames.rst_stream(stream.stream_id, code))
            self._remember_reset(stream.stream_id)
            self._forget(stream)
            self._drop_held(stream)

    # Tunnels: bytes in ----------------------------------------------------------------------------------------------

    def consumed(self, stream: Stream, count: int) -> None:
        """The reader has `count` held bytes: reopen both windows."""
        stream.release(count)
        self.unread -= count
        self.ledger.used -= count
        self._credit(stream, count)

    def return_credit(self) -> None:
        """Memory is free again: announce what was withheld."""
        for stream in self.streams.values():
            self._credit(stream, 0)

    def _credit(self, stream: Stream, count: int) -> None:
        if self.ledger.is_near:
            stream.receive_window.owed += count
            self._receive_window.owed += count
            self.ledger.withheld.add(self)
            return
        if stream.remote_open and (increment := stream.receive_window.consume(count)):
            self._out.append(frames.window_update(stream.stream_id, increment))
        if increment := self._receive_window.consume(count):
            self._out.append(frames.window_update(0, increment))

    def _drop_held(self, stream: Stream) -> None:
        """Nobody will read these bytes: the connection's window takes them back."""
        if stream.unread:
            self.unread -= stream.unread
            self.ledger.used -= stream.unread
            if increment := self._receive_window.consume(stream.unread):
                self._out.append(frames.window_update(0, increment))
            stream.unread = 0
            stream.held.clear()

    # FrameHandler: payload ---------------------------------------------------------------------------------------------

    def data_started(self, stream_id: int, length: int, padding: int) -> None:
        """A DATA frame begins (RFC 9113 section 6.9: all of it counts, on a dead stream too)."""
        window = self._receive_window
        window.left -= length
        if window.left < 0:
            raise RemoteProtocolError("connection window exceeded", ErrorCode.FLOW_CONTROL_ERROR)
        stream = self.streams.get(stream_id)
        if stream is None or not stream.remote_open:
            self._data_on_closed(stream_id, length)
            return
        stream.receive_window.left -= length
        if stream.receive_window.left < 0:
            raise RemoteProtocolError(f"stream {stream_id} exceeded its window", ErrorCode.FLOW_CONTROL_ERROR)
        if padding:
            self._credit(stream, padding)
        if stream.declared is not None:
            stream.declared -= length - padding
            if stream.declared < 0:
                self._malformed(stream_id, "more data than content-length", stream)

    def payload(self, stream_id: int, pieces: list[memoryview], size: int) -> None:
        """Payload for the stream's sink; what the sink leaves is held, unread."""
        stream = self.streams.get(stream_id)
        if stream is None or not stream.remote_open:
            return
        if stream.sink is not None and not stream.unread:
            taken = stream.sink(pieces, size)
            if taken:
                self._credit(stream, taken)
                if taken == size:
                    return
        else:
            taken = 0
        if stream_id in self.streams:  # the sink may have reset it
            held = stream.hold(pieces, taken)
            self.unread += held
            self.ledger.used += held
        elif increment := self._receive_window.consume(size - taken):
            self._out.append(frames.window_update(0, increment))

    def data_ended(self, stream_id: int) -> None:
        """END_STREAM on a DATA frame."""
        stream = self.streams.get(stream_id)
        if stream is not None and stream.remote_open:
            self._remote_end(stream)

    def _data_on_closed(self, stream_id: int, length: int) -> None:
        self._check_not_idle(stream_id, "DATA")
        if increment := self._receive_window.consume(length):
            self._out.append(frames.window_update(0, increment))
        if stream_id not in self._reset_by_us:
            self._count_reset(stream_id, ErrorCode.STREAM_CLOSED)

    def _remote_end(self, stream: Stream) -> None:
        if stream.declared:
            self._malformed(stream.stream_id, "less data than content-length", stream)
            return
        stream.remote_open = False
        if not stream.local_open:
            self._forget(stream)
        self._events.append(ev.TunnelEnded(stream.stream_id, stream))

    # FrameHandler: everything else ---------------------------------------------------------------------------------------

    def frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """A whole frame that is not DATA."""
        if not self.has_settings and (kind != frames.SETTINGS or flags & frames.ACK):
            raise RemoteProtocolError("the first frame is not SETTINGS")
        if self._headers.stream_id:
            if whole := self._headers.go_on(kind, flags, stream_id, payload):
                self._headers_received(stream_id, *whole)
        elif kind == frames.HEADERS:
            if stream_id == 0:
                raise RemoteProtocolError("HEADERS on stream 0")
            if whole := self._headers.begin(flags, stream_id, payload):
                self._headers_received(stream_id, *whole)
        elif kind == frames.WINDOW_UPDATE:
            self._window_update(stream_id, payload)
        elif kind == frames.RST_STREAM:
            self._reset_received(stream_id, payload)
        elif kind == frames.GOAWAY:
            self._goaway_received(stream_id, payload)
        elif kind == frames.CONTINUATION:
            raise RemoteProtocolError("CONTINUATION without HEADERS")
        elif kind < frames.CONTINUATION:
            self._control_frame(kind, flags, stream_id, payload)

    def _control_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        answer, changed, acknowledged = self._control.receive(kind, flags, stream_id, payload)
        if answer:
            self._out.append(answer)
        if kind == frames.SETTINGS and not flags & frames.ACK:
            self.has_settings = True
            self._apply_settings(changed)
            self._events.append(ev.SettingsReceived())
        if acknowledged == DRAIN_PING and self.is_draining:
            self._out.append(frames.goaway(self._last_peer_id, ErrorCode.NO_ERROR))
        elif acknowledged:
            self._events.append(ev.PingAcknowledged(acknowledged))

    def _apply_settings(self, changed: dict[int, int]) -> None:
        self.peer_max_streams = changed.get(frames.MAX_CONCURRENT_STREAMS, self.peer_max_streams)
        self.peer_max_frame = changed.get(frames.MAX_FRAME_SIZE, self.peer_max_frame)
        if changed.get(frames.HEADER_TABLE_SIZE, 4096) < 4096:
            self._table_update = EMPTY_TABLE
        if frames.INITIAL_WINDOW_SIZE in changed:
            # RFC 9113 section 6.9.2: every open window moves by the difference, below zero if need be.
            delta = changed[frames.INITIAL_WINDOW_SIZE] - self._peer_window
            self._peer_window += delta
            for stream in self.streams.values():
                stream.send_window += delta
                if stream.send_window > _MAX_WINDOW:
                    raise RemoteProtocolError("SETTINGS overflow a window", ErrorCode.FLOW_CONTROL_ERROR)

    def _window_update(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise RemoteProtocolError("WINDOW_UPDATE is not four bytes", ErrorCode.FRAME_SIZE_ERROR)
        increment = frames.u32(payload) & _MAX_WINDOW
        if stream_id == 0:
            self.send_window += increment
            if not increment:
                raise RemoteProtocolError("WINDOW_UPDATE of nothing")
            if self.send_window > _MAX_WINDOW:
                raise RemoteProtocolError("connection window overflows", ErrorCode.FLOW_CONTROL_ERROR)
            return
        stream = self.streams.get(stream_id)
        if stream is None:
            self._check_not_idle(stream_id, "WINDOW_UPDATE")
            return
        stream.send_window += increment
        if not increment:
            self._malformed(stream_id, "WINDOW_UPDATE of nothing", stream)
        elif stream.send_window > _MAX_WINDOW:
            self._malformed(stream_id, "window overflows", stream, ErrorCode.FLOW_CONTROL_ERROR)

    def _reset_received(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise RemoteProtocolError("RST_STREAM is not four bytes", ErrorCode.FRAME_SIZE_ERROR)
        stream = self.streams.get(stream_id)
        if stream is None:
            self._check_not_idle(stream_id, "RST_STREAM")
            return
        if not stream.answered and not self.is_client:
            self._count_early_reset()
        code, after_end = frames.u32(payload), not stream.remote_open
        self._forget(stream)
        if not (after_end and code == ErrorCode.NO_ERROR):
            self._drop_held(stream)
        self._events.append(ev.TunnelReset(stream_id, code, True, stream, after_end))

    def _goaway_received(self, stream_id: int, payload: bytes) -> None:
        if stream_id != 0:
            raise RemoteProtocolError("GOAWAY on a stream")
        if len(payload) < 8:
            raise RemoteProtocolError("GOAWAY is too short", ErrorCode.FRAME_SIZE_ERROR)
        last, code = frames.u32(payload) & frames.MAX_STREAM_ID, frames.u32(payload[4:])
        self.peer_goaway = last
        self._events.append(ev.GoAwayReceived(last, code, payload[8:136]))
        if self.is_client:
            # RFC 9113 section 6.8: what lies above was never looked at, and may be tried again elsewhere.
            for stream in [stream for stream in self.streams.values() if stream.stream_id > last]:
                self._forget(stream)
                self._events.append(ev.TunnelReset(stream.stream_id, ErrorCode.REFUSED_STREAM, True, stream))

    # Header blocks ----------------------------------------------------------------------------------------------------

    def _headers_received(self, stream_id: int, block: bytes, ends: bool) -> None:
        headers = self._headers.decode(block)
        stream = self.streams.get(stream_id)
        try:
            if stream is not None and stream.remote_open:
                if self.is_client and not stream.answered:
                    self._response(stream, headers, ends)
                else:
                    self._trailers(stream, headers, ends)
            elif self.is_client or stream_id <= self._last_peer_id:
                self._headers_on_closed(stream_id, stream)
            else:
                self._request(stream_id, headers, ends)
        except MalformedRequest as error:
            self._malformed(stream_id, str(error), self.streams.get(stream_id))

    def _request(self, stream_id: int, headers: HeaderList, ends: bool) -> None:
        if not stream_id & 1:
            raise RemoteProtocolError("a client opened a stream with an even number")
        self._last_peer_id = stream_id
        if len(self.streams) >= self.config.max_concurrent_streams:
            self._count_reset(stream_id, ErrorCode.REFUSED_STREAM)
            return
        if self._headers.is_oversize(headers):
            self._refuse(stream_id, 431, "header list too large", ends)
            return
        try:
            request = read_request(headers)
        except BadConnect as error:
            self._refuse(stream_id, 400, str(error), ends)
            return
        if ends and request.content_length:
            raise MalformedRequest("less data than content-length")
        stream = self._new_stream(stream_id)
        stream.declared = request.content_length
        self._events.append(ev.TunnelRequested(stream_id, request, stream))
        if ends:
            self._remote_end(stream)

    def _refuse(self, stream_id: int, code: int, reason: str, ends: bool) -> None:
        """Answer a request that is no tunnel, without ever opening a stream for it."""
        self._write_headers(stream_id, status(code), frames.END_STREAM)
        if not ends:
            self._out.append(frames.rst_stream(stream_id, ErrorCode.NO_ERROR))
            self._remember_reset(stream_id)
        self._events.append(ev.RequestRefused(stream_id, reason, code))

    def _response(self, stream: Stream, headers: HeaderList, ends: bool) -> None:
        if self._headers.is_oversize(headers):
            raise MalformedRequest("header list too large")
        code = _response_status(headers)
        if 100 <= code < 200 and code != 101 and not ends:
            return
        stream.answered = True
        if code == 200:
            self._events.append(ev.TunnelAccepted(stream.stream_id, headers[1:], stream))
            if ends:
                self._remote_end(stream)
            return
        if stream.local_open or not ends:
            self._out.append(frames.rst_stream(stream.stream_id, ErrorCode.CANCEL))
            self._remember_reset(stream.stream_id)
        self._forget(stream)
        self._events.append(ev.TunnelRefused(stream.stream_id, code, stream))

    def _trailers(self, stream: Stream, headers: HeaderList, ends: bool) -> None:
        if not ends:
            raise MalformedRequest("a second header block that does not end the stream")
        check_trailers(headers)
        self._remote_end(stream)

    def _headers_on_closed(self, stream_id: int, stream: Stream | None) -> None:
        self._check_not_idle(stream_id, "HEADERS")
        if stream is not None or stream_id not in self._reset_by_us:
            raise RemoteProtocolError(f"HEADERS on closed stream {stream_id}", ErrorCode.STREAM_CLOSED)

    def _write_headers(self, stream_id: int, block: bytes, flags: int = 0) -> None:
        if self._table_update:
            block, self._table_update = self._table_update + block, b""
        flags |= frames.END_HEADERS
        size = self.peer_max_frame
        if len(block) <= size:
            self._out.append(frames.HEADER.pack(len(block) << 8 | frames.HEADERS, flags, stream_id) + block)
            return
        self._out.append(frames.frame(frames.HEADERS, flags & ~frames.END_HEADERS, stream_id, block[:size]))
        for start in range(size, len(block), size):
            last = frames.END_HEADERS if start + size >= len(block) else 0
            self._out.append(frames.frame(frames.CONTINUATION, last, stream_id, block[start : start + size]))

    # The table --------------------------------------------------------------------------------------------------------

    def _new_stream(self, stream_id: int) -> Stream:
        stream = self.streams[stream_id] = Stream(stream_id, self._peer_window, self.config.stream_window)
        return stream

    def _forget(self, stream: Stream) -> None:
        stream.local_open = stream.remote_open = False
        self.streams.pop(stream.stream_id, None)

    def _check_not_idle(self, stream_id: int, what: str) -> None:
        """Raises unless the stream was open once (RFC 9113 section 5.1: nothing may come for an idle one)."""
        ours = bool(stream_id & 1) == self.is_client
        if stream_id == 0 or stream_id > (self._next_id - 2 if ours else self._last_peer_id) or (not ours and self.is_client):
            raise RemoteProtocolError(f"{what} on idle stream {stream_id}")

    def _malformed(
        self, stream_id: int, reason: str, stream: Stream | None, code: ErrorCode = ErrorCode.PROTOCOL_ERROR
    ) -> None:
        """End one stream for the peer's fault; its neighbours go on."""
        self._count_reset(stream_id, code)
        if stream is None:
            self._events.append(ev.RequestRefused(stream_id, reason))
            return
        self._forget(stream)
        self._drop_held(stream)
        self._events.append(ev.TunnelReset(stream_id, code, False, stream))

    def _count_reset(self, stream_id: int, code: ErrorCode) -> None:
        self._out.append(frames.rst_stream(stream_id, code))
        self._remember_reset(stream_id)
        self._protocol_resets += 1
        if self._protocol_resets > self.config.max_protocol_resets:
            raise RemoteProtocolError("too_many_internal_resets", ErrorCode.ENHANCE_YOUR_CALM)

    def _count_early_reset(self) -> None:
        """A peer may change its mind now and then, not every time (hbone-dataplane 1.3)."""
        self._early_resets += 1
        if self._early_resets > self.config.max_early_resets + self._last_peer_id // 4:
            raise RemoteProtocolError("too_many_resets", ErrorCode.ENHANCE_YOUR_CALM)

    def _remember_reset(self, stream_id: int) -> None:
        """Frames that were on their way to a stream we reset are no fault of the peer's."""
        self._reset_by_us[stream_id] = None
        if len(self._reset_by_us) > _REMEMBERED_RESETS:
            del self._reset_by_us[next(iter(self._reset_by_us))]

    # The connection ---------------------------------------------------------------------------------------------------

    def ping(self, payload: bytes) -> None:
        """Ask the peer for a sign of life; `PingAcknowledged` brings the eight bytes back."""
        self._out.append(frames.ping(payload))

    def drain(self) -> None:
        """Begin a graceful end: GOAWAY that refuses nothing yet, and a PING whose answer brings the second (1.8)."""
        if not self.is_draining and not self.ended:
            self.is_draining = True
            self._out.append(frames.goaway(frames.MAX_STREAM_ID, ErrorCode.NO_ERROR) + frames.ping(DRAIN_PING))

    def discard(self) -> None:
        """Nobody will read or write here any more: let go of everything held."""
        for stream in self.streams.values():
            self._drop_held(stream)
        self.ledger.withheld.discard(self)
        self._out.clear()

    def close(self, code: ErrorCode = ErrorCode.NO_ERROR, reason: str = "closed") -> None:
        """End the connection from our side, with GOAWAY; open streams are lost."""
        if not self.ended:
            self._out.append(frames.goaway(self._last_peer_id, code))
            self._end(code, reason, by_peer=False)

    def fail(self, code: ErrorCode, reason: str) -> None:
        """End the connection for the peer's fault: GOAWAY with `code`."""
        if not self.ended:
            self._out.append(frames.goaway(self._last_peer_id, code, reason.encode()[:64]))
            self._end(code, reason, by_peer=True)

    def _end(self, code: ErrorCode, reason: str, *, by_peer: bool) -> None:
        self.ended = ev.ConnectionEnded(code, reason, by_peer)
        self.ledger.withheld.discard(self)
        self._events.append(self.ended)


def _connection_window(config: Http2Config) -> ReceiveWindow:
    return ReceiveWindow(max(config.connection_window, _DEFAULT_WINDOW + 1))


def _response_status(headers: HeaderList) -> int:
    """`:status` alone and first, then proper regular headers (RFC 9113 section 8.3.2)."""
    if not headers or headers[0][0] != b":status" or not headers[0][1].isdigit() or len(headers[0][1]) != 3:
        raise MalformedRequest("a response begins with :status")
    check_trailers(headers[1:])
    return int(headers[0][1])


__all__ = ["DRAIN_PING", "HboneConnection"]
