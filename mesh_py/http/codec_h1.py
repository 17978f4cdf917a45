"""HTTP/1.0 and 1.1 towards clients and towards servers, behind the face of `codec` [pure].

`H1Server` reads one request at a time: what a client pipelines behind it is held until the answer is complete.
`H1Client` sends one at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httptools

from mesh_py.http.errors import BadMessage, DownstreamGone, UnwritableMessage, UpstreamBadMessage, UpstreamReset
from mesh_py.http.events import (
    AnswerReceived,
    ConnectionFailed,
    InterimReceived,
    MessageEnded,
    PeerLeaving,
    RequestReceived,
    ResponseReceived,
    StreamFailed,
)
from mesh_py.http.h1_body import BodyWriter
from mesh_py.http.h1_connection import DEFAULT_LIMITS, H1Connection
from mesh_py.http.h1_head import Framing, Head
from mesh_py.http.h1_quick import read_request, read_response
from mesh_py.http.h1_write import write_request, write_response
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest, HttpResponse, accepts_tunnel, has_no_body
from mesh_py.http.websocket import add_accept

if TYPE_CHECKING:
    from mesh_py.http.errors import HttpError
    from mesh_py.http.limits import Limits

_EVERYTHING = 1 << 62


class H1Server(H1Connection):
    """Towards a client: requests in, responses out."""

    _parser_class = httptools.HttpRequestParser

    def __init__(self, limits: Limits = DEFAULT_LIMITS, scheme: str = "http") -> None:
        """A fresh connection; `scheme` is `https` behind TLS."""
        super().__init__(limits)
        self._scheme = scheme

    def receive_eof(self) -> None:
        """The client will send no more. Whoever leaves before the answer is complete is gone, as Envoy has it."""
        reader = self._reader
        if reader is not None and reader.framing is Framing.TUNNEL:
            self._tunnel_ended()
            return
        if self._request is not None and not self.is_closing:
            self._events.append(StreamFailed(self._stream, DownstreamGone("the client closed its connection")))
        elif not self._heads.is_idle and not self.is_closing:
            self._events.append(ConnectionFailed(DownstreamGone("the connection ended inside a request's head")))
        self._held = b""
        self.is_closing = True

    @property
    def is_in_head(self) -> bool:
        """Whether a request's head has begun and is not complete."""
        return self._request is None and not self._heads.is_idle

    def give_up(self, error: HttpError) -> None:
        """The head did not come in time: say so, and close."""
        self._out.append(_error_answer(error))
        self.is_closing = True

    def drain(self) -> None:
        """The answer under way, or the one to the request that is coming in, is the last."""
        self._draining = True
        if self.is_idle and self._heads.is_idle:
            self.is_closing = True

    def send_interim(self, stream: int, response: HttpResponse) -> None:
        """A 1xx; HTTP/1.0 knows none, and there nothing is written."""
        request = self._awaiting(stream)
        if request is not None and request.version == "HTTP/1.1":
            self._out.append(write_response(response, Framing.NONE))

    def send_response(self, stream: int, response: HttpResponse, *, ended: bool) -> None:
        """The response's head.

        Raises:
            UnwritableMessage: it cannot be written. Another may be sent in its place.
        """
        request = self._awaiting(stream)
        if request is None:
            return
        if self._is_tunnel and accepts_tunnel(response.status, request) and not ended:
            response.headers.drop("content-length")
            add_accept(request, response)
            self._out.append(write_response(response, Framing.NONE, protocol=request.protocol))
            self._start_tunnel()
            self._go_on()
            return
        writer = _response_writer(response, request, ended)
        # Also where the client may send what would be taken for its next request.
        open_ended = (ended and self._reader is not None) or self._is_tunnel
        closes = not self._keep_alive or self._draining or writer.framing is Framing.CLOSE or open_ended
        connection = "close" if closes else "keep-alive" if request.version == "HTTP/1.0" else ""
        self._out.append(write_response(response, writer.framing, connection))
        self._keep_alive = not closes
        self._writer = writer
        if ended:
            self._outgoing_ended(Framing.NONE)

    def send_whole(self, stream: int, response: HttpResponse, data: bytes) -> int:
        """See `ServerCodec`. Raises as `send_response`."""
        request = self._awaiting(stream)
        if request is None or not self._is_usual(request, response, len(data)):
            self.send_response(stream, response, ended=False)
            taken = self.send_data(stream, data)
            self.end(stream)
            return taken
        closes = not self._keep_alive or self._draining
        self._out.append(write_response(response, Framing.LENGTH, "close" if closes else "") + data)
        self._keep_alive = not closes
        if self._reader is None:
            self._finish()
        else:
            self._outgoing_ended_first()
        return len(data)

    def _is_usual(self, request: HttpRequest, response: HttpResponse, size: int) -> bool:
        """Whether an answer is framed by a length alone, which is that of its body."""
        if self._is_tunnel or request.version != "HTTP/1.1" or has_no_body(response.status, request.method):
            return False
        return response.headers.get("content-length") == str(size)

    def _awaiting(self, stream: int) -> HttpRequest | None:
        """The request, if its response's head is still to be written."""
        return self._request if stream == self._stream and self._writer is None and not self.is_closing else None

    def _read_head(self, data: bytes) -> int:
        if self._heads.is_idle and (quick := read_request(data, self._limits, self._scheme)) is not None:
            request, head, taken = quick
            self._head_taken(request, head)
            return taken
        return super()._read_head(data)

    def _take_head(self) -> None:
        request, head = self._heads.take_request()
        request.scheme = self._scheme
        self._head_taken(request, head)

    def _head_taken(self, request: HttpRequest, head: Head) -> None:
        self._stream += 1
        self._request = request
        self._is_tunnel = head.framing is Framing.TUNNEL
        self._keep_alive = head.keep_alive
        ended = head.framing is Framing.NONE
        self._events.append(RequestReceived(self._stream, request, ended))
        if ended or head.framing is Framing.TUNNEL:
            self._waits = True
        else:
            self._start_body(head)

    def _incoming_ended(self) -> None:
        self._waits = True

    def _outgoing_ended_first(self) -> None:
        # What still comes of the request could not be told from the next one.
        self._request = None
        self.is_closing = True

    def _finish_if_done(self) -> None:
        self._finish()

    def _refuse(self, error: BadMessage) -> None:
        if self._request is not None:
            self._events.append(StreamFailed(self._stream, error))
        if self._writer is None:
            self._out.append(_error_answer(error))
            self.is_closing = True
        else:
            self._abort(None)
        self._events.append(ConnectionFailed(error))


class H1Client(H1Connection):
    """Towards a server: requests out, responses in."""

    _parser_class = httptools.HttpResponseParser

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        self._interims = 0

    @property
    def can_open(self) -> bool:
        """Whether a request may be sent now."""
        return self._request is None and not self.is_closing and not self._draining

    @property
    def first_room(self) -> int:
        """All of it: HTTP/1 has no windows."""
        return _EVERYTHING

    def drain(self) -> None:
        """Send no further request."""
        self._draining = True
        if self.is_idle:
            self.is_closing = True

    def send_request(self, request: HttpRequest, *, ended: bool) -> int:
        """The request's head, and the number of its stream.

        Raises:
            UnwritableMessage: it cannot be written; the connection is as before.
        """
        assert self.can_open, "one request at a time"
        is_tunnel = request.is_tunnel
        writer = _request_writer(request, ended or is_tunnel)
        self._out.append(write_request(request, Framing.NONE if writer is None else writer.framing))
        self._stream += 1
        self._request, self._is_tunnel = request, is_tunnel
        self._interims = 0
        self._keep_alive = True
        self._writer = writer
        return self._stream

    def receive_eof(self) -> None:
        """The server will send no more."""
        reader = self._reader
        if reader is not None and reader.framing is Framing.TUNNEL:
            self._tunnel_ended()
            return
        if reader is not None and reader.ends_with_connection:
            self._reader = self._request = None
            self._events.append(MessageEnded(self._stream))
        elif self._request is not None and not self.is_closing:
            where = "within its body" if reader is not None else "before its answer"
            self._events.append(StreamFailed(self._stream, UpstreamReset(f"upstream closed the connection {where}")))
        else:
            self._events.append(PeerLeaving(self._stream, "upstream closed the connection"))
        self.is_closing = True

    def _read_head(self, data: bytes) -> int:
        request = self._request
        if request is None:
            raise BadMessage("bytes from a server that was asked nothing")
        if self._heads.is_idle and not self._is_tunnel:
            quick = read_response(data, self._limits, request.method)
            if quick is not None:
                response, head, taken = quick
                if head.framing is Framing.LENGTH and taken + head.length <= len(data):
                    return self._take_whole(response, head, data, taken)
                self._head_taken(response, head)
                return taken
        return super()._read_head(data)

    def _take_head(self) -> None:
        request = self._request
        assert request is not None  # or `_read_head` had refused
        response, head = self._heads.take_response(request.method, request.protocol)
        if response.is_interim:
            self._interim(response)
            return
        self._head_taken(response, head)

    def _head_taken(self, response: HttpResponse, head: Head) -> None:
        self._keep_alive = head.keep_alive and head.framing is not Framing.CLOSE
        ended = head.framing is Framing.NONE
        self._events.append(ResponseReceived(self._stream, response, ended))
        if head.framing is Framing.TUNNEL:
            self._start_tunnel()
        elif ended:
            self._incoming_ended()
        else:
            self._start_body(head)

    def _take_whole(self, response: HttpResponse, head: Head, data: bytes, start: int) -> int:
        """The head of an answer that lies in `data` with all of its body, which begins at `start`; where that ends."""
        self._keep_alive = head.keep_alive
        end = start + head.length
        self._events.append(AnswerReceived(self._stream, response, data[start:end]))
        self._incoming_ended()
        return end

    def _interim(self, response: HttpResponse) -> None:
        self._interims += 1
        if self._interims > self._limits.interims:
            raise BadMessage(f"more than {self._limits.interims} interim responses")
        self._events.append(InterimReceived(self._stream, response))

    def _incoming_ended(self) -> None:
        if self._writer is not None:
            self._keep_alive = False  # it answered before it had the whole request: who knows what it will read next
            self._writer = None
        self._finish()

    def _outgoing_ended_first(self) -> None:
        """The response is still coming, as it should."""

    def _finish_if_done(self) -> None:
        """The response's head is still to come: its end ends the exchange."""

    def _refuse(self, error: BadMessage) -> None:
        self._fail(UpstreamBadMessage(str(error)))

    def _fail(self, error: UpstreamBadMessage) -> None:
        if self._request is not None:
            self._events.append(StreamFailed(self._stream, error))
        self._events.append(ConnectionFailed(error))
        self.is_closing = True


def _response_writer(response: HttpResponse, request: HttpRequest, ended: bool) -> BodyWriter:
    if has_no_body(response.status, request.method):
        return BodyWriter(Framing.NONE)
    length = response.headers.get("content-length")
    if ended:
        if length is None:
            response.headers.add("content-length", "0")
        elif length != "0":
            raise UnwritableMessage(f"a response of content-length {length} without a body")
        return BodyWriter(Framing.NONE)
    if length is not None:
        return BodyWriter(Framing.LENGTH, _number(length))
    return BodyWriter(Framing.CHUNKED if request.version != "HTTP/1.0" else Framing.CLOSE)


def _request_writer(request: HttpRequest, ended: bool) -> BodyWriter | None:
    """None: there is no body."""
    length = request.headers.get("content-length")
    if ended:
        if length is not None and length != "0":
            raise UnwritableMessage(f"a request of content-length {length} without a body")
        return None
    if length is not None:
        return BodyWriter(Framing.LENGTH, _number(length))
    return BodyWriter(Framing.CHUNKED)


def _number(length: str) -> int:
    if not (length.isascii() and length.isdigit()):
        raise UnwritableMessage(f"a content-length that is no number: {length!r}")
    return int(length)


def _error_answer(error: HttpError) -> bytes:
    text = error.text.encode("latin-1", "replace")
    headers = Headers([("content-type", "text/plain"), ("content-length", str(len(text)))])
    return write_response(HttpResponse(error.answer, headers), Framing.NONE, "close") + text
