"""The data lane: DATA frames from the frame reader to the streams' sinks [pure].

The hottest code of the engine: a call or two a frame, no object. What a sink does not take is held and stays unread,
so the window stays shut by that much: that is the whole back-pressure (RFC 9113 sections 5.2 and 6.9).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.errors import ErrorCode, MalformedRequest, RemoteProtocolError
from hbone_py.flow import BULK_RUN

if TYPE_CHECKING:
    from hbone_py.flow import ReceiveCredit
    from hbone_py.header_reader import HeaderReader
    from hbone_py.stream_table import StreamTable
    from hbone_py.streams import Stream


class DataLane:
    """What `frame_reader` tells about DATA."""

    __slots__ = ("_blocks", "_credit", "_ledger", "_open", "_table", "_window")

    def __init__(self, table: StreamTable, credit: ReceiveCredit, blocks: HeaderReader) -> None:
        self._table = table
        self._open = table.open
        self._credit = credit
        self._ledger = credit.ledger
        self._window = credit.window
        self._blocks = blocks

    def data_started(self, stream_id: int, length: int, padding: int) -> None:
        """A DATA frame begins. All of it counts against the windows, on a dead stream too (RFC 9113 section 6.9)."""
        if self._blocks.stream_id:
            raise RemoteProtocolError("a header block was interrupted")
        window = self._window
        window.left -= length
        if window.left < 0:
            raise RemoteProtocolError("connection window exceeded", ErrorCode.FLOW_CONTROL_ERROR)
        stream = self._open.get(stream_id)
        if stream is None or not stream.remote_open:
            self._credit.skip(padding)
            self._table.late_data(stream_id)
            return
        stream.receive_window.left -= length
        if stream.receive_window.left < 0:
            raise RemoteProtocolError(f"stream {stream_id} exceeded its window", ErrorCode.FLOW_CONTROL_ERROR)
        if padding:
            self._credit.read(stream, padding)
        if stream.expected is not None:
            self._check_expected(stream, length - padding)

    def whole(self, stream_id: int, payload: memoryview) -> None:
        """`data_started` and `payload` in one, where nothing stands in the way of handing the payload on."""
        size = len(payload)
        if size >= BULK_RUN:
            self._credit.saw_bulk = True
        stream = self._open.get(stream_id)
        if (
            stream is None
            or stream.sink is None
            or stream.unread
            or not stream.remote_open
            or stream.expected is not None
            or self._blocks.stream_id
            or size > self._window.left
            or size > stream.receive_window.left
        ):
            self._whole_otherwise(stream, stream_id, payload)
            return
        ours, its, ledger = self._window, stream.receive_window, self._ledger
        ours.left -= size
        its.left -= size
        taken = stream.sink([payload], size)
        if taken == size:  # as `ReceiveCredit.read`, which mostly has nothing to announce
            its.owed += size
            ours.owed += size
            if its.owed >= its.step or ours.owed >= ours.left or ledger.used >= ledger.near:
                self._credit.read(stream, 0)
            return
        if taken:
            self._credit.read(stream, taken)
        self._keep(stream, [payload], taken, size)

    def _whole_otherwise(self, stream: Stream | None, stream_id: int, payload: memoryview) -> None:
        """It cannot be handed on: mostly since nobody is there yet, for it has come with its CONNECT."""
        size = len(payload)
        if (
            stream is not None
            and stream.sink is None
            and not stream.unread
            and stream.remote_open
            and stream.expected is None
            and not self._blocks.stream_id
            and size <= self._window.left
            and size <= stream.receive_window.left
        ):
            self._window.left -= size
            stream.receive_window.left -= size
            self._credit.hold_first(stream, payload)
        else:
            self.data_started(stream_id, size, 0)
            self.payload(stream_id, [payload], size)

    def payload(self, stream_id: int, pieces: list[memoryview], size: int) -> None:
        """Payload for the stream's sink; what the sink leaves is held, unread."""
        if size >= BULK_RUN:
            self._credit.saw_bulk = True
        stream = self._open.get(stream_id)
        if stream is None or not stream.remote_open:
            self._credit.skip(size)
            return
        taken = 0
        if stream.sink is not None and not stream.unread:
            taken = stream.sink(pieces, size)
            if taken:
                self._credit.read(stream, taken)
                if taken == size:
                    return
        self._keep(stream, pieces, taken, size)

    def _keep(self, stream: Stream, pieces: list[memoryview], taken: int, size: int) -> None:
        """What the sink did not take, unless it reset the stream."""
        if stream.stream_id in self._open:
            self._credit.hold(stream, pieces, taken)
        else:
            self._credit.skip(size - taken)

    def data_ended(self, stream_id: int) -> None:
        """END_STREAM on a DATA frame."""
        stream = self._open.get(stream_id)
        if stream is not None and stream.remote_open:
            try:
                self._table.end_received(stream)
            except MalformedRequest as error:
                self._table.fault(stream_id, str(error))

    def empty_end(self, stream_id: int) -> None:
        """`data_started` and `data_ended` in one, for an empty frame."""
        if self._blocks.stream_id:
            raise RemoteProtocolError("a header block was interrupted")
        stream = self._open.get(stream_id)
        if stream is None or not stream.remote_open:
            self._table.late_data(stream_id)
            return
        try:
            self._table.end_received(stream)
        except MalformedRequest as error:
            self._table.fault(stream_id, str(error))

    def _check_expected(self, stream: Stream, count: int) -> None:
        assert stream.expected is not None
        stream.expected -= count
        if stream.expected < 0:
            early = self._table.is_client and not stream.answered
            reason = "data before the answer" if early else "more data than content-length"
            self._table.fault(stream.stream_id, reason)
