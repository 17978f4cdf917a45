"""One type on one state-of-the-world stream: every answer holds the whole of what the client asked for [pure].

Driven as `DeltaSubscription` is. grpcio's own xDS client and older Envoys speak this form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from istiod_py.nonces import Nonces, Reply
from istiod_py.snapshot import Collection, Resource, joint_version
from istiod_py.subscription import MOST_NAMES, WILDCARD, TooManyNamesError, check_name, cost_of

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class StateRequest:
    """What a DiscoveryRequest says about one type; `refusal` is the text of its error_detail, None without."""

    names: tuple[str, ...] = ()
    nonce: str = ""
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class State:
    """All that the client asked for and that there is."""

    version: str
    resources: tuple[Resource, ...] = ()


class StateSubscription:
    """One type on one stream.

    Args:
        has_wildcard: whether no names at first means everything. So it is where a parent names nobody: listeners,
            clusters, and the types of the mesh; endpoints, routes and secrets are always asked for by name.
    """

    def __init__(self, *, has_wildcard: bool) -> None:
        self.nonces = Nonces()
        self.is_wildcard = False
        self.is_open = False
        self.cost = 0
        """Bytes that the names asked for cost us, roughly."""
        self._has_wildcard = has_wildcard
        self._names: tuple[str, ...] = ()
        self._was_named = False
        self._sent_version: str | None = None
        self._seen: Collection | None = None
        self._sent = 0
        self._owes_answer = False

    @property
    def asked(self) -> frozenset[str]:
        """The names asked for one by one."""
        return frozenset(self._names)

    @property
    def held(self) -> int:
        """How many resources the last answer had."""
        return self._sent

    def receive(self, request: StateRequest) -> Reply:
        """Take in a request. Raises TooManyNamesError.

        A stale one is dropped whole: the client will repeat what it asks for when it has read the newer answer.
        """
        reply = self.nonces.judge(request.nonce, request.refusal)
        if not self.is_open:
            reply = Reply.FIRST
        elif reply is Reply.STALE:
            return reply
        names = _distinct(request.names)
        if len(names) > MOST_NAMES:
            raise TooManyNamesError
        for name in names:
            check_name(name)
        if not self.is_open or set(names) != set(self._names):
            self._ask_for(names)
        self.is_open = True
        return reply

    def take(self, collection: Collection) -> State | None:
        """The whole state, if it differs from what the client was sent; else None."""
        if collection is self._seen and not self._owes_answer:
            return None
        self._seen = collection
        state = self._state(collection)
        if state.version == self._sent_version and not self._owes_answer:
            return None
        self._owes_answer = False
        self._sent_version, self._sent = state.version, len(state.resources)
        return state

    def send_again(self, names: Iterable[str]) -> None:
        """As DeltaSubscription's: here all goes once more, if any of these does."""
        self._owes_answer |= not self.asked.isdisjoint(names)

    def _ask_for(self, names: tuple[str, ...]) -> None:
        """Whoever has once named what it wants means nothing when it names nothing."""
        self._was_named = self._was_named or bool(names)
        self.is_wildcard = WILDCARD in names or (self._has_wildcard and not self._was_named)
        self._names = names
        self.cost = sum(map(cost_of, names))
        self._owes_answer = True

    def _state(self, collection: Collection) -> State:
        if self.is_wildcard:
            return State(collection.version, tuple(collection.resources.values()))
        found = {one.name: one for name in self._names for one in collection.find(name)}
        return State(joint_version(found.values()), tuple(found.values()))


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
