"""What both roles of HTTP/1 share: heads and bodies read in turn, bodies written [pure].

One exchange at a time. `_reader` is the body coming in, `_writer` the one going out; the exchange is over when
both are, and then the connection carries the next one or closes. After anything malformed it closes: nobody guesses
where the next message would begin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.http.errors import BadMessage, HttpError, UnwritableMessage
from mesh_py.http.events import DataReceived, Event, MessageEnded, StreamFailed
from mesh_py.http.h1_body import BodyReader, BodyWriter
from mesh_py.http.h1_head import Framing, Head, HeadReader
from mesh_py.http.limits import Limits

if TYPE_CHECKING:
    import httptools

    from hbone_py.errors import ErrorCode
    from mesh_py.http.headers import Headers
    from mesh_py.http.messages import HttpRequest

DEFAULT_LIMITS = Limits()


class H1Connection:
    """The face of `codec.Codec`, as far as the roles do not differ."""

    _parser_class: type[httptools.HttpRequestParser | httptools.HttpResponseParser]

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._heads = HeadReader(limits)
        self._events: list[Event] = []
        self._out: list[bytes] = []
        self._held = b""
        self._waits = False
        """What comes is held, not read: an answer has to come first."""
        self._stream = 0
        self._request: HttpRequest | None = None
        """Of the exchange under way."""
        self._is_tunnel = False
        """Whether that one asks for a tunnel."""
        self._reader: BodyReader | None = None
        self._writer: BodyWriter | None = None
        self._keep_alive = True
        self._draining = False
        self.is_closing = False
        """Close once `data_to_send` is written."""
        self.is_aborted = False
        """Close by a TCP reset: a plain end would look like the body's."""
        self.has_rest = False
        """Never: a piece of HTTP/1 is taken at once."""
        self.is_half_closed = False
        """A tunnel's own direction is over: shut down writing once `data_to_send` is written."""

    @property
    def wants_data(self) -> bool:
        """False while the socket should not be read."""
        return not self.is_closing and len(self._held) < self._limits.held_bytes

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self._request is None

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

    def receive_data(self, data: bytes) -> None:
        """Bytes from the peer."""
        if self._waits:
            self._held += data
        elif not self.is_closing:
            self._read(data)

    def go_on(self) -> None:
        """Nothing: see `has_rest`."""

    def consumed(self, stream: int, credit: int) -> None:
        """Nothing: over HTTP/1 the socket is the window."""

    def new_period(self) -> None:
        """Nothing: HTTP/1 has no frames to flood with."""

    def send_data(self, stream: int, data: bytes) -> int:
        """A piece of the body, taken whole."""
        if stream == self._stream and self._writer is not None:
            try:
                self._writer.write(data, self._out)
            except UnwritableMessage as error:
                self._abort(error)
        return len(data)

    def send_last(self, stream: int, data: bytes) -> None:
        """The last piece of the body, and its end."""
        self.send_data(stream, data)
        self.end(stream)

    def end(self, stream: int, trailers: Headers | None = None) -> None:
        """The body is complete."""
        writer = self._writer
        if stream != self._stream or writer is None:
            return
        try:
            writer.end(trailers, self._out)
        except UnwritableMessage as error:
            self._abort(error)
            return
        self._outgoing_ended(writer.framing)

    def reset(self, stream: int, code: ErrorCode) -> None:
        """Give the exchange up, and the connection with it."""
        if stream == self._stream and self._request is not None:
            self._abort(None)

    # Reading -------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        try:
            while data and not self._waits and not self.is_closing:
                taken = self._read_head(data) if self._reader is None else self._read_body(self._reader, data)
                data = data[taken:] if taken < len(data) else b""
        except BadMessage as error:
            self._refuse(error)
            return
        if data and not self.is_closing:
            self._held = data

    def _read_head(self, data: bytes) -> int:
        taken = self._heads.feed(data, self._parser_class)
        if self._heads.is_complete:
            self._take_head()
        return taken

    def _read_body(self, reader: BodyReader, data: bytes) -> int:
        payload, taken = reader.feed(data)
        if payload:
            self._events.append(DataReceived(self._stream, payload, len(payload)))
        if reader.is_complete:
            self._reader = None
            self._events.append(MessageEnded(self._stream, reader.trailers()))
            self._incoming_ended()
        return taken

    def _start_body(self, head: Head) -> None:
        self._reader = BodyReader(head, self._limits.head_bytes)

    def _start_tunnel(self) -> None:
        self._keep_alive = False
        self._start_body(Head(Framing.TUNNEL, 0, False))
        self._writer = BodyWriter(Framing.TUNNEL)

    def _go_on(self) -> None:
        """Read what was held."""
        self._waits = False
        held, self._held = self._held, b""
        if held:
            self._read(held)

    # Ending ---------------------------------------------------------------

    def _outgoing_ended(self, framing: Framing) -> None:
        self._writer = None
        if framing is Framing.TUNNEL and self._reader is not None:
            self.is_half_closed = True
        elif self._reader is not None:
            self._outgoing_ended_first()
        else:
            self._finish_if_done()

    def _tunnel_ended(self) -> None:
        """The peer's direction of a tunnel is over."""
        self._reader = None
        self._events.append(MessageEnded(self._stream))
        if self._writer is None:
            self.is_closing = True

    def _finish(self) -> None:
        """Both directions are over."""
        self._request = None
        if not self._keep_alive or self._draining:
            self.is_closing = True
        elif self._held:
            self._go_on()
        else:
            self._waits = False

    def _abort(self, error: HttpError | None) -> None:
        """End the connection inside a message, so that nobody takes what there is for the whole."""
        if error is not None:
            self._events.append(StreamFailed(self._stream, error))
        self.is_closing = self.is_aborted = True
        self._reader = self._writer = None
        self._held = b""

    # What the roles do differently ------------------------------------------

    def _take_head(self) -> None:
        raise NotImplementedError

    def _incoming_ended(self) -> None:
        raise NotImplementedError

    def _outgoing_ended_first(self) -> None:
        raise NotImplementedError

    def _finish_if_done(self) -> None:
        raise NotImplementedError

    def _refuse(self, error: BadMessage) -> None:
        raise NotImplementedError
