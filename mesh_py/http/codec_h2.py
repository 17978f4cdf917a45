"""HTTP/2 towards clients and towards servers, behind the face of `codec` [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from h2.settings import SettingCodes

from hbone_py.errors import ErrorCode, code_name
from mesh_py.http import h2_heads
from mesh_py.http.errors import (
    BadMessage,
    DownstreamGone,
    HeadTooLarge,
    HttpError,
    UpstreamBadMessage,
    UpstreamRefused,
    UpstreamRemoteReset,
    UpstreamReset,
)
from mesh_py.http.events import InterimReceived, PeerLeaving, RequestReceived, ResponseReceived, StreamFailed
from mesh_py.http.h2_connection import DEFAULT_LIMITS, H2Connection, H2Stream
from mesh_py.http.websocket import CONNECT_ACCEPTED, for_h1, from_h1

if TYPE_CHECKING:
    from h2 import events as h2_events

    from mesh_py.http.h2_frames import GoAway
    from mesh_py.http.limits import Limits
    from mesh_py.http.messages import HttpRequest, HttpResponse


class H2Server(H2Connection):
    """Towards a client: requests in, responses out."""

    _is_client = False

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        self._resets = 0

    def new_period(self) -> None:
        """Begin to count anew."""
        super().new_period()
        self._resets = 0

    def send_interim(self, stream: int, response: HttpResponse) -> None:
        """A 1xx before the response."""
        state = self._streams.get(stream)
        if state is not None and not state.head_out:
            self._engine.send_headers(stream, h2_heads.write_response(response))

    def send_response(self, stream: int, response: HttpResponse, *, ended: bool) -> None:
        """The response's head.

        Raises:
            UnwritableMessage: it cannot be written. Another may be sent in its place.
        """
        state = self._streams.get(stream)
        if state is None or state.head_out:
            return
        fields = h2_heads.write_response(response)
        state.head_out = True
        self._engine.send_headers(stream, fields, end_stream=ended)
        if ended:
            self._outgoing_ended(stream, state)

    def _outgoing_ended(self, stream: int, state: H2Stream) -> None:
        super()._outgoing_ended(stream, state)
        if not state.ended_in and not state.request.is_tunnel:
            # The answer is complete and nobody reads the rest of the request (RFC 9113 8.1).
            self.reset(stream, ErrorCode.NO_ERROR)

    def _on_head(self, event: h2_events.RequestReceived | h2_events.ResponseReceived) -> None:
        stream = event.stream_id
        self._idle_frames = 0
        if len(self._streams) >= self._limits.streams:
            self._reset_engine_stream(stream, ErrorCode.REFUSED_STREAM)
            self._count_reset()
            return
        try:
            request = h2_heads.read_request(event.headers, self._limits)
        except BadMessage as error:
            self._refuse_stream(stream, error)
            return
        state = self._streams[stream] = H2Stream(for_h1(request))
        ended = event.stream_ended is not None
        state.ended_in = ended
        self._events.append(RequestReceived(stream, state.request, ended))

    def _on_reset(self, event: h2_events.StreamReset) -> None:
        state = self._streams.pop(event.stream_id, None)
        if state is None:
            return
        reason = f"the client reset its stream: {code_name(int(event.error_code))}"
        self._events.append(StreamFailed(event.stream_id, DownstreamGone(reason)))
        self._count_reset()
        self._close_if_drained()

    def _count_reset(self) -> None:
        self._resets += 1
        if self._resets > self._limits.resets:
            self._give_up(f"{self._resets} requests taken back before their answer")

    def _refuse_stream(self, stream: int, error: BadMessage) -> None:
        if self._streams.pop(stream, None) is not None:
            self._events.append(StreamFailed(stream, error))
        elif isinstance(error, HeadTooLarge):
            self._engine.send_headers(stream, [(b":status", b"%d" % error.answer)], end_stream=True)
        self._reset_engine_stream(stream, ErrorCode.PROTOCOL_ERROR)
        self._count_reset()

    def _handle_goaway(self, goaway: GoAway) -> None:
        self._events.append(PeerLeaving(goaway.last_stream, code_name(goaway.code)))

    def _gone(self) -> HttpError:
        return DownstreamGone("the client closed its connection")

    def _broken(self, reason: str) -> HttpError:
        return BadMessage(reason)


class H2Client(H2Connection):
    """Towards a server: requests out, responses in."""

    _is_client = True

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        self._last_stream: int | None = None
        """What a GOAWAY promised to serve, None before one."""

    @property
    def can_open(self) -> bool:
        """Whether one more request may be sent now."""
        return (
            not self._draining
            and not self.is_closing
            and self._last_stream is None
            and len(self._streams) < self._engine.remote_settings.max_concurrent_streams
        )

    @property
    def can_upgrade(self) -> bool:
        """Whether the server takes RFC 8441's CONNECT (WebSocket)."""
        return self._engine.remote_settings.get(SettingCodes.ENABLE_CONNECT_PROTOCOL, 0) == 1

    def send_request(self, request: HttpRequest, *, ended: bool) -> int:
        """The request's head, and the number of its stream.

        Raises:
            UnwritableMessage: it cannot be written; nothing was sent.
        """
        assert self.can_open, "the connection takes no more requests"
        fields = h2_heads.write_request(from_h1(request))
        stream = self._engine.get_next_available_stream_id()
        self._engine.send_headers(stream, fields, end_stream=ended)
        state = self._streams[stream] = H2Stream(request)
        state.head_out = True
        state.ended_out = ended
        return stream

    def drain(self) -> None:
        """Send no further request."""
        self._draining = True
        self._close_if_drained()

    def _on_head(self, event: h2_events.RequestReceived | h2_events.ResponseReceived) -> None:
        state = self._streams.get(event.stream_id)
        if state is None:
            return
        response = self._read(event)
        if response is None:
            return
        state.head_in = True
        if state.request.protocol and response.status == CONNECT_ACCEPTED:
            response.status = 101
        ended = event.stream_ended is not None
        self._events.append(ResponseReceived(event.stream_id, response, ended))
        if ended:
            self._incoming_ended(event.stream_id, state)

    def _on_interim(self, event: h2_events.InformationalResponseReceived) -> None:
        self._count_idle_frame()
        response = self._read(event) if event.stream_id in self._streams else None
        if response is not None:
            self._events.append(InterimReceived(event.stream_id, response))

    def _read(
        self, event: h2_events.RequestReceived | h2_events.ResponseReceived | h2_events.InformationalResponseReceived
    ) -> HttpResponse | None:
        try:
            return h2_heads.read_response(event.headers, self._limits)
        except BadMessage as error:
            self._refuse_stream(event.stream_id, error)
            return None

    def _on_reset(self, event: h2_events.StreamReset) -> None:
        state = self._streams.get(event.stream_id)
        if state is None:
            return
        code = int(event.error_code)
        if state.ended_in:  # the answer is whole; the server wants no more of the request
            state.ended_out = True
        elif code == ErrorCode.REFUSED_STREAM:
            self._events.append(StreamFailed(event.stream_id, UpstreamRefused("upstream refused the stream")))
        else:
            reason = f"upstream reset the stream: {code_name(code)}"
            self._events.append(StreamFailed(event.stream_id, UpstreamRemoteReset(reason)))
        self._streams.pop(event.stream_id, None)
        self._close_if_drained()

    def _incoming_ended(self, stream: int, state: H2Stream) -> None:
        super()._incoming_ended(stream, state)
        if self._last_stream is not None:
            self._close_if_left()

    def _refuse_stream(self, stream: int, error: BadMessage) -> None:
        if self._streams.pop(stream, None) is not None:
            self._events.append(StreamFailed(stream, UpstreamBadMessage(str(error))))
        self._reset_engine_stream(stream, ErrorCode.PROTOCOL_ERROR)

    def _handle_goaway(self, goaway: GoAway) -> None:
        """Streams above the last one were never looked at; those below go on unless the code says otherwise."""
        self._last_stream = goaway.last_stream
        refused = UpstreamRefused(f"upstream is leaving: {code_name(goaway.code)}")
        for stream in [stream for stream in self._streams if stream > goaway.last_stream]:
            del self._streams[stream]
            self._events.append(StreamFailed(stream, refused))
        self._events.append(PeerLeaving(goaway.last_stream, code_name(goaway.code)))
        self._close_if_left()

    def _close_if_left(self) -> None:
        if not self._streams:
            self.is_closing = True

    def _gone(self) -> HttpError:
        return UpstreamReset("upstream closed the connection")

    def _broken(self, reason: str) -> HttpError:
        return UpstreamBadMessage(reason)
