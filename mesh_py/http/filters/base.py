"""What a filter is, and the chain that runs them [pure].

`on_request` sees a request on its way in and says how it goes on; `on_response` sees the answer on its way back. Bodies
pass by unseen. A filter never waits: it returns a `Delay` or an `Ask`, the shell carries that out and resumes the chain
behind it. To refuse, raise an HttpError, which knows its status; any other exception of a filter is answered 500 and
never lets the request through.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from mesh_py.http.errors import HttpError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hbone_py.identity import SpiffeId
    from mesh_py.http.messages import HttpRequest, HttpResponse
    from mesh_py.model.address import IpAddress
    from mesh_py.model.route import Random


@dataclass(slots=True)
class StreamInfo:
    """What is known of a request beside its head. A filter may read all of it, and write what is said to be written."""

    source_ip: IpAddress
    """The peer of the connection; at a waypoint the tunnel's client."""
    destination_ip: IpAddress
    destination_port: int
    clock: Callable[[], float]
    """Seconds since the epoch."""
    random: Random
    identity: SpiffeId | None = None
    """Who the client proved to be."""
    remote_ip: IpAddress | None = None
    """The original client, where proxies in front are trusted; None: the same as `source_ip`."""
    sni: str = ""
    service: str = ""
    """`namespace/hostname` of the service that was asked for; empty where it is none."""
    route: str = ""
    """The route that was chosen, once it is."""
    claims: Mapping[str, Any] = field(default_factory=dict)
    """Of a token that was checked. Written by the token filter."""
    flags: list[str] = field(default_factory=list)
    """Response flags for the access log. To be written."""
    details: str = ""
    """Response code details for the access log. To be written."""
    notes: list[str] = field(default_factory=list)
    """Lines for the log: audits, dry runs. To be written."""
    attributes: dict[str, Any] = field(default_factory=dict)
    """For filters to leave things to one another, and from request to response."""
    reached: int = 0
    """How many filters have seen the request. The chain's to write."""


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


class FilterFailed(HttpError):
    """A filter broke: the request does not pass."""

    status = 500
    body = "Internal Server Error"

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(f"filter {name}: {type(error).__name__}: {error}")


class Halt(NamedTuple):
    """Where a chain stands: what to do before it goes on, and which filter comes then."""

    step: Respond | Delay | Ask | None
    """None: all filters have passed the request."""
    position: int


class FilterChain:
    """An ordered list of filters, run as one."""

    __slots__ = ("_on_the_way_back", "_passed", "filters")

    def __init__(self, filters: Sequence[HttpFilter]) -> None:
        self.filters = tuple(filters)
        seeing = [(index, one) for index, one in enumerate(filters) if not isinstance(one, BlindToAnswers)]
        self._on_the_way_back = tuple(reversed(seeing))
        self._passed = Halt(None, len(self.filters))

    def run(self, request: HttpRequest, info: StreamInfo, position: int = 0) -> Halt:
        """Hand the request to the filters from `position` on, until one wants something done.

        Raises:
            HttpError: a filter refuses the request, or broke.
        """
        for index in range(position, len(self.filters)):
            one = self.filters[index]
            info.reached = index + 1
            try:
                step = one.on_request(request, info)
            except HttpError:
                raise
            except Exception as error:
                raise FilterFailed(type(one).__name__, error) from error
            if not isinstance(step, Continue):
                return Halt(step, index + 1)
        return self._passed

    def finish(self, response: HttpResponse, info: StreamInfo) -> None:
        """Show the answer to the filters that have seen the request, the last one first.

        Raises:
            FilterFailed: one of them broke.
        """
        for index, one in self._on_the_way_back:
            if index >= info.reached:
                continue
            try:
                one.on_response(response, info)
            except Exception as error:
                raise FilterFailed(type(one).__name__, error) from error
