"""What a peer's frames do to a connection: the receiving half of HboneConnection [pure].

DATA goes its own way (`frame_reader`, `data_lane`), header blocks theirs (`header_lane`); SETTINGS and PING are h2's
to judge and answer (`control`). The rest is here: windows, resets, GOAWAY, and how a connection ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hbone_py import events as ev
from hbone_py import frames
from hbone_py.config import Http2Config
from hbone_py.control import judge, opening_bytes
from hbone_py.data_lane import DataLane
from hbone_py.errors import ErrorCode, RemoteProtocolError
from hbone_py.flow import DEFAULT_WINDOW, MAX_WINDOW, ReceiveCredit, UnreadLedger
from hbone_py.frame_reader import FrameReader
from hbone_py.header_lane import HeaderLane
from hbone_py.header_reader import HeaderReader
from hbone_py.stream_table import StreamTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hbone_py.streams import Stream

DRAIN_PING: Final = bytes.fromhex("0b7ba2f08b9bfe54")
"""The PING between the two GOAWAYs of a graceful end (hbone-dataplane 1.8)."""
_AT_ONCE: Final = 1024
"""Small frames of DATA in one turn, or 64 requests or PINGs: a read may hold 29,000 of them, a second's work."""
_NO_LIMIT: Final = frames.MAX_STREAM_ID


class Incoming:
    """The state of one side of a connection, and everything that arrives for it."""

    def __init__(self, *, client: bool, config: Http2Config | None = None, ledger: UnreadLedger | None = None) -> None:
        self.config = config = config or Http2Config()
        self.is_client = client
        self.send_window = DEFAULT_WINDOW
        """Bytes the peer still lets us send on all streams together."""
        self.ended: ev.ConnectionEnded | None = None
        """Set once nothing more comes or goes."""
        self.peer_max_streams = config.assumed_peer_streams
        self.peer_max_frame = 16_384
        self.has_settings = False
        """The peer's first SETTINGS have arrived."""
        self.peer_goaway: int | None = None
        """The last stream id of the peer's GOAWAY, once it sent one."""
        self.is_draining = False

        self.output: list[bytes] = [opening_bytes(client=client, config=config)]
        """What must be written, in order: whoever drives the engine empties it."""
        self.happened: list[ev.Event] = []
        """What happened, in order; likewise."""
        window = max(config.connection_window, DEFAULT_WINDOW + 1)
        self._credit = ReceiveCredit(self, window, ledger or UnreadLedger(), self.output)
        self._table = StreamTable(
            client=client, config=config, credit=self._credit, out=self.output, events=self.happened
        )
        self._blocks = HeaderReader(config.max_header_list_client if client else config.max_header_list_server)
        self._headers = HeaderLane(self._table, self._blocks, config=config, out=self.output, events=self.happened)
        self._reader = FrameReader(
            DataLane(self._table, self._credit, self._blocks), self._frame, config.max_frame_size, _AT_ONCE
        )
        self._preface = b"" if client else frames.PREFACE
        self.blocked: dict[Stream, None] = self._table.blocked
        """Streams that were refused window, in order; `unblocked` takes out who may try again."""
        self.streams: dict[int, Stream] = self._table.open
        """Every open stream. A stream leaves when both directions have ended, or at a reset."""

    def receive_data(self, data: memoryview | bytes) -> None:
        """Take plaintext from the peer. Keeps no reference to `data`; never raises for what the peer did."""
        view = memoryview(data)
        while rest := self.receive(view, len(view)):
            view = view[-rest:]

    def receive(self, view: memoryview, size: int) -> int:
        """The same with the first `size` bytes of a buffer, but no more frames at once than others may wait for.

        Returns how many of these bytes, the last ones, were left for another turn.
        """
        if self.ended:
            return 0
        try:
            if self._preface:
                view = self._check_preface(view[:size])
                size = len(view)
            return self._reader.feed(view, size)
        except RemoteProtocolError as error:
            self.fail(error.code, str(error))
            return 0

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

    # Frames that are not DATA ---------------------------------------------------------------

    def _frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """A whole frame that is not DATA."""
        if not self.has_settings and (kind != frames.SETTINGS or flags & frames.ACK):
            raise RemoteProtocolError("the first frame is not SETTINGS")
        if kind == frames.HEADERS or self._blocks.stream_id:
            self._headers.receive(kind, flags, stream_id, payload)
        elif kind == frames.WINDOW_UPDATE:
            self._window_update(stream_id, payload)
        elif kind == frames.RST_STREAM:
            self._reset_received(stream_id, payload)
        elif kind == frames.GOAWAY:
            self._goaway_received(stream_id, payload)
        elif kind == frames.PRIORITY:
            self._priority_received(stream_id, payload)
        elif kind in (frames.SETTINGS, frames.PING):
            self._control_frame(kind, flags, stream_id, payload)
        elif kind in (frames.CONTINUATION, frames.PUSH_PROMISE):
            raise RemoteProtocolError(f"unexpected frame of type {kind}")

    def _window_update(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise RemoteProtocolError("WINDOW_UPDATE is not four bytes", ErrorCode.FRAME_SIZE_ERROR)
        increment = frames.u32(payload) & MAX_WINDOW
        if stream_id == 0:
            self.send_window += increment
            if not increment:
                raise RemoteProtocolError("WINDOW_UPDATE of nothing")
            if self.send_window > MAX_WINDOW:
                raise RemoteProtocolError("connection window overflows", ErrorCode.FLOW_CONTROL_ERROR)
            return
        stream = self.streams.get(stream_id)
        if stream is None:
            self._table.check_not_idle(stream_id, "WINDOW_UPDATE")
            return
        stream.send_window += increment
        if not increment:
            self._table.fault(stream_id, "WINDOW_UPDATE of nothing")
        elif stream.send_window > MAX_WINDOW:
            self._table.fault(stream_id, "window overflows", ErrorCode.FLOW_CONTROL_ERROR)

    def _reset_received(self, stream_id: int, payload: bytes) -> None:
        if stream_id == 0:
            raise RemoteProtocolError("RST_STREAM on stream 0")
        if len(payload) != 4:
            raise RemoteProtocolError("RST_STREAM is not four bytes", ErrorCode.FRAME_SIZE_ERROR)
        stream = self.streams.get(stream_id)
        if stream is None:
            self._table.check_not_idle(stream_id, "RST_STREAM")
        else:
            self._table.reset_received(stream, frames.u32(payload))

    def _priority_received(self, stream_id: int, payload: bytes) -> None:
        """Looked at, never followed (RFC 9113 sections 5.3.2 and 6.3)."""
        if stream_id == 0:
            raise RemoteProtocolError("PRIORITY on stream 0")
        if len(payload) == 5:
            return
        if stream_id not in self.streams:
            raise RemoteProtocolError("PRIORITY is not five bytes", ErrorCode.FRAME_SIZE_ERROR)
        self._table.fault(stream_id, "PRIORITY is not five bytes", ErrorCode.FRAME_SIZE_ERROR)

    def _goaway_received(self, stream_id: int, payload: bytes) -> None:
        if stream_id != 0:
            raise RemoteProtocolError("GOAWAY on a stream")
        if len(payload) < 8:
            raise RemoteProtocolError("GOAWAY is too short", ErrorCode.FRAME_SIZE_ERROR)
        self.peer_goaway = frames.u32(payload) & frames.MAX_STREAM_ID
        self.happened.append(ev.GoAwayReceived(self.peer_goaway, frames.u32(payload[4:]), payload[8:136]))
        if self.is_client:
            self._table.refused_by_goaway(self.peer_goaway)

    def _control_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """SETTINGS and PING: h2's verdict and h2's answer."""
        answer, changed, acknowledged = judge(self.is_client, kind, flags, stream_id, payload)
        if kind == frames.SETTINGS and not flags & frames.ACK:
            self._apply_settings(changed)
            self.happened.append(ev.SettingsReceived())
        if answer:
            self.output.append(answer)
        if acknowledged == DRAIN_PING and self.is_draining:
            self._finish_drain()
        elif acknowledged:
            self.happened.append(ev.PingAcknowledged(acknowledged))

    def _apply_settings(self, changed: Mapping[int, int]) -> None:
        if not self.has_settings:
            self.has_settings = True
            self.peer_max_streams = _NO_LIMIT  # unless it says so: RFC 9113 section 6.5.2
        self.peer_max_streams = changed.get(frames.MAX_CONCURRENT_STREAMS, self.peer_max_streams)
        self.peer_max_frame = changed.get(frames.MAX_FRAME_SIZE, self.peer_max_frame)
        self._headers.peer_max_frame = self.peer_max_frame
        if changed.get(frames.HEADER_TABLE_SIZE, 4096) < 4096:
            self._headers.table_shrunk()
        if frames.INITIAL_WINDOW_SIZE in changed:
            self._table.move_windows(changed[frames.INITIAL_WINDOW_SIZE])

    def _finish_drain(self) -> None:
        """What was under way when the peer read the first GOAWAY is here: name the last stream, take no other."""
        if not self._headers.is_closed:
            self._headers.is_closed = True
            self.output.append(frames.goaway(self._table.last_peer_id, ErrorCode.NO_ERROR))

    def fail(self, code: ErrorCode, reason: str) -> None:
        """End the connection for the peer's fault: GOAWAY with `code`."""
        if not self.ended:
            self.output.append(frames.goaway(self._table.last_peer_id, code, reason.encode()[:64]))
            self._end(code, reason, by_peer=True)

    def return_credit(self) -> None:
        """Memory is free again: announce what was withheld."""
        self._credit.return_withheld(list(self.streams.values()))

    def _end(self, code: ErrorCode, reason: str, *, by_peer: bool) -> None:
        self.ended = ev.ConnectionEnded(code, reason, by_peer)
        self._reader.stop()
        self._credit.ledger.withheld.discard(self)
        self.happened.append(self.ended)
