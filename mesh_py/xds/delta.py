"""The client's side of delta discovery, without a stream: what we asked for, what we hold, what to say next
(hbone-controlplane 2.3 to 2.5) [no I/O].

`DeltaState` outlives streams. `open` gives the first requests of a new one, `answer` the ACK or NACK of a response
once it has been applied. Whoever owns the stream applies resources, and sends requests in the order given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mesh_py.xds.holdings import Admission, HoldingLimits, Holdings
from mesh_py.xds.types import WILDCARD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MOST_NAMED = 50
"""Rejected resources that a NACK names; it tells how many more there are."""
LONGEST_REASON = 1024
"""Characters of a NACK about one resource: the server chose its name, and the words that are quoted."""


class Interest(NamedTuple):
    """A type of resource to follow: all of it, or only what is asked for by name."""

    type_url: str
    on_demand: bool = False


class Resource(NamedTuple):
    """One resource of a response."""

    name: str
    data: bytes
    version: str = ""
    aliases: tuple[str, ...] = ()
    """Other names that it was asked for by."""


class Response(NamedTuple):
    """What the server says about one type. All resources count before all removals."""

    type_url: str
    nonce: str
    resources: Sequence[Resource] = ()
    removed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """What the client says about one type."""

    type_url: str
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    """What is held from earlier streams, by name; only in the first request of a type."""
    nonce: str = ""
    """The response that this answers."""
    error: str | None = None
    """Why parts of the response were rejected; None acknowledges all of it."""
    is_first: bool = False
    """The first of its type on a stream: the only one that says who we are."""


class _Type:
    """One type's place in the conversation."""

    def __init__(self, interest: Interest, limits: HoldingLimits) -> None:
        self.interest = interest
        self.held = Holdings(limits)
        self.is_acked = False

    def first_request(self, asked: Iterable[str]) -> Request:
        url, on_demand = self.interest
        versions = dict(self.held.versions)
        if not on_demand:
            return Request(url, versions=versions, is_first=True)
        # Subscribing to everything and giving it up in one breath: a first request that named nothing would mean all.
        names = dict.fromkeys((WILDCARD, *versions, *asked))
        return Request(url, tuple(names), (WILDCARD,), versions, is_first=True)

    def take(self, response: Response, rejected: Mapping[str, str]) -> None:
        for resource in response.resources:
            if resource.name not in rejected:
                self.held.put(resource)
        for name in response.removed:
            self.held.drop(name)
        self.is_acked = self.is_acked or not rejected


class DeltaState:
    """What we follow and what we hold of it, whichever stream it came by."""

    def __init__(self, interests: Iterable[Interest], limits: HoldingLimits | None = None) -> None:
        limits = limits or HoldingLimits()
        self._types = {interest.type_url: _Type(interest, limits) for interest in interests}

    def open(self, asked: Mapping[str, Iterable[str]] | None = None) -> list[Request]:
        """The first requests of a new stream, in the order of our interests.

        Args:
            asked: names that somebody waits for, by type; only of types followed on demand.
        """
        asked = asked or {}
        return [found.first_request(asked.get(url, ())) for url, found in self._types.items()]

    def subscribe(self, type_url: str, names: Iterable[str]) -> Request:
        """Ask for names of a type followed on demand."""
        return Request(type_url, subscribe=tuple(names))

    def unsubscribe(self, type_url: str, names: Iterable[str]) -> Request:
        """Hear no more of names that nobody has."""
        return Request(type_url, unsubscribe=tuple(names))

    def admission(self, response: Response) -> Admission | None:
        """Who decides which resources of a response there is room for; None for a type of which nothing is held."""
        found = self._types.get(response.type_url)
        return None if found is None else Admission(found.held, response.removed)

    def answer(self, response: Response, rejected: Mapping[str, str]) -> Request:
        """ACK a response that has been applied, or NACK it, naming what could not be used and why.

        What was rejected does not count as held (or stays held in the version it had), so that a new stream brings
        it again. A type that we do not know is acknowledged: there is nothing wrong with it.
        """
        found = self._types.get(response.type_url)
        if found is not None:
            found.take(response, rejected)
        return Request(response.type_url, nonce=response.nonce, error=_reasons(rejected))

    def knows(self, type_url: str) -> bool:
        """Whether we asked for the type."""
        return type_url in self._types

    def held(self, type_url: str) -> Mapping[str, str]:
        """Names and versions held of a type."""
        return self._types[type_url].held.versions

    def waiting_for(self) -> tuple[str, ...]:
        """Types that have yet to be acknowledged once; those followed on demand are not waited for."""
        return tuple(url for url, found in self._types.items() if not (found.is_acked or found.interest.on_demand))


def _reasons(rejected: Mapping[str, str]) -> str | None:
    if not rejected:
        return None
    told = [f"{_shown(name)}: {reason}"[:LONGEST_REASON] for name, reason in list(rejected.items())[:MOST_NAMED]]
    if len(rejected) > MOST_NAMED:
        told.append(f"and {len(rejected) - MOST_NAMED} more")
    return "; ".join(told)


def _shown(name: str) -> str:
    return name if len(name) <= LONGEST_REASON // 4 else f"{name[: LONGEST_REASON // 4]}..."
