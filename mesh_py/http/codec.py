"""What every codec does, whatever the version: HTTP/1 and HTTP/2 behind one face [pure].

A shell reads the socket and calls `receive_data` (or `receive_eof`), carries out what `events` reports, writes
`data_to_send`, and looks at `is_closing`. After any `send_*`, `end`, `reset` or `consumed` it drains both again: an
answer that ends may set free a request that was held back.

`ServerCodec` speaks to a client, `ClientCodec` to a server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from hbone_py.errors import ErrorCode
    from mesh_py.http.events import Event
    from mesh_py.http.headers import Headers
    from mesh_py.http.messages import HttpRequest, HttpResponse


class Codec(Protocol):
    """Both roles."""

    @property
    def wants_data(self) -> bool:
        """False while the socket should not be read: what comes would only be held."""

    @property
    def is_closing(self) -> bool:
        """Whether the connection is to be closed once `data_to_send` is written."""

    @property
    def is_aborted(self) -> bool:
        """Whether it must be closed by a TCP reset, since a plain end would look like the body's."""

    @property
    def is_half_closed(self) -> bool:
        """Whether to shut down writing (TCP FIN) once `data_to_send` is written: an HTTP/1 tunnel's half end."""

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""

    @property
    def has_events(self) -> bool:
        """Whether `events` has any."""

    def receive_data(self, data: bytes) -> None:
        """Bytes from the peer."""

    @property
    def has_rest(self) -> bool:
        """Whether bytes it has received wait for another turn: `go_on` takes them, or what comes next does."""

    def go_on(self) -> None:
        """Take more of what was received."""

    def receive_eof(self) -> None:
        """The peer will send no more."""

    def events(self) -> list[Event]:
        """What has happened since the last call."""

    def data_to_send(self) -> list[bytes]:
        """Bytes for the peer since the last call."""

    def send_data(self, stream: int, data: bytes) -> int:
        """A piece of the body; how much of it was taken. HTTP/2's window may be shut: `WindowOpened` tells."""

    def end(self, stream: int, trailers: Headers | None = None) -> None:
        """The body is complete."""

    def reset(self, stream: int, code: ErrorCode) -> None:
        """Give the stream up. Over HTTP/1 that is the end of the connection.

        Call it too for a stream that has ended while data of it was not read, and never will be: its credit goes back.
        """

    def consumed(self, stream: int, credit: int) -> None:
        """The reader has data of that much credit."""

    def drain(self) -> None:
        """Finish what is under way, take nothing new, then close: `connection: close`, GOAWAY."""

    def new_period(self) -> None:
        """Call it every minute or so: floods are counted within a period."""


class ServerCodec(Codec, Protocol):
    """Towards a client."""

    def send_interim(self, stream: int, response: HttpResponse) -> None:
        """A 1xx before the response."""

    def send_response(self, stream: int, response: HttpResponse, *, ended: bool) -> None:
        """The response's head; `ended` if no body follows."""

    def send_whole(self, stream: int, response: HttpResponse, data: bytes) -> int:
        """The response, and its body in one piece: how much of that was taken. If it was all, the response is over."""

    def send_last(self, stream: int, data: bytes) -> None:
        """The last piece of the body, and its end. What no window takes yet is kept, and goes when one opens."""


class ClientCodec(Codec, Protocol):
    """Towards a server."""

    @property
    def can_open(self) -> bool:
        """Whether `send_request` may be called now."""

    @property
    def first_room(self) -> int:
        """How many bytes of its body the next request may bring along."""

    def send_request(self, request: HttpRequest, *, ended: bool) -> int:
        """The request's head; `ended` if no body follows. The number of its stream."""
