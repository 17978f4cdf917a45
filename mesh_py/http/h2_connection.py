"""HTTP/2's receiving half [pure].

The parts come from the tunnel's library: frames, their reader, and windows. h2 has the connection's own frames
(`h2_control`), hpack what `h2_compression` does not cut short. A fault of one stream ends that stream; only what RFC
9113 calls a connection error ends the connection. What a peer may make us do for nothing is bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpack.exceptions import HPACKError, OversizedHeaderListError

from hbone_py import frames
from hbone_py.errors import ErrorCode, RemoteProtocolError, code_name
from hbone_py.flow import MAX_WINDOW
from hbone_py.frame_reader import FrameReader
from hbone_py.header_reader import HeaderReader
from mesh_py.http import h2_heads
from mesh_py.http.errors import BadMessage, HttpError
from mesh_py.http.events import ConnectionFailed, DataReceived, MessageEnded, PeerLeaving, StreamFailed, WindowOpened
from mesh_py.http.h2_compression import QuickDecoder
from mesh_py.http.h2_sending import DEFAULT_LIMITS, H2Sender

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesh_py.http.h2_heads import RawFields
    from mesh_py.http.h2_stream import H2Stream
    from mesh_py.http.limits import Limits

_AT_ONCE = 2048
"""Frames of DATA in one turn, or 128 others, so that a flood of small ones keeps nobody waiting."""
_TOLERATED = 4
"""Heads so many times larger than announced are still read to the end, to answer 431."""


class H2Connection(H2Sender):
    """The face of `codec.Codec`, as far as the roles do not differ."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        self._reader = FrameReader(self, self._on_frame, limits.frame_size, _AT_ONCE)
        self._unheard = b""
        self._blocks = HeaderReader(limits.head_bytes)
        self._decoder = QuickDecoder(limits.head_bytes * _TOLERATED)
        self._preface = b"" if self._is_client else frames.PREFACE
        self._has_settings = False

    # Receiving ------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Bytes from the peer."""
        if self._preface and not self.is_closing:
            data = self._take_preface(data)
        if self.is_closing or not data:
            return
        self._hear(self._unheard + data if self._unheard else data)

    def go_on(self) -> None:
        """See `Codec`."""
        unheard, self._unheard = self._unheard, b""
        if not self.is_closing:
            self._hear(unheard)

    def _hear(self, data: bytes) -> None:
        try:
            rest = self._reader.feed(memoryview(data), len(data))
            self._unheard = data[len(data) - rest :] if rest else b""
        except RemoteProtocolError as error:
            if not self.is_closing:
                self._give_up(str(error), error.code)

    @property
    def has_rest(self) -> bool:
        """See `Codec`."""
        return bool(self._unheard) and not self.is_closing

    def _take_preface(self, data: bytes) -> bytes:
        wanted, self._preface = self._preface, self._preface[len(data) :]
        if not data.startswith(wanted) and not wanted.startswith(data):
            self._give_up("no HTTP/2 preface", ErrorCode.PROTOCOL_ERROR)
        return data[len(wanted) :]

    def receive_eof(self) -> None:
        """The peer will send no more."""
        if self.is_closing:
            return
        self._fail_streams(self._gone())
        self._events.append(PeerLeaving(0, "the peer closed its connection"))
        self.is_closing = True

    def _on_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self.is_closing:
            return
        if self._blocks.stream_id:
            whole = self._blocks.go_on(kind, flags, stream, payload)
            if whole is not None:
                self._on_block(stream, *whole)
        elif kind == frames.HEADERS and self._has_settings:
            whole = self._blocks.begin(flags, stream, payload)
            if whole is not None:
                self._on_block(stream, *whole)
        elif kind == frames.WINDOW_UPDATE and self._has_settings:
            self._on_window_update(stream, payload)
        elif kind == frames.RST_STREAM:
            self._on_rst(stream, payload)
        elif kind == frames.GOAWAY:
            self._on_goaway(stream, payload)
        elif kind == frames.PRIORITY and self._has_settings:
            self._on_priority(stream, payload)
        else:
            self._on_control(kind, flags, stream, payload)

    def _on_block(self, stream: int, block: bytes, ended: bool) -> None:
        try:
            fields = list(self._decoder.decode(block, raw=True))
        except OversizedHeaderListError as error:
            raise RemoteProtocolError("a header list far too large", ErrorCode.ENHANCE_YOUR_CALM) from error
        except HPACKError as error:
            raise RemoteProtocolError(f"header block: {error}", ErrorCode.COMPRESSION_ERROR) from error
        state = self._streams.get(stream)
        if state is None:
            self._on_new_head(stream, fields, ended=ended)
        elif state.ended_in:
            self._refuse_stream(stream, BadMessage("a head behind the end"), ErrorCode.STREAM_CLOSED)
        elif state.head_in:
            self._on_trailers(stream, state, fields, ended=ended)
        else:
            self._on_head(stream, state, fields, ended=ended)

    def _on_trailers(self, stream: int, state: H2Stream, fields: Sequence[tuple[bytes, bytes]], *, ended: bool) -> None:
        try:
            if not ended:
                raise BadMessage("trailers that do not end the stream")
            trailers = h2_heads.read_trailers(list(fields), self._limits)
            state.end_in()
        except BadMessage as error:
            self._refuse_stream(stream, error)
            return
        self._events.append(MessageEnded(stream, trailers))
        self._incoming_ended(stream, state)

    # What the frame reader tells about DATA.

    def data_started(self, stream_id: int, length: int, padding: int) -> None:
        window = self._receive_window
        window.left -= length
        if window.left < 0:
            raise RemoteProtocolError("more data than the connection's window", ErrorCode.FLOW_CONTROL_ERROR)
        if padding:
            self._give_back(padding)
        if length == padding:
            self._count_idle_frame()
        else:
            self._idle_frames = 0
        state = self._streams.get(stream_id)
        if state is None:
            self._check_not_idle(stream_id, "DATA")
            self._on_late_data(stream_id)
            return
        mine = state.receive_window
        mine.left -= length
        mine.owed += padding
        if mine.left < 0:
            self._refuse_stream(stream_id, BadMessage("more data than the window"), ErrorCode.FLOW_CONTROL_ERROR)
        elif state.ended_in:
            self._refuse_stream(stream_id, BadMessage("data behind the end"), ErrorCode.STREAM_CLOSED)
        elif not state.head_in:
            self._refuse_stream(stream_id, BadMessage("data before the head"))

    def whole(self, stream_id: int, payload: memoryview) -> None:
        self.data_started(stream_id, len(payload), 0)
        self.payload(stream_id, [payload], len(payload))

    def payload(self, stream_id: int, pieces: list[memoryview], size: int) -> None:
        state = self._streams.get(stream_id)
        if state is None:
            self._give_back(size)  # nobody's; the connection's window is everybody's
            return
        try:
            state.take(size)
        except BadMessage as error:
            self._refuse_stream(stream_id, error)
            self._give_back(size)
            return
        state.unread += size
        data = bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)
        self._events.append(DataReceived(stream_id, data, size))

    def data_ended(self, stream_id: int) -> None:
        state = self._streams.get(stream_id)
        if state is None:
            return
        try:
            state.end_in()
        except BadMessage as error:
            self._refuse_stream(stream_id, error)
            return
        self._events.append(MessageEnded(stream_id))
        self._incoming_ended(stream_id, state)

    def empty_end(self, stream_id: int) -> None:
        self.data_started(stream_id, 0, 0)
        self.data_ended(stream_id)

    # Other frames.

    def _on_window_update(self, stream: int, payload: bytes) -> None:
        increment = _number(payload, "WINDOW_UPDATE") & MAX_WINDOW
        if not stream:
            was_open = self._send_window > 0  # then whoever is blocked waits for its own
            self._send_window += increment
            if not increment or self._send_window > MAX_WINDOW:
                raise RemoteProtocolError("a window of nothing or too much", _window_fault(increment))
            if not was_open:
                self._wake_all()
            return
        self._count_idle_frame()
        state = self._streams.get(stream)
        if state is None:
            self._check_not_idle(stream, "WINDOW_UPDATE")
            return
        state.send_window += increment
        if not increment or state.send_window > MAX_WINDOW:
            self._refuse_stream(stream, BadMessage("a window of nothing or too much"), _window_fault(increment))
        else:
            self._wake(stream, state)

    def _on_rst(self, stream: int, payload: bytes) -> None:
        code = _number(payload, "RST_STREAM")
        state = self._streams.get(stream)
        if state is None:
            self._check_not_idle(stream, "RST_STREAM")
            return
        self._on_reset(stream, state, code)
        self._close_if_drained()

    def _on_goaway(self, stream: int, payload: bytes) -> None:
        if stream:
            raise RemoteProtocolError("GOAWAY on a stream")
        if len(payload) < 8:
            raise RemoteProtocolError("a GOAWAY that is none", ErrorCode.FRAME_SIZE_ERROR)
        self._peer_leaves(frames.u32(payload) & frames.MAX_STREAM_ID, code_name(frames.u32(payload[4:])))

    def _on_priority(self, stream: int, payload: bytes) -> None:
        """Looked at, never followed (RFC 9113 5.3.2, 6.3)."""
        self._count_idle_frame()
        if not stream:
            raise RemoteProtocolError("PRIORITY on stream 0")
        if len(payload) == 5:
            return
        if stream not in self._streams:
            raise RemoteProtocolError(f"PRIORITY of {len(payload)} bytes", ErrorCode.FRAME_SIZE_ERROR)
        self._refuse_stream(stream, BadMessage("PRIORITY is not five bytes"), ErrorCode.FRAME_SIZE_ERROR)

    def _on_control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if not self._has_settings and (kind != frames.SETTINGS or flags & frames.ACK):
            raise RemoteProtocolError("something else before the first SETTINGS")
        self._has_settings = True
        if not (kind == frames.SETTINGS and flags & frames.ACK):
            self._count_idle_frame()
        answer, changed = self._control.receive(kind, flags, stream, payload)
        if answer:
            self._out.append(answer)
        if changed:
            self._apply(changed)

    def _apply(self, changed: dict[int, int]) -> None:
        before = self._peer_window()
        self._peer |= changed
        if frames.HEADER_TABLE_SIZE in changed:
            self._encoder.header_table_size = min(changed[frames.HEADER_TABLE_SIZE], 4096)
        difference = self._peer_window() - before
        if difference:
            for state in self._streams.values():
                state.send_window += difference
                if state.send_window > MAX_WINDOW:
                    raise RemoteProtocolError("a window too large", ErrorCode.FLOW_CONTROL_ERROR)
        self._wake_all()

    def _wake_all(self) -> None:
        for stream, state in list(self._streams.items()):
            if self._send_window <= 0:
                break
            self._wake(stream, state)

    def _wake(self, stream: int, state: H2Stream) -> None:
        if state.blocked and state.send_window > 0 and self._send_window > 0:
            state.blocked = False
            if state.rest:
                rest, state.rest = state.rest, b""
                self.send_last(stream, rest)
            else:
                self._events.append(WindowOpened(stream))

    def _count_idle_frame(self) -> None:
        self._idle_frames += 1
        if self._idle_frames > self._limits.control_frames:
            reason = f"{self._idle_frames} frames in a row that ask for nothing"
            raise RemoteProtocolError(reason, ErrorCode.ENHANCE_YOUR_CALM)

    def _check_not_idle(self, stream: int, what: str) -> None:
        if not stream or stream > self._highest or self._is_foreign(stream):
            raise RemoteProtocolError(f"{what} on stream {stream}, which was never opened")

    def _is_foreign(self, stream: int) -> bool:
        """Streams are the client's, and odd; nothing is pushed."""
        return stream % 2 == 0

    def _give_up(self, reason: str, code: ErrorCode) -> None:
        self._say_goaway(self._last_processed(), code, reason)
        self._reader.stop()
        self.is_closing = True
        error = self._broken(f"{code_name(code)}: {reason}")
        self._fail_streams(error)
        self._events.append(ConnectionFailed(error))

    def _fail_streams(self, error: HttpError) -> None:
        self._events += [StreamFailed(stream, error) for stream in self._streams]
        self._streams.clear()
        self._lingering.clear()

    # What the roles do differently ------------------------------------------

    def _on_new_head(self, stream: int, fields: RawFields, *, ended: bool) -> None:
        raise NotImplementedError

    def _on_head(self, stream: int, state: H2Stream, fields: RawFields, *, ended: bool) -> None:
        raise NotImplementedError

    def _on_late_data(self, stream: int) -> None:
        """DATA has come for a stream that is over."""
        raise NotImplementedError

    def _on_reset(self, stream: int, state: H2Stream, code: int) -> None:
        raise NotImplementedError

    def _peer_leaves(self, last_stream: int, reason: str) -> None:
        raise NotImplementedError

    def _refuse_stream(self, stream: int, error: BadMessage, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> None:
        """A message that is malformed ends its stream (RFC 9113 8.1.1)."""
        raise NotImplementedError

    def _gone(self) -> HttpError:
        raise NotImplementedError

    def _broken(self, reason: str) -> HttpError:
        raise NotImplementedError


def _number(payload: bytes, what: str) -> int:
    if len(payload) != 4:
        raise RemoteProtocolError(f"{what} of {len(payload)} bytes", ErrorCode.FRAME_SIZE_ERROR)
    return frames.u32(payload)


def _window_fault(increment: int) -> ErrorCode:
    return ErrorCode.FLOW_CONTROL_ERROR if increment else ErrorCode.PROTOCOL_ERROR
