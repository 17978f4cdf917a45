"""What both roles of HTTP/2 share, on h2 [pure].

h2 keeps the connection's and the streams' states, HPACK, windows and SETTINGS. Ours are: which field may be in a head
(`h2_heads`), GOAWAY as a drain (`h2_frames`), one stream too many as a stream's error, and a bound on what a peer
may make us do for nothing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from h2 import events as h2_events
from h2.config import H2Configuration
from h2.connection import H2Connection as Engine
from h2.exceptions import H2Error, ProtocolError
from h2.settings import SettingCodes, Settings

from hbone_py import frames
from hbone_py.errors import ErrorCode, code_name
from mesh_py.http import h2_heads
from mesh_py.http.errors import BadMessage, HttpError, UnwritableMessage
from mesh_py.http.events import (
    ConnectionFailed,
    DataReceived,
    Event,
    MessageEnded,
    PeerLeaving,
    StreamFailed,
    WindowOpened,
)
from mesh_py.http.h2_compression import PlainEncoder, QuickDecoder
from mesh_py.http.h2_frames import FrameCutter, GoAway, Overlong
from mesh_py.http.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh_py.http.headers import Headers
    from mesh_py.http.messages import HttpRequest

DEFAULT_LIMITS = Limits()
_DEFAULT_WINDOW = 65_535
_TOLERATED = 4
"""h2's own limits on streams and head sizes are so many times what we announce: within them the fault is a stream's."""


class H2Stream:
    """One request and its response."""

    __slots__ = ("blocked", "ended_in", "ended_out", "head_in", "head_out", "request")

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.head_in = self.head_out = False
        self.ended_in = self.ended_out = False
        self.blocked = False
        """Somebody waits for window."""


class H2Connection:
    """The face of `codec.Codec`, as far as the roles do not differ."""

    _is_client: bool

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._streams: dict[int, H2Stream] = {}
        self._events: list[Event] = []
        self._draining = False
        self._idle_frames = 0
        self._cutter = FrameCutter(client=self._is_client, frame_size=limits.frame_size)
        self._engine = self._start_engine()
        self._handlers = self._handlers_by_event()
        self.is_closing = False
        self.is_aborted = False
        """HTTP/2 says by itself what is cut short."""
        self.is_half_closed = False

    def _start_engine(self) -> Engine:
        engine = Engine(
            H2Configuration(
                client_side=self._is_client,
                header_encoding=None,
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        announced = self._announced()
        values = {SettingCodes(key): value for key, value in announced.items()}
        if SettingCodes.MAX_CONCURRENT_STREAMS in values:
            values[SettingCodes.MAX_CONCURRENT_STREAMS] *= _TOLERATED
        engine.local_settings = Settings(client=self._is_client, initial_values=values)
        engine.encoder = PlainEncoder()
        engine.decoder = QuickDecoder(self._limits.head_bytes * _TOLERATED)
        engine.initiate_connection()
        engine.clear_outbound_data_buffer()  # h2 would announce its own numbers
        self._out = [(frames.PREFACE if self._is_client else b"") + frames.settings(announced)]
        if self._limits.connection_window > _DEFAULT_WINDOW:
            engine.increment_flow_control_window(self._limits.connection_window - _DEFAULT_WINDOW)
        return engine

    def _announced(self) -> dict[int, int]:
        mine = (
            {frames.ENABLE_PUSH: 0}
            if self._is_client
            else {
                frames.MAX_CONCURRENT_STREAMS: self._limits.streams,
                int(SettingCodes.ENABLE_CONNECT_PROTOCOL): 1,
            }
        )
        return {
            **mine,
            frames.INITIAL_WINDOW_SIZE: self._limits.stream_window,
            frames.MAX_FRAME_SIZE: self._limits.frame_size,
            frames.MAX_HEADER_LIST_SIZE: self._limits.head_bytes,
        }

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

    def events(self) -> list[Event]:
        """What has happened since the last call."""
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> list[bytes]:
        """Bytes for the peer since the last call."""
        self._take_engine_bytes()
        out, self._out = self._out, []
        return out

    def _take_engine_bytes(self) -> None:
        if data := self._engine.data_to_send():
            self._out.append(data)

    def new_period(self) -> None:
        """Begin to count anew what the peer asks for nothing: call it every minute or so."""
        self._idle_frames = 0

    # Sending --------------------------------------------------------------

    def send_data(self, stream: int, data: bytes) -> int:
        """As much of the body as the window takes; `WindowOpened` tells when more will fit."""
        state = self._streams.get(stream)
        if state is None or state.ended_out or not state.head_out:
            return len(data)  # nobody waits for it any more
        engine = self._engine
        room = min(engine.local_flow_control_window(stream), len(data))
        state.blocked = room < len(data)
        largest = engine.max_outbound_frame_size
        self._idle_frames = 0  # what answers our data is no flood
        for start in range(0, room, largest):
            engine.send_data(stream, data[start : min(start + largest, room)])
        return room

    def end(self, stream: int, trailers: Headers | None = None) -> None:
        """The body is complete."""
        state = self._streams.get(stream)
        if state is None or state.ended_out or not state.head_out:
            return
        if trailers is None:
            self._engine.end_stream(stream)
        else:
            try:
                self._engine.send_headers(stream, h2_heads.write_trailers(trailers), end_stream=True)
            except UnwritableMessage as error:
                self.reset(stream, ErrorCode.INTERNAL_ERROR)
                self._events.append(StreamFailed(stream, error))
                return
        self._outgoing_ended(stream, state)

    def reset(self, stream: int, code: ErrorCode) -> None:
        """Give the stream up; the others go on."""
        if self._streams.pop(stream, None) is not None:
            self._reset_engine_stream(stream, code)
            self._close_if_drained()

    def consumed(self, stream: int, credit: int) -> None:
        """The reader has so much; the peer may send as much again."""
        if not self.is_closing and credit:
            self._engine.acknowledge_received_data(credit, stream)

    def _reset_engine_stream(self, stream: int, code: ErrorCode) -> None:
        with suppress(ProtocolError):  # it may have ended already
            self._engine.reset_stream(stream, code)

    def _outgoing_ended(self, stream: int, state: H2Stream) -> None:
        state.ended_out = True
        if state.ended_in:
            self._streams.pop(stream, None)
            self._close_if_drained()

    def _incoming_ended(self, stream: int, state: H2Stream) -> None:
        state.ended_in = True
        if state.ended_out:
            self._streams.pop(stream, None)
            self._close_if_drained()

    # Receiving ------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Bytes from the peer."""
        if self.is_closing:
            return
        for part in self._cutter.cut(data):
            if isinstance(part, GoAway):
                self._handle_goaway(part)
            elif isinstance(part, Overlong):
                self._give_up(f"a frame of {part.length} bytes", ErrorCode.FRAME_SIZE_ERROR)
            elif not self._receive_frames(part):
                return

    def receive_eof(self) -> None:
        """The peer will send no more."""
        if self.is_closing:
            return
        error = self._gone()
        self._fail_streams(error)
        self._events.append(PeerLeaving(0, "the peer closed its connection"))
        self.is_closing = True

    def _receive_frames(self, data: bytes) -> bool:
        try:
            events = self._engine.receive_data(data)
        except H2Error as error:
            code = getattr(error, "error_code", ErrorCode.PROTOCOL_ERROR)
            self._fail_connection(f"{code_name(int(code))}: {str(error) or type(error).__name__}")
            return False
        for event in events:
            if handler := self._handlers.get(type(event)):
                handler(event)
                if self.is_closing:
                    return False
        return True

    def _handlers_by_event(self) -> dict[type[Any], Callable[[Any], None]]:
        return {
            h2_events.RequestReceived: self._on_head,
            h2_events.ResponseReceived: self._on_head,
            h2_events.InformationalResponseReceived: self._on_interim,
            h2_events.DataReceived: self._on_data,
            h2_events.TrailersReceived: self._on_trailers,
            h2_events.StreamEnded: self._on_ended,
            h2_events.StreamReset: self._on_reset,
            h2_events.WindowUpdated: self._on_window,
            h2_events.RemoteSettingsChanged: self._on_settings,
            h2_events.PingReceived: self._on_ping,
            h2_events.PriorityUpdated: self._on_ping,
        }

    def _on_head(self, event: h2_events.RequestReceived | h2_events.ResponseReceived) -> None:
        raise NotImplementedError

    def _on_interim(self, event: h2_events.InformationalResponseReceived) -> None:
        """Servers hear none."""

    def _on_data(self, event: h2_events.DataReceived) -> None:
        stream, credit = event.stream_id, event.flow_controlled_length
        if not event.data:
            self._count_idle_frame()
        else:
            self._idle_frames = 0
        if stream not in self._streams:
            self.consumed(stream, credit)  # given up; the connection's window is everybody's
        elif event.data:
            self._events.append(DataReceived(stream, event.data, credit))
        else:
            self.consumed(stream, credit)

    def _on_trailers(self, event: h2_events.TrailersReceived) -> None:
        state = self._streams.get(event.stream_id)
        if state is None or state.ended_in:
            return
        try:
            trailers = h2_heads.read_trailers(event.headers, self._limits)
        except BadMessage as error:
            self._refuse_stream(event.stream_id, error)
            return
        self._events.append(MessageEnded(event.stream_id, trailers))
        self._incoming_ended(event.stream_id, state)

    def _on_ended(self, event: h2_events.StreamEnded) -> None:
        state = self._streams.get(event.stream_id)
        if state is not None and not state.ended_in:
            self._events.append(MessageEnded(event.stream_id))
            self._incoming_ended(event.stream_id, state)

    def _on_reset(self, event: h2_events.StreamReset) -> None:
        raise NotImplementedError

    def _on_window(self, event: h2_events.WindowUpdated) -> None:
        if event.stream_id:
            self._count_idle_frame()
            self._wake(event.stream_id)
        else:
            self._wake_all()

    def _on_settings(self, event: h2_events.RemoteSettingsChanged) -> None:
        self._count_idle_frame()
        self._wake_all()

    def _on_ping(self, event: h2_events.PingReceived | h2_events.PriorityUpdated) -> None:
        self._count_idle_frame()

    def _wake_all(self) -> None:
        for stream in list(self._streams):
            self._wake(stream)

    def _wake(self, stream: int) -> None:
        state = self._streams.get(stream)
        if state is not None and state.blocked and self._engine.local_flow_control_window(stream) > 0:
            state.blocked = False
            self._events.append(WindowOpened(stream))

    def _count_idle_frame(self) -> None:
        self._idle_frames += 1
        if self._idle_frames > self._limits.control_frames:
            self._give_up(f"{self._idle_frames} frames in a row that ask for nothing")

    # Ending ---------------------------------------------------------------

    def drain(self) -> None:
        """Take no new request after those under way, then close."""
        if self._draining or self.is_closing:
            return
        self._draining = True
        self._say_goaway(frames.MAX_STREAM_ID, ErrorCode.NO_ERROR, "")
        self._close_if_drained()

    def _say_goaway(self, last_stream: int, code: ErrorCode, debug: str) -> None:
        self._take_engine_bytes()
        self._out.append(frames.goaway(last_stream, code, debug.encode("latin-1", "replace")))

    def _close_if_drained(self) -> None:
        if self._draining and not self._streams and not self.is_closing:
            self._say_goaway(self._engine.highest_inbound_stream_id, ErrorCode.NO_ERROR, "")
            self.is_closing = True

    def _give_up(self, reason: str, code: ErrorCode = ErrorCode.ENHANCE_YOUR_CALM) -> None:
        self._say_goaway(self._engine.highest_inbound_stream_id, code, reason)
        self._fail_connection(reason)

    def _fail_connection(self, reason: str) -> None:
        self.is_closing = True
        error = self._broken(reason)
        self._fail_streams(error)
        self._events.append(ConnectionFailed(error))

    def _fail_streams(self, error: HttpError) -> None:
        self._events += [StreamFailed(stream, error) for stream, state in self._streams.items() if not _over(state)]
        self._streams.clear()

    def _handle_goaway(self, goaway: GoAway) -> None:
        raise NotImplementedError

    def _refuse_stream(self, stream: int, error: BadMessage) -> None:
        """A message that is malformed ends its stream (RFC 9113 8.1.1)."""
        raise NotImplementedError

    def _gone(self) -> HttpError:
        raise NotImplementedError

    def _broken(self, reason: str) -> HttpError:
        raise NotImplementedError


def _over(state: H2Stream) -> bool:
    return state.ended_in and state.ended_out
