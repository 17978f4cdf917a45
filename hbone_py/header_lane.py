"""The header lane: CONNECT, its answer and trailers, in both directions [pure].

A bad request ends its own stream and no other: RFC 9113 sections 8.2, 8.3 and 8.5 decide (`connect`), and the answer
is RST_STREAM, 431 or 400 as hbone-dataplane 1.3 to 1.5 say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py import events as ev
from hbone_py import frames
from hbone_py.connect import check_trailers, read_request, read_status
from hbone_py.errors import BadConnect, ErrorCode, MalformedRequest
from hbone_py.header_blocks import EMPTY_TABLE, status
from hbone_py.openings import Openings

if TYPE_CHECKING:
    from hbone_py.config import Http2Config
    from hbone_py.connect import ConnectRequest
    from hbone_py.header_blocks import HeaderList
    from hbone_py.header_reader import HeaderReader
    from hbone_py.stream_table import StreamTable
    from hbone_py.streams import Stream


class HeaderLane:
    """Header blocks of one connection."""

    def __init__(
        self,
        table: StreamTable,
        blocks: HeaderReader,
        *,
        config: Http2Config,
        out: list[bytes],
        events: list[ev.Event],
    ) -> None:
        self.is_closed = False
        """Requests come too late: the last stream was named in a GOAWAY (RFC 9113 section 6.8)."""
        self.peer_max_frame = 16_384
        """The peer's MAX_FRAME_SIZE."""
        self._table = table
        self._blocks = blocks
        self._max_streams = config.max_concurrent_streams
        self._out = out
        self._events = events
        self._table_update = b""  # owed to the peer at the start of our next block
        self._openings = Openings(config.max_header_list_server)
        self._acceptance = b""  # the plain block of the latest 200,
        self._accepted_with: HeaderList = []  # and the headers behind its status

    # Out ---------------------------------------------------------------

    def write(self, stream_id: int, block: bytes, flags: int = 0) -> None:
        """Send a block, in as many frames as the peer's MAX_FRAME_SIZE asks for."""
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

    def table_shrunk(self) -> None:
        """The peer's HEADER_TABLE_SIZE went down: our next block must say that we follow (RFC 7541 section 4.2)."""
        self._table_update = EMPTY_TABLE

    # In ---------------------------------------------------------------

    def receive(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """HEADERS, or any frame at all while a block is open."""
        blocks = self._blocks
        if stream_id and not blocks.stream_id and flags & ~frames.END_STREAM == frames.END_HEADERS:
            self._received(stream_id, payload, bool(flags & frames.END_STREAM))
            return
        if blocks.stream_id:
            whole = blocks.go_on(kind, flags, stream_id, payload)
        else:
            whole = blocks.begin(flags, stream_id, payload)
        if whole:
            self._received(stream_id, *whole)

    def _received(self, stream_id: int, block: bytes, ends: bool) -> None:
        table = self._table
        stream = table.open.get(stream_id)
        try:
            if self._is_familiar(stream_id, stream, block, ends):
                return
            headers, is_oversize = self._blocks.decode(block)  # always, or the compression table runs out of step
            if stream is None:
                if table.is_client or stream_id <= table.last_peer_id:
                    table.late_headers(stream_id)
                else:
                    self._request(stream_id, headers, ends, is_oversize)
                    if self._blocks.was_plain:
                        self._openings.learn(block)
            elif not stream.remote_open:
                table.late_headers(stream_id)
            elif is_oversize:
                raise MalformedRequest("header list too large")
            elif table.is_client and not stream.answered:
                self._response(stream, block, headers, ends)
            else:
                self._trailers(stream, headers, ends)
        except MalformedRequest as error:
            table.fault(stream_id, str(error))

    def _is_familiar(self, stream_id: int, stream: Stream | None, block: bytes, ends: bool) -> bool:
        """The lane's own fast one: the same answer as before, or a request that begins as one did before."""
        table = self._table
        if stream is not None:
            if not block or block != self._acceptance or ends or stream.answered or not stream.remote_open:
                return False
            # `_accepted`, once a tunnel.
            stream.answered = True
            stream.expected = None
            self._events.append(ev.TunnelAccepted(stream.stream_id, self._accepted_with, stream))
            return True
        if table.is_client or stream_id <= table.last_peer_id:
            return False
        request = self._openings.request(block)
        if request is None:
            return False
        if self._takes(stream_id):
            self._open(stream_id, request, ends)
        return True

    def _takes(self, stream_id: int) -> bool:
        """Whether a request with a new number may be looked at."""
        table = self._table
        table.number(stream_id)
        if self.is_closed:
            table.reset(stream_id, ErrorCode.REFUSED_STREAM)
            return False
        if len(table.open) >= self._max_streams:
            table.count_reset(stream_id, ErrorCode.REFUSED_STREAM)
            return False
        return True

    def _request(self, stream_id: int, headers: HeaderList, ends: bool, is_oversize: bool) -> None:
        if not self._takes(stream_id):
            return
        if is_oversize:
            self._refuse(stream_id, 431, "header list too large", ends)
            return
        try:
            request = read_request(headers)
        except BadConnect as error:
            self._refuse(stream_id, 400, str(error), ends)
            return
        self._open(stream_id, request, ends)

    def _open(self, stream_id: int, request: ConnectRequest, ends: bool) -> None:
        table = self._table
        if ends and request.content_length:
            raise MalformedRequest("less data than content-length")
        stream = table.add(stream_id)
        stream.expected = request.content_length
        self._events.append(ev.TunnelRequested(stream_id, request, stream))
        if ends:
            table.end_received(stream)

    def _refuse(self, stream_id: int, code: int, reason: str, ends: bool) -> None:
        """Answer a request that is no tunnel, without ever opening a stream for it."""
        self.write(stream_id, status(code), frames.END_STREAM)
        if not ends:
            self._table.reset(stream_id, ErrorCode.NO_ERROR)
        self._events.append(ev.RequestRefused(stream_id, reason, code))

    def _response(self, stream: Stream, block: bytes, headers: HeaderList, ends: bool) -> None:
        code = read_status(headers)
        if 100 <= code < 200 and code != 101:
            if ends:
                raise MalformedRequest("an interim answer that ends the stream")
            return
        if code != 200:
            stream.answered = True
            self._refused(stream, code, ends)
            return
        if self._blocks.was_plain:
            self._acceptance, self._accepted_with = block, headers[1:]
        self._accepted(stream, headers[1:])
        if ends:
            self._table.end_received(stream)

    def _accepted(self, stream: Stream, headers: HeaderList) -> None:
        stream.answered = True
        stream.expected = None
        self._events.append(ev.TunnelAccepted(stream.stream_id, headers, stream))

    def _refused(self, stream: Stream, code: int, ends: bool) -> None:
        """Anything but 200: nobody will read a body (hbone-dataplane 1.5, 1.6)."""
        if stream.local_open or not ends:
            self._table.reset(stream.stream_id, ErrorCode.CANCEL)
        self._table.forget(stream)
        self._events.append(ev.TunnelRefused(stream.stream_id, code, stream))

    def _trailers(self, stream: Stream, headers: HeaderList, ends: bool) -> None:
        """Nothing a tunnel needs, and no harm either: they end the peer's direction."""
        if not ends:
            raise MalformedRequest("a second header block that does not end the stream")
        check_trailers(headers)
        self._table.end_received(stream)
