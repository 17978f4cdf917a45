"""What a codec reports, the same for every version of HTTP [pure].

Streams are numbered by the codec; over HTTP/1 they are 1, 2, 3 ... one after another. Each stream gives one head,
then data, then `MessageEnded`, or at any point `StreamFailed`, after which nothing more comes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mesh_py.http.errors import HttpError
    from mesh_py.http.headers import Headers
    from mesh_py.http.messages import HttpRequest, HttpResponse


class RequestReceived(NamedTuple):
    """A request's head. `ended`: it has no body, and no `MessageEnded` follows."""

    stream: int
    request: HttpRequest
    ended: bool


class ResponseReceived(NamedTuple):
    """A response's head. `ended`: it has no body, and no `MessageEnded` follows."""

    stream: int
    response: HttpResponse
    ended: bool


class AnswerReceived(NamedTuple):
    """A response that has come with all of its body, without trailers: nothing more comes of it. HTTP/1 alone."""

    stream: int
    response: HttpResponse
    data: bytes


class InterimReceived(NamedTuple):
    """A 1xx (not 101); the response is still to come."""

    stream: int
    response: HttpResponse


class DataReceived(NamedTuple):
    """A piece of the body, or of the tunnel.

    Hand `credit` to the codec's `consumed` once the reader has the piece: it reopens HTTP/2's window.
    """

    stream: int
    data: bytes
    credit: int


class MessageEnded(NamedTuple):
    """The body is complete (or the tunnel's peer will send no more)."""

    stream: int
    trailers: Headers | None = None


class StreamFailed(NamedTuple):
    """The message will never be complete: reset, cut short, or malformed. The stream is over in both directions."""

    stream: int
    error: HttpError


class WindowOpened(NamedTuple):
    """`send_data` may go on with what it did not take. HTTP/2 alone."""

    stream: int


class PeerLeaving(NamedTuple):
    """GOAWAY or the end of the peer's side: no new stream may be opened; those up to `last_stream` go on."""

    last_stream: int
    reason: str


class ConnectionFailed(NamedTuple):
    """The connection is of no more use. Send what the codec still has to say, then close.

    An answer (400, GOAWAY) is among `data_to_send` already, where one could be given.
    """

    error: HttpError


Event = (
    RequestReceived
    | ResponseReceived
    | AnswerReceived
    | InterimReceived
    | DataReceived
    | MessageEnded
    | StreamFailed
    | WindowOpened
    | PeerLeaving
    | ConnectionFailed
)
