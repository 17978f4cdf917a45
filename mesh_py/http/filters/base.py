"""What a filter is [pure]. `chain` runs them.

`on_request` sees a request on its way in and says how it goes on; `on_response` sees the answer on its way back. Bodies
pass by unseen. A filter never waits: it returns a `Delay` or an `Ask`, the shell carries that out and resumes the chain
behind it. To refuse, raise an HttpError, which knows its status; any other exception of a filter is answered 500 and
never lets the request through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from mesh_py.http.filters.stream_info import StreamInfo
    from mesh_py.http.messages import HttpRequest, HttpResponse


class Continue:
    """The next filter, please."""


class Respond(NamedTuple):
    """Answer now; filters behind see neither request nor answer."""

    response: HttpResponse
    body: bytes = b""


class Delay(NamedTuple):
    """Wait, then go on with the next filter."""

    seconds: float


class Ask(NamedTuple):
    """Ask external authorizers, then go on with the next filter; the refusal of any of them is the answer."""

    providers: tuple[str, ...]


Step = Continue | Respond | Delay | Ask

CONTINUE = Continue()


class HttpFilter(Protocol):
    """One filter. It serves all requests of a process, so what belongs to one goes into `info.attributes`."""

    def on_request(self, request: HttpRequest, info: StreamInfo) -> Step:
        """The request is about to go on; its head may be changed. Raises HttpError to refuse it."""

    def on_response(self, response: HttpResponse, info: StreamInfo) -> None:
        """The answer is about to go back, ours or upstream's; its head may be changed."""


class BlindToAnswers:
    """A filter to which answers mean nothing, and which is not asked."""

    def on_response(self, response: HttpResponse, info: StreamInfo) -> None:
        """Nothing."""
