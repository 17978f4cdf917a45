"""grpclib's HTTP/2 protocol with bounds on what a peer can make us hold, and without surprises by unusual frames.

grpclib leaves the sizes of messages and headers, the number of streams and events it does not know to chance; the
classes below override just those points. tests/mesh_py/rpc/test_protocol.py notices when grpclib moves them.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from google.protobuf.message import DecodeError
from grpclib import protocol
from grpclib.const import Status
from grpclib.encoding.proto import ProtoCodec
from grpclib.exceptions import GRPCError
from grpclib.metadata import decode_bin_value
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from mesh_py.rpc.message_buffer import CutShort, MessageBuffer
from mesh_py.rpc.peer import RpcPeer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from grpclib.config import Configuration
    from grpclib.utils import Wrapper
    from h2.events import Event, RequestReceived, ResponseReceived, StreamReset, TrailersReceived

log = logging.getLogger(__name__)

# hpack tells every header at level debug, bearer tokens included: nobody shall get that who has not named it.
logging.getLogger("hpack").setLevel(logging.INFO)

_COMPRESSED = 1
LARGEST_FRAME = 64 << 10
TURN = 8 << 10
"""Bytes of one connection that are heard before others have a turn: some hundreds of the smallest frames."""
LONGEST_TIMEOUT = 9
"""Characters: eight digits and a unit (gRPC over HTTP/2, "Timeout")."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What a peer may make one connection hold (bytes, where sizes)."""

    message: int = 4 << 20
    """One gRPC message; a larger one ends its call with RESOURCE_EXHAUSTED."""
    headers: int = 64 << 10
    """One header list, decoded."""
    streams: int = 100
    """Calls of the peer's at once."""
    taken_back: int = 100
    """Calls that a client may reset between two looks of the server's (rapid reset)."""
    unsent: int = 4 << 20
    """With more than this waiting for a peer that does not read, the connection ends. Messages wait before they are
    written, so that only answers to its own PINGs and the like can add up to it."""


class BoundedCodec(ProtoCodec):
    """Protobuf; what is none is the peer's fault and answered with a status, not with a traceback."""

    def decode(self, data: bytes, message_type: Any) -> Any:
        """Raises GRPCError."""
        try:
            return super().decode(data, message_type)
        except DecodeError as error:
            raise GRPCError(Status.INVALID_ARGUMENT, f"not a {message_type.DESCRIPTOR.full_name}: {error}") from error


class BoundedStream(protocol.Stream):
    """One call: messages are measured before they are taken in."""

    def __init__(self, *arguments: Any, limits: StreamLimits, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._limits = limits
        self._body_is_next = False

    def init_stream(self, stream_id: int, connection: protocol.Connection) -> None:
        """The call has a number: from now on something may come."""
        super().init_stream(stream_id, connection)
        self.buffer = MessageBuffer(partial(connection.ack, stream_id))  # type: ignore[assignment]  # same methods

    async def recv_data(self, size: int) -> bytes:
        """grpclib reads a message's five-byte prefix and its body in turn.

        Raises:
            GRPCError: the message is too large, compressed, or cut short.
        """
        is_body, self._body_is_next = self._body_is_next, False
        if not is_body:
            await asyncio.sleep(0)  # or a window full of small messages would be read in one go
        try:
            data = await super().recv_data(size)
        except CutShort as error:
            raise GRPCError(Status.INTERNAL, "the message was cut short") from error
        if data and not is_body:
            self._check_prefix(data)
            self._body_is_next = True
        return data

    def _check_prefix(self, prefix: bytes) -> None:
        flag, size = struct.unpack(">BI", prefix)
        if flag & _COMPRESSED:
            raise GRPCError(Status.UNIMPLEMENTED, "the message is compressed, which nobody was offered")
        if size > self._limits.message:
            raise GRPCError(
                Status.RESOURCE_EXHAUSTED,
                f"the message has {size} bytes, more than the limit of {self._limits.message}",
            )


class BoundedConnection(protocol.Connection):
    """One connection; hands out bounded streams and knows who the peer is."""

    def __init__(self, *arguments: Any, limits: StreamLimits, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._limits = limits
        self.draining = asyncio.Event()
        """Set with the farewell."""
        self.reason = ""
        """Why we have ended it, where that is a story of its own."""

    def abort(self, reason: str) -> None:
        """End it at once."""
        log.info("connection with %s ends: %s", self.get_peer(), reason)
        self.reason = reason
        self._transport.abort()

    def _ping(self) -> None:
        """grpclib's, but a peer that gives no answer is not waited for politely."""
        was_waiting = self._close_by_ping_handler is not None
        super()._ping()
        if not was_waiting and self._close_by_ping_handler is not None:
            self._close_by_ping_handler.cancel()
            seconds = self._config._keepalive_timeout
            reason = f"no answer to a PING within {seconds:g} s"
            self._close_by_ping_handler = asyncio.get_running_loop().call_later(seconds, self.abort, reason)

    def create_stream(self, *, stream_id: int | None = None, wrapper: Wrapper | None = None) -> BoundedStream:
        """One more call."""
        return BoundedStream(
            self, self._connection, self._transport, stream_id=stream_id, wrapper=wrapper, limits=self._limits
        )

    def get_peer(self) -> RpcPeer:
        """Who is at the other end."""
        return RpcPeer(self._transport, self.draining)


class TolerantProcessor(protocol.EventsProcessor):
    """Events grpclib does not know are none of its business; once we drain, new calls are turned away."""

    is_draining = False
    taken_back = 0
    """Calls that the peer has reset since the owner's last look."""

    def process(self, event: Event) -> None:
        """One event of h2's."""
        if event.__class__ in getattr(self, "processors", ()):
            super().process(event)

    def process_request_received(self, event: RequestReceived) -> None:
        """A call."""
        if self.is_draining:
            # It crossed our GOAWAY: nothing was done about it, the client may repeat it elsewhere.
            self.connection._connection.reset_stream(event.stream_id, ErrorCodes.REFUSED_STREAM)
        elif not _is_readable(cast("list[tuple[str, str]]", event.headers)):
            log.info("a call of %s ends: its headers cannot be read", self.connection.get_peer())
            self.connection._connection.reset_stream(event.stream_id, ErrorCodes.PROTOCOL_ERROR)
        else:
            super().process_request_received(event)

    def process_stream_reset(self, event: StreamReset) -> None:
        """A call is over before its time."""
        self.taken_back += event.remote_reset
        super().process_stream_reset(event)

    def process_response_received(self, event: ResponseReceived) -> None:
        """An answer begins."""
        if self._can_be_read(event):
            super().process_response_received(event)

    def process_trailers_received(self, event: TrailersReceived) -> None:
        """An answer ends."""
        if self._can_be_read(event):
            super().process_trailers_received(event)

    def _can_be_read(self, event: ResponseReceived | TrailersReceived) -> bool:
        """If not, its call ends here: grpclib would raise what no caller expects."""
        if _is_readable(cast("list[tuple[str, str]]", event.headers)):
            return True
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.__terminated__("the headers of the answer cannot be read")
        return False


class ModestConnection(H2Connection):
    """h2, which sends frames of a moderate size even to a peer that would take large ones.

    A frame is written at once: what waits for a slow reader is bounded by it.
    """

    _frame_size = LARGEST_FRAME

    @property  # h2 knows it as an attribute, and sets it
    def max_outbound_frame_size(self) -> int:
        """The largest frame we send."""
        return self._frame_size

    @max_outbound_frame_size.setter
    def max_outbound_frame_size(self, size: int) -> None:
        self._frame_size = min(size, LARGEST_FRAME)


class RpcProtocol(protocol.H2Protocol):
    """HTTP/2 for gRPC over any transport, on either side."""

    connection: BoundedConnection
    processor: TolerantProcessor

    def __init__(
        self,
        handler: protocol.AbstractHandler,
        config: Configuration,
        limits: StreamLimits,
        *,
        is_client: bool,
        lost: Callable[[RpcProtocol], None] = lambda _: None,
    ) -> None:
        """`lost` is called once the connection is over."""
        super().__init__(handler, config, _h2_configuration(is_client=is_client))
        self._limits = limits
        self._lost = lost
        self._unheard = b""
        """What had no turn yet; nothing is read meanwhile."""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin HTTP/2: what we allow is in the first SETTINGS."""
        self.transport = cast("asyncio.Transport", transport)
        engine = self._engine()
        engine.initiate_connection()
        if more := self.config.http2_connection_window_size - 65_535:
            engine.increment_flow_control_window(more)
        self.connection = BoundedConnection(engine, self.transport, config=self.config, limits=self._limits)
        self.connection.flush()
        self.connection.initialize()
        self.processor = TolerantProcessor(self.handler, self.connection)

    def data_received(self, data: bytes) -> None:
        """Frames, or parts of them: a piece of them now, the rest when others have had a turn."""
        self._feed(data[:TURN])
        if len(data) > TURN:
            self._unheard = data[TURN:]
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._hear_on)

    def _hear_on(self) -> None:
        data, self._unheard = self._unheard, b""
        if not data or self.transport.is_closing():
            return
        self.data_received(data)
        if not self._unheard:
            self.transport.resume_reading()

    def eof_received(self) -> None:
        """Nothing will follow: what came before is heard at once."""
        while self._unheard:
            self._hear_on()

    def _feed(self, data: bytes) -> None:
        if self.transport.get_write_buffer_size() > self._limits.unsent:
            self.connection.abort("the peer asks and does not read the answers")
            return
        try:
            events = self.connection.feed(data)
        except (ProtocolError, UnicodeDecodeError) as error:
            self._end(f"the peer breaks HTTP/2: {str(error) or type(error).__name__}")
            return
        self.connection.flush()
        for event in events:
            self.processor.process(event)
        if self.processor.taken_back > self._limits.taken_back and not self.h2_config.client_side:
            self.connection._connection.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
            self._end(f"the peer takes its calls back, {self.processor.taken_back} in a moment")
            return
        self.connection.flush()

    def _end(self, reason: str) -> None:
        """Over, by the peer's fault; h2 has a GOAWAY ready that says why."""
        log.info("connection with %s ends, %s", self.peer, reason)
        self.connection.flush()
        self.processor.close(reason)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The transport is gone: calls that still run hear why."""
        reason = self.connection.reason or exc
        self.processor.close(f"connection lost: {reason}" if reason else "connection closed")
        self._lost(self)

    @property
    def peer(self) -> RpcPeer:
        """Who is at the other end."""
        return RpcPeer(self.transport, self.connection.draining)

    @property
    def calls(self) -> int:
        """How many are running."""
        return len(self.processor.streams)

    def drain(self) -> None:
        """Say GOAWAY: calls that run go on, new ones are turned away. h2 is not told, for it would end them."""
        if self.processor.is_draining or self.transport.is_closing():
            return
        self.processor.is_draining = True
        self.connection.draining.set()
        last = self.connection._connection.highest_inbound_stream_id
        self.transport.write(GoAwayFrame(0, last_stream_id=last, error_code=ErrorCodes.NO_ERROR).serialize())

    def _engine(self) -> H2Connection:
        limits = self._limits
        engine = ModestConnection(self.h2_config)
        settings = {
            SettingCodes.INITIAL_WINDOW_SIZE: self.config.http2_stream_window_size,
            SettingCodes.MAX_HEADER_LIST_SIZE: limits.headers,
            SettingCodes.MAX_CONCURRENT_STREAMS: limits.streams,
            SettingCodes.ENABLE_PUSH: 0,
        }
        engine.local_settings = Settings(client=bool(self.h2_config.client_side), initial_values=settings)
        engine.decoder.max_header_list_size = limits.headers
        return engine


def _is_readable(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether grpclib will find what it takes for granted: binary metadata in base64, a timeout of eight digits."""
    try:
        for name, value in headers:
            if name.endswith("-bin"):
                decode_bin_value(value.encode("ascii"))
            elif name == "grpc-timeout" and len(value) > LONGEST_TIMEOUT:
                return False
    except ValueError:
        return False
    return True


def _h2_configuration(*, is_client: bool) -> H2Configuration:
    """As grpclib's own, but what comes in is validated: it indexes headers that a peer may have left out.

    Of what we send h2 marks secrets, so that no table on the way keeps them (RFC 7541 7.1.3).
    """
    return H2Configuration(
        client_side=is_client,
        header_encoding="ascii",
        validate_inbound_headers=True,
        validate_outbound_headers=False,
        normalize_inbound_headers=False,
        normalize_outbound_headers=is_client,
    )
