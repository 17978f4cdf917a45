"""The plain specification: h2 alone behind the engine's interface, with the engine's events.

No lane of ours, no cleverness: every frame goes through `h2.H2Connection`. What it says about a sequence of bytes is
what the engine must say, but for the cases that tests/conformance/deviations.py names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from h2 import events as h2_events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from hbone_py import events as ev
from hbone_py.connect import ConnectRequest
from hbone_py.errors import ErrorCode
from hbone_py.streams import Stream
from tests.support.frames import PREFACE

if TYPE_CHECKING:
    from hbone_py.config import Http2Config

Headers = list[tuple[bytes, bytes]]


class PlainH2:
    """One side of a connection, on h2 alone."""

    def __init__(self, *, client: bool, config: Http2Config) -> None:
        self.is_client = client
        self.config = config
        self.streams: dict[int, Stream] = {}
        self.ended: ev.ConnectionEnded | None = None
        self.death: ProtocolError | None = None
        """What h2 raised when it gave the connection up."""
        self.last_headers: Headers = []
        """The latest header list that h2 found no fault with."""
        self._events: list[ev.Event] = []
        self._input = b""
        self._preface = b"" if client else PREFACE
        self._h2 = H2Connection(H2Configuration(client_side=client, header_encoding=None))
        self._h2.local_settings = Settings(
            client=client,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.MAX_CONCURRENT_STREAMS: config.max_concurrent_streams,
                SettingCodes.INITIAL_WINDOW_SIZE: config.stream_window,
                SettingCodes.MAX_FRAME_SIZE: config.max_frame_size,
            },
        )
        self._h2.max_inbound_frame_size = config.max_frame_size
        self._h2.decoder.max_header_list_size = (
            config.max_header_list_client if client else config.max_header_list_server
        )
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(config.connection_window - 65_535)
        self._h2.clear_outbound_data_buffer()

    def events(self) -> list[ev.Event]:
        """What happened since the last call."""
        happened, self._events = self._events, []
        return happened

    def data_to_send(self) -> list[bytes]:
        """What h2 wants written."""
        return [self._h2.data_to_send()]

    # What arrives -------------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Whole frames go to h2 one by one, so that what came before a fault is not lost with it."""
        self._input += data
        count = min(len(self._preface), len(self._input))
        if count:
            self._to_h2(self._input[:count])
            self._input, self._preface = self._input[count:], self._preface[count:]
        while len(self._input) >= 9 and not self.ended:
            length = int.from_bytes(self._input[:3])
            if length > self.config.max_frame_size:  # h2 would wait for all of it before it complains
                self._to_h2(self._input[:9] + bytes(length))
            if len(self._input) < 9 + length:
                return
            self._to_h2(self._input[: 9 + length])
            self._input = self._input[9 + length :]

    def receive_eof(self) -> None:
        """The peer's bytes are over."""
        self._end(ErrorCode.NO_ERROR)

    def _to_h2(self, data: bytes) -> None:
        if self.ended:
            return
        try:
            happened = self._h2.receive_data(data)
        except ProtocolError as error:
            self.death = error
            self._end(error.error_code)
            return
        for event in happened:
            self._translate(event)

    def _end(self, code: int) -> None:
        if not self.ended:
            self.ended = ev.ConnectionEnded(code, "", by_peer=True)
            self._events.append(self.ended)

    def _translate(self, event: h2_events.Event) -> None:
        if headers := getattr(event, "headers", None):
            self.last_headers = [(bytes(name), bytes(value)) for name, value in headers]
        match event:
            case h2_events.RequestReceived():
                self._request(event.stream_id, self.last_headers, event.stream_ended is not None)
            case h2_events.ResponseReceived():
                self._response(event.stream_id, self.last_headers, event.stream_ended is not None)
            case h2_events.DataReceived() if event.stream_id in self.streams:
                self.streams[event.stream_id].hold([memoryview(event.data)])
            case h2_events.StreamEnded() if event.stream_id in self.streams:
                stream = self.streams[event.stream_id]
                stream.remote_open = False
                self._events.append(ev.TunnelEnded(stream.stream_id, stream))
                self._forget_if_over(stream)
            case h2_events.StreamReset() if event.stream_id in self.streams:
                stream = self.streams.pop(event.stream_id)
                after_end = event.remote_reset and not stream.remote_open
                self._events.append(
                    ev.TunnelReset(stream.stream_id, int(event.error_code), event.remote_reset, stream, after_end)
                )
            case h2_events.RemoteSettingsChanged():
                self._events.append(ev.SettingsReceived())
            case h2_events.PingAckReceived():
                self._events.append(ev.PingAcknowledged(event.ping_data))
            case h2_events.ConnectionTerminated():
                # h2 leaves the reserved bit in the number (RFC 9113 section 6.8).
                last = (event.last_stream_id or 0) & 2**31 - 1
                debug = bytes((event.additional_data or b"")[:128])
                self._events.append(ev.GoAwayReceived(last, int(event.error_code or 0), debug))

    def _request(self, stream_id: int, headers: Headers, ends: bool) -> None:
        asked = dict(headers)
        if asked[b":method"] != b"CONNECT":
            self._h2.send_headers(stream_id, [(b":status", b"400")], end_stream=True)
            if not ends:
                self._h2.reset_stream(stream_id, ErrorCode.NO_ERROR)
            self._events.append(ev.RequestRefused(stream_id, "", 400))
            return
        regular = [pair for pair in headers if not pair[0].startswith(b":")]
        request = ConnectRequest(asked.get(b":authority", b"").decode("latin-1"), regular)
        stream = self.streams[stream_id] = Stream(stream_id, 0, 0)
        self._events.append(ev.TunnelRequested(stream_id, request, stream))

    def _response(self, stream_id: int, headers: Headers, ends: bool) -> None:
        stream = self.streams.get(stream_id)
        if stream is None:
            return
        stream.answered = True
        if headers[0] == (b":status", b"200"):
            self._events.append(ev.TunnelAccepted(stream_id, headers[1:], stream))
            return
        del self.streams[stream_id]
        if stream.local_open or not ends:
            self._h2.reset_stream(stream_id, ErrorCode.CANCEL)
        status = headers[0][1]
        self._events.append(ev.TunnelRefused(stream_id, int(status) if status.isdigit() else 0, stream))

    # What our side does ---------------------------------------------------------------------------------------------

    def open_tunnel(self, headers: Headers) -> Stream:
        """Client: CONNECT."""
        stream_id = self._h2.get_next_available_stream_id()
        self._h2.send_headers(stream_id, headers)
        stream = self.streams[stream_id] = Stream(stream_id, 0, 0)
        return stream

    def accept_tunnel(self, stream: Stream) -> None:
        """Server: 200."""
        stream.answered = True
        self._h2.send_headers(stream.stream_id, [(b":status", b"200")])

    def reject_tunnel(self, stream: Stream, code: int) -> None:
        """Server: another status, and the end."""
        self._h2.send_headers(stream.stream_id, [(b":status", b"%d" % code)], end_stream=True)
        if stream.remote_open:
            self._h2.reset_stream(stream.stream_id, ErrorCode.NO_ERROR)
        del self.streams[stream.stream_id]

    def sendable(self, stream: Stream) -> int:
        """What both windows allow, never below zero."""
        return max(self._h2.local_flow_control_window(stream.stream_id), 0)

    def send(self, stream: Stream, data: bytes) -> int:
        """As much DATA as the windows allow."""
        count = min(self.sendable(stream), len(data))
        for start in range(0, count, self._h2.max_outbound_frame_size):
            end = min(start + self._h2.max_outbound_frame_size, count)
            self._h2.send_data(stream.stream_id, data[start:end])
        return count

    def end(self, stream: Stream) -> None:
        """END_STREAM."""
        self._h2.end_stream(stream.stream_id)
        stream.local_open = False
        self._forget_if_over(stream)

    def reset(self, stream: Stream, code: int) -> None:
        """RST_STREAM."""
        self._h2.reset_stream(stream.stream_id, code)
        del self.streams[stream.stream_id]

    def _forget_if_over(self, stream: Stream) -> None:
        if not stream.local_open and not stream.remote_open:
            del self.streams[stream.stream_id]
