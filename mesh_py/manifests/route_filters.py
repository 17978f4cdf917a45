"""What HTTPRoute and GRPCRoute do to requests and responses on their way [pure].

One class per filter type of the Gateway API. `ExtensionFilter` stands for kinds that are not part of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mesh_py.manifests.metadata import NO_PLACE, Place

if TYPE_CHECKING:
    from mesh_py.manifests.references import BackendReference


class Header(NamedTuple):
    """A header to write."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class HeaderChanges:
    """Headers to set (in place of any), to add, and to remove."""

    set: tuple[Header, ...] = ()
    add: tuple[Header, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestHeaderModifier:
    """Changes the request's headers."""

    changes: HeaderChanges
    place: Place = field(default=NO_PLACE, compare=False)


@dataclass(frozen=True, slots=True)
class ResponseHeaderModifier:
    """Changes the response's headers."""

    changes: HeaderChanges
    place: Place = field(default=NO_PLACE, compare=False)


class PathModifier(NamedTuple):
    """A new path."""

    value: str
    replaces_prefix: bool = False
    """Only what the match's prefix covered (`ReplacePrefixMatch`), else the whole path (`ReplaceFullPath`)."""


@dataclass(frozen=True, slots=True)
class RequestRedirect:
    """Answers with a redirect; what is empty stays as it was."""

    scheme: str = ""
    hostname: str = ""
    path: PathModifier | None = None
    port: int | None = None
    status_code: int = 302
    place: Place = field(default=NO_PLACE, compare=False)


@dataclass(frozen=True, slots=True)
class UrlRewrite:
    """Changes host and path on the way to the backend."""

    hostname: str = ""
    path: PathModifier | None = None
    place: Place = field(default=NO_PLACE, compare=False)


@dataclass(frozen=True, slots=True)
class RequestMirror:
    """Sends a copy elsewhere and ignores the answer."""

    backend_ref: BackendReference
    fraction: float = 1.0
    """Share of the requests, from 0 to 1 (`percent`, `fraction`)."""
    place: Place = field(default=NO_PLACE, compare=False)


@dataclass(frozen=True, slots=True)
class Cors:
    """Answers preflight requests and marks responses."""

    allow_origins: tuple[str, ...] = ()
    allow_credentials: bool = False
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: int = 5
    """Seconds that a preflight answer may be kept."""
    place: Place = field(default=NO_PLACE, compare=False)


@dataclass(frozen=True, slots=True)
class ExternalAuth:
    """Asks another service whether a request may pass."""

    protocol: str
    """HTTP or GRPC (Envoy's ext_authz)."""
    backend_ref: BackendReference
    path: str = ""
    """Prefix of the path that is asked, for HTTP."""
    allowed_headers: tuple[str, ...] = ()
    """Request headers that are sent along."""
    allowed_response_headers: tuple[str, ...] = ()
    """Headers of the answer that go on to the backend, for HTTP."""
    max_body_size: int = 0
    """Bytes of the body that are sent along; 0: none."""
    place: Place = field(default=NO_PLACE, compare=False)


@dataclass(frozen=True, slots=True)
class ExtensionFilter:
    """A filter of somebody else's kind. We know none: a request that meets it is refused, never let pass without."""

    group: str
    kind: str
    name: str
    place: Place = field(default=NO_PLACE, compare=False)


SUBSET_GROUP, SUBSET_KIND = "hbone.mesh", "Subset"


def is_subset(one: RouteFilter) -> bool:
    """Whether a filter chooses the subset of a DestinationRule that it names: an `extensionRef` of our own."""
    return isinstance(one, ExtensionFilter) and (one.group, one.kind) == (SUBSET_GROUP, SUBSET_KIND)


RouteFilter = (
    RequestHeaderModifier
    | ResponseHeaderModifier
    | RequestRedirect
    | UrlRewrite
    | RequestMirror
    | Cors
    | ExternalAuth
    | ExtensionFilter
)
