"""HTTP/2's sending half, and what both halves share: streams, windows, farewells [pure].

`h2_connection` has the receiving half, `codec_h2` the roles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py import frames
from hbone_py.errors import ErrorCode
from hbone_py.flow import DEFAULT_WINDOW, ReceiveWindow
from hbone_py.past_streams import PastStreams
from mesh_py.http import h2_heads
from mesh_py.http.errors import UnwritableMessage
from mesh_py.http.events import Event, StreamFailed
from mesh_py.http.h2_compression import PlainEncoder
from mesh_py.http.h2_control import Control
from mesh_py.http.limits import Limits

if TYPE_CHECKING:
    from mesh_py.http.h2_heads import RawFields
    from mesh_py.http.h2_stream import H2Stream
    from mesh_py.http.headers import Headers

DEFAULT_LIMITS = Limits()
_SMALL = 4096
"""A piece up to this size is cheaper copied behind its frame's head than written alone."""


class H2Sender:
    """The face of `codec.Codec`, as far as the roles do not differ."""

    _is_client: bool

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._control = Control(limits, client=self._is_client)
        self._encoder = PlainEncoder()
        self._out: list[bytes] = [self._control.opening]
        self._events: list[Event] = []
        self._streams: dict[int, H2Stream] = {}
        self._lingering: dict[int, H2Stream] = {}
        """Streams that are over while somebody still reads what came of them."""
        self._highest = 0
        """Of the streams that were ever opened."""
        self._past = PastStreams()
        self._receive_window = ReceiveWindow(limits.connection_window)
        self._send_window = DEFAULT_WINDOW
        self._peer: dict[int, int] = {}
        """The peer's settings."""
        self._draining = False
        self._idle_frames = 0
        self.is_closing = False
        self.is_aborted = False
        """HTTP/2 says by itself what is cut short."""
        self.is_half_closed = False

    @property
    def wants_data(self) -> bool:
        """Always, while the connection lives: windows bound what comes, and others' streams must go on."""
        return not self.is_closing

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return not self._streams

    @property
    def open_streams(self) -> int:
        """How many requests are under way."""
        return len(self._streams)

    @property
    def has_events(self) -> bool:
        """Whether something has happened since the last call of `events`."""
        return bool(self._events)

    def events(self) -> list[Event]:
        """What has happened since the last call."""
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> list[bytes]:
        """Bytes for the peer since the last call."""
        out, self._out = self._out, []
        return out

    def new_period(self) -> None:
        """Begin to count anew what the peer asks for nothing: call it every minute or so."""
        self._idle_frames = 0

    def _peer_window(self) -> int:
        return self._peer.get(frames.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW)

    # Sending --------------------------------------------------------------

    def _send_head(self, stream: int, fields: RawFields, *, ended: bool) -> None:
        block = self._encoder.encode(fields)
        flags = frames.END_STREAM if ended else 0
        most = self._peer.get(frames.MAX_FRAME_SIZE, 16_384)
        if len(block) <= most:
            self._out.append(frames.frame(frames.HEADERS, flags | frames.END_HEADERS, stream, block))
            return
        pieces = [block[start : start + most] for start in range(0, len(block), most)]
        self._out.append(frames.frame(frames.HEADERS, flags, stream, pieces[0]))
        self._out += [frames.frame(frames.CONTINUATION, 0, stream, piece) for piece in pieces[1:-1]]
        self._out.append(frames.frame(frames.CONTINUATION, frames.END_HEADERS, stream, pieces[-1]))

    def send_data(self, stream: int, data: bytes) -> int:
        """As much of the body as the windows take; `WindowOpened` tells when more will fit."""
        state = self._streams.get(stream)
        if state is None or state.ended_out or not state.head_out:
            return len(data)  # nobody waits for it any more
        room = max(min(self._send_window, state.send_window, len(data)), 0)
        state.blocked = room < len(data)
        most = self._peer.get(frames.MAX_FRAME_SIZE, 16_384)
        out, pack = self._out, frames.HEADER.pack
        for start in range(0, room, most):
            piece = data if room <= most and room == len(data) else data[start : min(start + most, room)]
            head = pack(len(piece) << 8 | frames.DATA, 0, stream)
            out += [head + piece] if len(piece) <= _SMALL else [head, piece]
        self._send_window -= room
        state.send_window -= room
        self._idle_frames = 0  # what answers our data is no flood
        return room

    def send_last(self, stream: int, data: bytes) -> None:
        """The last piece of the body, and its end. What no window takes yet is kept, and goes when one opens."""
        taken = self.send_data(stream, data)
        state = self._streams.get(stream)
        if state is not None and taken < len(data):
            state.rest = data[taken:]
        else:
            self.end(stream)

    def end(self, stream: int, trailers: Headers | None = None) -> None:
        """The body is complete."""
        state = self._streams.get(stream)
        if state is None or state.ended_out or not state.head_out:
            return
        if trailers is None:
            self._out.append(frames.end_stream(stream))
        else:
            try:
                self._send_head(stream, h2_heads.write_trailers(trailers), ended=True)
            except UnwritableMessage as error:
                self.reset(stream, ErrorCode.INTERNAL_ERROR)
                self._events.append(StreamFailed(stream, error))
                return
        self._outgoing_ended(stream, state)

    def reset(self, stream: int, code: ErrorCode) -> None:
        """Give the stream up; the others go on."""
        if self._drop(stream):
            self._say_reset(stream, code)
            self._close_if_drained()
        elif (state := self._lingering.pop(stream, None)) is not None:
            self._give_back(state.unread)

    def _say_reset(self, stream: int, code: ErrorCode) -> None:
        """Frames of that stream that are on their way are no fault of the peer's."""
        self._out.append(frames.rst_stream(stream, code))
        self._past.reset(stream, told=True)

    def consumed(self, stream: int, credit: int) -> None:
        """The reader has so much; the peer may send as much again."""
        state = self._streams.get(stream) or self._lingering.get(stream)
        if state is None or not credit:
            return  # given up: the connection's window had it back then
        state.unread -= credit
        window = state.receive_window
        window.owed += credit
        if window.owed >= window.step and not state.ended_in and not self.is_closing:
            self._out.append(frames.window_update(stream, window.announce()))
        self._give_back(credit)
        if state.unread <= 0:
            self._lingering.pop(stream, None)

    def _give_back(self, credit: int) -> None:
        window = self._receive_window
        window.owed += credit
        if window.owed >= window.left and window.owed and not self.is_closing:
            self._out.append(frames.window_update(0, window.announce()))

    def _drop(self, stream: int) -> bool:
        """Forget a stream; what of it nobody has read is given back. Whether there was one."""
        state = self._streams.pop(stream, None)
        if state is None:
            return False
        self._give_back(state.unread)
        return True

    def _outgoing_ended(self, stream: int, state: H2Stream) -> None:
        state.ended_out = True
        if state.ended_in:
            self._finish(stream, state)

    def _incoming_ended(self, stream: int, state: H2Stream) -> None:
        if state.ended_out:
            self._finish(stream, state)

    def _finish(self, stream: int, state: H2Stream) -> None:
        if self._streams.pop(stream, None) is not None and state.unread > 0:
            self._lingering[stream] = state
        self._close_if_drained()

    # Ending ---------------------------------------------------------------

    def drain(self) -> None:
        """Take no new request after those under way, then close."""
        if self._draining or self.is_closing:
            return
        self._draining = True
        self._say_goaway(frames.MAX_STREAM_ID, ErrorCode.NO_ERROR, "")
        self._close_if_drained()

    def _say_goaway(self, last_stream: int, code: ErrorCode, debug: str) -> None:
        self._out.append(frames.goaway(last_stream, code, debug.encode("latin-1", "replace")))

    def _last_processed(self) -> int:
        """Of the streams that the peer opened."""
        return 0 if self._is_client else self._highest

    def _close_if_drained(self) -> None:
        if self._draining and not self._streams and not self.is_closing:
            self._say_goaway(self._last_processed(), ErrorCode.NO_ERROR, "")
            self.is_closing = True
