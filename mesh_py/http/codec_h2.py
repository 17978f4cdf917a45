"""HTTP/2 towards clients and towards servers, behind the face of `codec` [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py import frames
from hbone_py.errors import ErrorCode, RemoteProtocolError, code_name
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
from mesh_py.http.h2_connection import H2Connection
from mesh_py.http.h2_sending import DEFAULT_LIMITS
from mesh_py.http.h2_stream import H2Stream
from mesh_py.http.messages import has_no_body
from mesh_py.http.websocket import CONNECT_ACCEPTED, for_h1, from_h1

if TYPE_CHECKING:
    from mesh_py.http.h2_heads import RawFields
    from mesh_py.http.limits import Limits
    from mesh_py.http.messages import HttpRequest, HttpResponse

_ASSUMED_STREAMS = 100
"""What a server takes at once before it has said so."""


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
            self._send_head(stream, h2_heads.write_response(response), ended=False)

    def send_whole(self, stream: int, response: HttpResponse, data: bytes) -> int:
        """See `ServerCodec`. Raises as `send_response`."""
        self.send_response(stream, response, ended=False)
        taken = self.send_data(stream, data)
        if taken == len(data):
            self.end(stream)
        return taken

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
        self._send_head(stream, fields, ended=ended)
        if ended:
            self._outgoing_ended(stream, state)

    def _outgoing_ended(self, stream: int, state: H2Stream) -> None:
        super()._outgoing_ended(stream, state)
        if not state.ended_in and not state.request.is_tunnel:
            # The answer is complete and nobody reads the rest of the request (RFC 9113 8.1).
            self.reset(stream, ErrorCode.NO_ERROR)

    def _finish(self, stream: int, state: H2Stream) -> None:
        # Whatever nobody has read of the request, nobody will: its answer is complete.
        self._drop(stream)
        self._close_if_drained()

    def _on_new_head(self, stream: int, fields: RawFields, *, ended: bool) -> None:
        if stream % 2 == 0:
            raise RemoteProtocolError(f"a request on stream {stream}, which is no client's")
        if stream <= self._highest:
            self._on_late_head(stream)
            return
        if stream > self._highest + 2:
            self._past.passed_over(self._highest, stream)
        self._highest = stream
        self._idle_frames = 0
        if len(self._streams) >= self._limits.streams:
            self._say_reset(stream, ErrorCode.REFUSED_STREAM)
            self._count_reset()
            return
        try:
            state = self._read_request(fields, ended=ended)
        except BadMessage as error:
            self._refuse_stream(stream, error)
            return
        self._streams[stream] = state
        self._events.append(RequestReceived(stream, state.request, ended))

    def _on_late_head(self, stream: int) -> None:
        """Raises RemoteProtocolError where a stream cannot have any head."""
        if self._past.has_late_head(stream):
            self._count_idle_frame()
        else:
            self._refuse_late(stream)

    def _on_late_data(self, stream: int) -> None:
        if not self._past.has_late_data(stream):
            self._refuse_late(stream)

    def _refuse_late(self, stream: int) -> None:
        self._say_reset(stream, ErrorCode.STREAM_CLOSED)
        self._count_reset()

    def _read_request(self, fields: RawFields, *, ended: bool) -> H2Stream:
        request = for_h1(h2_heads.read_request(fields, self._limits))
        state = H2Stream(request, self._limits.stream_window, self._peer_window())
        state.head_in = True
        state.expect(request.headers)
        if ended:
            state.end_in()
        return state

    def _on_head(self, stream: int, state: H2Stream, fields: RawFields, *, ended: bool) -> None:
        """Never: a request's stream begins with its head."""

    def _on_reset(self, stream: int, state: H2Stream, code: int) -> None:
        self._drop(stream)
        self._past.reset(stream, told=False)
        self._events.append(StreamFailed(stream, DownstreamGone(f"the client reset its stream: {code_name(code)}")))
        self._count_reset()

    def _count_reset(self) -> None:
        self._resets += 1
        if self._resets > self._limits.resets:
            reason = f"{self._resets} requests taken back before their answer"
            raise RemoteProtocolError(reason, ErrorCode.ENHANCE_YOUR_CALM)

    def _refuse_stream(self, stream: int, error: BadMessage, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> None:
        if self._drop(stream):
            self._events.append(StreamFailed(stream, error))
        elif isinstance(error, HeadTooLarge):
            self._send_head(stream, [(b":status", b"%d" % error.answer)], ended=True)
            code = ErrorCode.NO_ERROR
        self._say_reset(stream, code)
        self._count_reset()

    def _peer_leaves(self, last_stream: int, reason: str) -> None:
        self._events.append(PeerLeaving(last_stream, reason))

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
            and len(self._streams) < self._peer.get(frames.MAX_CONCURRENT_STREAMS, _ASSUMED_STREAMS)
            and self._highest < frames.MAX_STREAM_ID - 1
        )

    @property
    def first_room(self) -> int:
        """What the windows of the connection and of a new stream take."""
        return min(self._send_window, self._peer_window())

    def send_request(self, request: HttpRequest, *, ended: bool) -> int:
        """The request's head, and the number of its stream.

        Raises:
            UnwritableMessage: it cannot be written; nothing was sent.
        """
        assert self.can_open, "the connection takes no more requests"
        fields = h2_heads.write_request(from_h1(request))
        stream = self._highest = self._highest + 2 if self._highest else 1
        self._send_head(stream, fields, ended=ended)
        state = self._streams[stream] = H2Stream(request, self._limits.stream_window, self._peer_window())
        state.head_out = True
        state.ended_out = ended
        return stream

    def drain(self) -> None:
        """Send no further request."""
        self._draining = True
        self._close_if_drained()

    def _on_new_head(self, stream: int, fields: RawFields, *, ended: bool) -> None:
        self._check_not_idle(stream, "HEADERS")
        self._count_idle_frame()  # of a request that was given up

    def _on_late_data(self, stream: int) -> None:
        """Passed over: of a request that was given up, most likely."""

    def _on_head(self, stream: int, state: H2Stream, fields: RawFields, *, ended: bool) -> None:
        try:
            response = self._read_response(state, fields, ended=ended)
        except BadMessage as error:
            self._refuse_stream(stream, error)
            return
        if response.is_interim:
            self._count_idle_frame()
            self._events.append(InterimReceived(stream, response))
            return
        self._idle_frames = 0
        self._events.append(ResponseReceived(stream, response, ended))
        if ended:
            self._incoming_ended(stream, state)

    def _read_response(self, state: H2Stream, fields: RawFields, *, ended: bool) -> HttpResponse:
        response = h2_heads.read_response(fields, self._limits)
        if response.is_interim:
            if ended:
                raise BadMessage("an interim response that ends its stream")
            return response
        state.head_in = True
        if state.request.protocol and response.status == CONNECT_ACCEPTED:
            response.status = 101
        elif not has_no_body(response.status, state.request.method):
            state.expect(response.headers)
        if ended:
            state.end_in()
        return response

    def _on_reset(self, stream: int, state: H2Stream, code: int) -> None:
        self._drop(stream)
        if state.ended_in:
            return  # the answer is whole; the server wants no more of the request
        if code == ErrorCode.REFUSED_STREAM:
            self._events.append(StreamFailed(stream, UpstreamRefused("upstream refused the stream")))
        else:
            reason = f"upstream reset the stream: {code_name(code)}"
            self._events.append(StreamFailed(stream, UpstreamRemoteReset(reason)))
        self._close_if_left()

    def _finish(self, stream: int, state: H2Stream) -> None:
        super()._finish(stream, state)
        self._close_if_left()

    def _refuse_stream(self, stream: int, error: BadMessage, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> None:
        if self._drop(stream):
            self._events.append(StreamFailed(stream, UpstreamBadMessage(str(error))))
        self._say_reset(stream, code)
        self._close_if_left()

    def _peer_leaves(self, last_stream: int, reason: str) -> None:
        """Streams above the last one were never looked at; those below go on unless the code says otherwise."""
        self._last_stream = last_stream
        refused = UpstreamRefused(f"upstream is leaving: {reason}")
        for stream in [stream for stream in self._streams if stream > last_stream]:
            self._drop(stream)
            self._events.append(StreamFailed(stream, refused))
        self._events.append(PeerLeaving(last_stream, reason))
        self._close_if_left()

    def _close_if_left(self) -> None:
        if self._last_stream is not None and not self._streams:
            self.is_closing = True

    def _fail_streams(self, error: HttpError) -> None:
        for stream in [stream for stream, state in self._streams.items() if state.ended_in]:
            del self._streams[stream]  # its answer is whole
        super()._fail_streams(error)

    def _gone(self) -> HttpError:
        return UpstreamReset("upstream closed the connection")

    def _broken(self, reason: str) -> HttpError:
        return UpstreamBadMessage(reason)
