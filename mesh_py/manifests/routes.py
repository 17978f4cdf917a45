"""The Gateway API's routes: HTTPRoute, GRPCRoute, TCPRoute [pure].

Attached to a Service they route inside the mesh (GAMMA), attached to a Gateway at its listeners. Times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from mesh_py.manifests.metadata import NO_PLACE, Metadata, Place

if TYPE_CHECKING:
    from mesh_py.manifests.references import BackendReference, ParentReference
    from mesh_py.manifests.route_filters import RouteFilter


class PathMatchType(Enum):
    """How a path is compared; a prefix ends at a `/` of the path or at its end."""

    EXACT = "Exact"
    PATH_PREFIX = "PathPrefix"
    REGULAR_EXPRESSION = "RegularExpression"


class ValueMatchType(Enum):
    """How a header, a query parameter or a gRPC method is compared."""

    EXACT = "Exact"
    REGULAR_EXPRESSION = "RegularExpression"


class PathMatch(NamedTuple):
    """A path to match."""

    type: PathMatchType = PathMatchType.PATH_PREFIX
    value: str = "/"


EVERY_PATH = PathMatch()


class ValueMatch(NamedTuple):
    """A header or a query parameter to match. Of several with one name the first counts."""

    name: str
    value: str
    type: ValueMatchType = ValueMatchType.EXACT


@dataclass(frozen=True, slots=True)
class HTTPRouteMatch:
    """Conditions on a request, all of which must hold."""

    path: PathMatch = EVERY_PATH
    headers: tuple[ValueMatch, ...] = ()
    query_params: tuple[ValueMatch, ...] = ()
    method: str = ""
    """Empty: any."""


EVERY_REQUEST = HTTPRouteMatch()


@dataclass(frozen=True, slots=True)
class GRPCMethodMatch:
    """A gRPC method; an empty part matches any."""

    service: str = ""
    method: str = ""
    type: ValueMatchType = ValueMatchType.EXACT


@dataclass(frozen=True, slots=True)
class GRPCRouteMatch:
    """Conditions on a call, all of which must hold."""

    method: GRPCMethodMatch | None = None
    headers: tuple[ValueMatch, ...] = ()


EVERY_CALL = GRPCRouteMatch()


@dataclass(frozen=True, slots=True)
class WeightedBackend:
    """One of a rule's backends: its share is its weight among the sum."""

    backend_ref: BackendReference
    weight: int = 1
    """0 gets nothing."""
    filters: tuple[RouteFilter, ...] = ()
    """For requests that go to this backend."""


class Timeouts(NamedTuple):
    """Limits in seconds; None: none is written. Zero switches a limit off."""

    request: float | None = None
    """For the whole, with all retries."""
    backend_request: float | None = None
    """For one try."""


NO_TIMEOUTS = Timeouts()


class Retry(NamedTuple):
    """When to try again."""

    codes: tuple[int, ...] = ()
    """Statuses that are tried again, beside failures of the connection."""
    attempts: int | None = None
    """How many further tries; None: the implementation's choice."""
    backoff: float | None = None
    """Least seconds between two tries."""


class SessionPersistence(NamedTuple):
    """Keeps a client with one endpoint."""

    session_name: str = ""
    type: str = "Cookie"
    """Cookie or Header."""
    absolute_timeout: float | None = None
    idle_timeout: float | None = None
    cookie_lifetime: str = "Session"
    """Session, or Permanent (which needs `absolute_timeout`)."""


@dataclass(frozen=True, slots=True)
class HTTPRouteRule:
    """Where the requests go that satisfy any of the matches; without matches, all."""

    name: str = ""
    matches: tuple[HTTPRouteMatch, ...] = (EVERY_REQUEST,)
    filters: tuple[RouteFilter, ...] = ()
    backend_refs: tuple[WeightedBackend, ...] = ()
    timeouts: Timeouts = NO_TIMEOUTS
    retry: Retry | None = None
    session_persistence: SessionPersistence | None = None
    place: Place = field(default=NO_PLACE, compare=False)


@dataclass(frozen=True, slots=True)
class HTTPRoute:
    """Routes of HTTP requests."""

    kind: ClassVar[str] = "HTTPRoute"
    metadata: Metadata
    parent_refs: tuple[ParentReference, ...] = ()
    hostnames: tuple[str, ...] = ()
    """Empty: any; `*.example.com` is a wildcard. Ignored where the parent is a Service."""
    rules: tuple[HTTPRouteRule, ...] = ()
    """The reader fills in one that matches everything where none is written."""


@dataclass(frozen=True, slots=True)
class GRPCRouteRule:
    """Where the calls go that satisfy any of the matches; without matches, all."""

    name: str = ""
    matches: tuple[GRPCRouteMatch, ...] = (EVERY_CALL,)
    filters: tuple[RouteFilter, ...] = ()
    backend_refs: tuple[WeightedBackend, ...] = ()
    session_persistence: SessionPersistence | None = None
    place: Place = field(default=NO_PLACE, compare=False)


@dataclass(frozen=True, slots=True)
class GRPCRoute:
    """Routes of gRPC calls."""

    kind: ClassVar[str] = "GRPCRoute"
    metadata: Metadata
    parent_refs: tuple[ParentReference, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[GRPCRouteRule, ...] = ()


@dataclass(frozen=True, slots=True)
class TCPRouteRule:
    """Where connections go."""

    name: str = ""
    backend_refs: tuple[WeightedBackend, ...] = ()
    place: Place = field(default=NO_PLACE, compare=False)


@dataclass(frozen=True, slots=True)
class TCPRoute:
    """Routes of TCP connections."""

    kind: ClassVar[str] = "TCPRoute"
    metadata: Metadata
    parent_refs: tuple[ParentReference, ...] = ()
    rules: tuple[TCPRouteRule, ...] = ()


Route = HTTPRoute | GRPCRoute | TCPRoute
