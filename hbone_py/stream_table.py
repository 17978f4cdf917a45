"""The stream table: which streams are open, and what may still come for those that are not [pure].

RFC 9113 section 5.1 for the states. A frame may arrive late, for a stream we reset while it travelled: that is no
fault. The peer's own faults end one stream, are counted, and end the connection only when they become a flood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py import events as ev
from hbone_py import frames
from hbone_py.errors import ErrorCode, MalformedRequest, RemoteProtocolError
from hbone_py.flow import DEFAULT_WINDOW, MAX_WINDOW
from hbone_py.past_streams import PastStreams
from hbone_py.streams import Stream

if TYPE_CHECKING:
    from hbone_py.config import Http2Config
    from hbone_py.flow import ReceiveCredit


class StreamTable:
    """Every open stream of a connection. A stream leaves when both directions have ended, or at a reset."""

    def __init__(
        self, *, client: bool, config: Http2Config, credit: ReceiveCredit, out: list[bytes], events: list[ev.Event]
    ) -> None:
        self.is_client = client
        self.open: dict[int, Stream] = {}
        self.next_id = 1
        """The number of the next stream we open (a client)."""
        self.last_peer_id = 0
        """The highest number the peer has opened."""
        self.peer_window = DEFAULT_WINDOW
        """The peer's INITIAL_WINDOW_SIZE: what a new stream may send."""
        self.blocked: dict[Stream, None] = {}
        """Streams that were refused window, in order."""
        self._config = config
        self._credit = credit
        self._out = out
        self._events = events
        self._past = PastStreams()
        self._protocol_resets = 0
        self._early_resets = 0

    # Coming and going ---------------------------------------------------------------

    def add(self, stream_id: int) -> Stream:
        """A new stream, open both ways."""
        stream = self.open[stream_id] = Stream(stream_id, self.peer_window, self._config.stream_window)
        return stream

    def number(self, stream_id: int) -> None:
        """The peer begins a stream with a new number, whatever becomes of it (RFC 9113 section 5.1.1)."""
        if not stream_id & 1:
            raise RemoteProtocolError("a client opened a stream with an even number")
        if stream_id > self.last_peer_id + 2:
            self._past.passed_over(self.last_peer_id, stream_id)
        self.last_peer_id = stream_id

    def forget(self, stream: Stream) -> None:
        """The stream is over. What it holds stays readable until it is dropped."""
        stream.local_open = stream.remote_open = False
        self.open.pop(stream.stream_id, None)
        if stream.blocked:
            stream.blocked = False
            self.blocked.pop(stream, None)

    def end_received(self, stream: Stream) -> None:
        """END_STREAM: the peer's direction is over. Raises MalformedRequest when that comes too early."""
        if stream.expected:
            raise MalformedRequest("less data than content-length")
        if self.is_client and not stream.answered:
            raise MalformedRequest("an end before the answer")
        stream.remote_open = False
        if not stream.local_open:
            self.forget(stream)
        self._events.append(ev.TunnelEnded(stream.stream_id, stream))

    def move_windows(self, size: int) -> None:
        """The peer's INITIAL_WINDOW_SIZE is `size` now: every open window moves by the difference, below zero if
        need be (RFC 9113 section 6.9.2)."""
        delta, self.peer_window = size - self.peer_window, size
        for stream in self.open.values():
            stream.send_window += delta
            if stream.send_window > MAX_WINDOW:
                raise RemoteProtocolError("SETTINGS overflow a window", ErrorCode.FLOW_CONTROL_ERROR)

    # Resets ---------------------------------------------------------------

    def reset(self, stream_id: int, code: int) -> None:
        """Send RST_STREAM; frames of that stream that are on their way are no fault of the peer's."""
        self._out.append(frames.rst_stream(stream_id, code))
        self._past.reset(stream_id, told=True)

    def reset_received(self, stream: Stream, code: int) -> None:
        """RST_STREAM from the peer. After END_STREAM a NO_ERROR loses nothing: what is held is still delivered."""
        after_end = not stream.remote_open
        if not stream.answered and not self.is_client:
            self._count_early()
        self._past.reset(stream.stream_id, told=False)
        self.forget(stream)
        if not (after_end and code == ErrorCode.NO_ERROR):
            self._credit.drop(stream)
        self._events.append(ev.TunnelReset(stream.stream_id, code, True, stream, after_end))

    def refused_by_goaway(self, last: int) -> None:
        """What lies above `last` was never looked at, and may be tried again elsewhere (RFC 9113 section 6.8)."""
        for stream in [stream for stream in self.open.values() if stream.stream_id > last]:
            self.forget(stream)
            self._credit.drop(stream)
            self._events.append(ev.TunnelReset(stream.stream_id, ErrorCode.REFUSED_STREAM, True, stream))

    def fault(self, stream_id: int, reason: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> None:
        """End one stream for the peer's fault; its neighbours go on."""
        self.count_reset(stream_id, code)
        stream = self.open.get(stream_id)
        if stream is None:
            self._events.append(ev.RequestRefused(stream_id, reason))
            return
        self.forget(stream)
        self._credit.drop(stream)
        self._events.append(ev.TunnelReset(stream_id, code, False, stream))

    def count_reset(self, stream_id: int, code: ErrorCode) -> None:
        """RST_STREAM for the peer's fault. Raises RemoteProtocolError when there are too many (hbone-dataplane 1.3)."""
        self.reset(stream_id, code)
        self._protocol_resets += 1
        if self._protocol_resets > self._config.max_protocol_resets:
            raise RemoteProtocolError("too_many_internal_resets", ErrorCode.ENHANCE_YOUR_CALM)

    def _count_early(self) -> None:
        """A peer may change its mind now and then, not every time (hbone-dataplane 1.3)."""
        self._early_resets += 1
        if self._early_resets > self._config.max_early_resets + self.last_peer_id // 4:
            raise RemoteProtocolError("too_many_resets", ErrorCode.ENHANCE_YOUR_CALM)

    # Frames for streams that are not open ---------------------------------------------------------------

    def check_not_idle(self, stream_id: int, what: str) -> None:
        """Raises unless the stream was open once (RFC 9113 section 5.1: nothing may come for an idle one)."""
        ours = bool(stream_id & 1) == self.is_client
        highest = (self.next_id - 2 if self.is_client else 0) if ours else self.last_peer_id
        if not 0 < stream_id <= highest:
            raise RemoteProtocolError(f"{what} on idle stream {stream_id}")

    def late_data(self, stream_id: int) -> None:
        """DATA for a direction that is over: a stream error, forgiven when our reset may not have arrived yet."""
        self.check_not_idle(stream_id, "DATA")
        if stream_id in self.open:
            self.fault(stream_id, "DATA after END_STREAM", ErrorCode.STREAM_CLOSED)
        elif not self._past.has_late_data(stream_id):
            self.count_reset(stream_id, ErrorCode.STREAM_CLOSED)

    def late_headers(self, stream_id: int) -> None:
        """HEADERS likewise. Raises RemoteProtocolError where a stream cannot have any (`PastStreams`)."""
        self.check_not_idle(stream_id, "HEADERS")
        if stream_id in self.open:
            self.fault(stream_id, "HEADERS after END_STREAM", ErrorCode.STREAM_CLOSED)
        elif not self._past.has_late_head(stream_id):
            self.count_reset(stream_id, ErrorCode.STREAM_CLOSED)
