"""One HTTP/2 request and its response: what has come, what has gone, and both windows [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.flow import ReceiveWindow
from mesh_py.http.errors import BadMessage

if TYPE_CHECKING:
    from mesh_py.http.headers import Headers
    from mesh_py.http.messages import HttpRequest


class H2Stream:
    """The state of a stream; the connection changes it."""

    __slots__ = (
        "blocked",
        "ended_in",
        "ended_out",
        "expected",
        "head_in",
        "head_out",
        "receive_window",
        "request",
        "rest",
        "send_window",
        "unread",
    )

    def __init__(self, request: HttpRequest, receive: int, send: int) -> None:
        self.request = request
        self.head_in = self.head_out = False
        self.ended_in = self.ended_out = False
        self.blocked = False
        """Somebody waits for window."""
        self.rest = b""
        """The last piece of the body, as far as it waits for window by itself."""
        self.receive_window = ReceiveWindow(receive)
        self.send_window = send
        """What the peer lets us send; a change of its SETTINGS may make it negative (RFC 9113 6.9.2)."""
        self.unread = 0
        """Bytes handed out that nobody has called consumed."""
        self.expected: int | None = None
        """Bytes of the body still to come by its content-length."""

    def expect(self, headers: Headers) -> None:
        """Hold the body to its content-length. Raises BadMessage."""
        lengths = headers.get_all("content-length")
        if not lengths:
            return
        [length, *others] = lengths
        if others or not (length.isascii() and length.isdigit()) or len(length) > 19:
            raise BadMessage(f"a content-length that is none: {','.join(lengths)!r}")
        self.expected = int(length)

    def take(self, count: int) -> None:
        """So much of the body has come. Raises BadMessage: more than announced."""
        if self.expected is not None:
            self.expected -= count
            if self.expected < 0:
                raise BadMessage("a body longer than its content-length")

    def end_in(self) -> None:
        """The body is complete. Raises BadMessage: less than announced."""
        if self.expected:
            raise BadMessage(f"a body {self.expected} bytes shorter than its content-length")
        self.ended_in = True
