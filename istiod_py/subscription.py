"""One type on one delta stream: what the client asked for, what it holds, what it is to be sent [pure].

The shell hands every request to `receive` and calls `take` whenever the client may be behind. What `take` returns
counts as held from then on, refused or not: content that a client refused is not sent again until it changes, and
what was never taken is never queued.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from istiod_py.nonces import Nonces, Reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from istiod_py.snapshot import Collection, Resource

WILDCARD = "*"
MOST_NAMES = 65_536
"""Names that one client may ask for in one type. A node proxy on demand asks for each address its pods dial."""


LONGEST_NAME = 2048
"""Characters; no resource of ours has half of it."""

NAME_COST = 256
"""Bytes that a name costs us beside its characters, roughly: it lies in a set, and in others until it is answered."""

MOST_KEPT = 1_000_000
"""Resources that a client may have kept over a reconnect, in one type."""


class TooManyNamesError(Exception):
    """A client asks for more than we are ready to remember."""

    def __init__(self, text: str = "") -> None:
        super().__init__(
            text or f"more than {MOST_NAMES} names subscribed: unsubscribe some, or subscribe to everything"
        )


def check_name(name: str) -> None:
    """Raises TooManyNamesError for one that is not worth remembering."""
    if len(name) > LONGEST_NAME:
        raise TooManyNamesError(f"a name of {len(name)} characters: at most {LONGEST_NAME} are read")


def cost_of(name: str) -> int:
    """Bytes that remembering it takes, roughly."""
    return len(name) + NAME_COST


@dataclass(frozen=True, slots=True)
class DeltaRequest:
    """What a DeltaDiscoveryRequest says about one type; `refusal` is the text of its error_detail, None without."""

    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial_versions: Mapping[str, str] = field(default_factory=dict)
    nonce: str = ""
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """What changes for the client."""

    resources: tuple[Resource, ...] = ()
    removed: tuple[str, ...] = ()


class DeltaSubscription:
    """One type on one stream. `node` is where the client runs, "" if it did not say."""

    def __init__(self, node: str = "") -> None:
        self.nonces = Nonces()
        self.is_wildcard = False
        self.is_open = False
        self.cost = 0
        """Bytes that the names asked for cost us, roughly."""
        self._node = node
        self._asked: set[str] = set()
        self._held: dict[str, str] = {}
        """Version by name, of all the client has or has refused."""
        self._seen: Collection | None = None
        """What `_held` was last compared with; None when all of it must be looked at."""
        self._unanswered: dict[str, bool] = {}
        """Names to be answered; True where the answer is sent whatever the client holds."""
        self._forgotten: set[str] = set()
        """Names that the client has let go of, and that may be its own for another reason."""
        self._owes_answer = False

    @property
    def asked(self) -> frozenset[str]:
        """The names asked for one by one."""
        return frozenset(self._asked)

    @property
    def held(self) -> int:
        """How many resources the client has been sent."""
        return len(self._held)

    def receive(self, request: DeltaRequest) -> Reply:
        """Take in a request. Raises TooManyNamesError.

        A stale nonce makes it no acknowledgement; what it subscribes to counts all the same, for the client will
        not say it twice.
        """
        reply = self.nonces.judge(request.nonce, request.refusal)
        is_first = not self.is_open
        if is_first:
            reply = Reply.FIRST
            self._open(request)
        self._subscribe(request.subscribe, again=not is_first)
        self._unsubscribe(request.unsubscribe)
        return reply

    def take(self, collection: Collection) -> Delta | None:
        """What the client lacks of `collection`, or None when it is to be sent nothing."""
        resources: dict[str, Resource] = {}
        removed: dict[str, None] = {}
        self._answer_names(collection, resources, removed)
        todo = [*self._candidates(collection), *self._served_by(collection, resources)]
        while todo:
            name = todo.pop()
            resource = collection.resources.get(name)
            if resource is None:
                if self._held.pop(name, None) is not None:
                    removed[name] = None
            elif self._held.get(name) != resource.version and self._wants(resource):
                is_new = name not in self._held
                self._hold(resource, resources)
                todo += self._served_by(collection, (name,) if is_new else ())
        self._seen = collection
        if not (resources or removed or self._owes_answer):
            return None
        self._owes_answer = False
        return Delta(tuple(resources.values()), tuple(removed))

    def send_again(self, names: Iterable[str]) -> None:
        """What the client asked for and holds goes to it once more: it has begun anew with it, and does not say so."""
        again = self._asked.intersection(names)
        self._unanswered |= dict.fromkeys(again, True)
        self._owes_answer |= bool(again)

    def _open(self, request: DeltaRequest) -> None:
        """The first request: without names it means everything; what the client kept is as if asked for (2.8)."""
        self.is_open = True
        self._owes_answer = True
        self.is_wildcard = not request.subscribe
        if len(request.initial_versions) > MOST_KEPT:
            raise TooManyNamesError(f"more than {MOST_KEPT} versions kept: come back without any")
        self._held = dict(request.initial_versions)

    def _subscribe(self, names: Iterable[str], *, again: bool) -> None:
        """`again`: what the client holds is sent again, for it asks as one that does not know that it holds it."""
        for name in names:
            self._owes_answer = True
            check_name(name)
            if name != WILDCARD:
                if name not in self._asked:
                    self._asked.add(name)
                    self.cost += cost_of(name)
                self._unanswered[name] = again
            elif not self.is_wildcard:
                self.is_wildcard, self._seen = True, None
        if len(self._asked) > MOST_NAMES:
            raise TooManyNamesError

    def _unsubscribe(self, names: Iterable[str]) -> None:
        """The client forgets at once what it no longer asks for, so nothing is removed in words.

        What it is to have all the same, as part of everything or of its node, is sent to it again.
        """
        gone = set(names)
        if not gone:
            return
        was_wildcard = self.is_wildcard
        self.is_wildcard = was_wildcard and WILDCARD not in gone
        self.cost -= sum(map(cost_of, self._asked & gone))
        self._asked -= gone
        for name in gone:
            self._unanswered.pop(name, None)
        if was_wildcard and not self.is_wildcard:
            self._forget_all_but_asked()
        else:
            self._forget(gone)

    def _forget_all_but_asked(self) -> None:
        """No longer everything. Before anything was sent it was never meant: what was kept stays (2.3)."""
        if self._seen is not None:
            reached = {one.name for name in self._asked for one in self._seen.find(name)}
            self._held = {name: version for name, version in self._held.items() if name in reached}
        self._seen = None

    def _forget(self, names: Iterable[str]) -> None:
        for name in names:
            found = self._seen.find(name) if self._seen is not None else ()
            for resource in found:
                if not self._asked.intersection((resource.name, *resource.aliases)):
                    self._held.pop(resource.name, None)
                    self._forgotten.add(resource.name)
            if not found:
                self._held.pop(name, None)

    def _answer_names(self, collection: Collection, resources: dict[str, Resource], removed: dict[str, None]) -> None:
        """Every name newly asked for is answered, held or not: somebody may be waiting for it.

        What is not there is said to be removed. So is an alias, beside the resource under its true name: the real
        ztunnel wakes only for the very name it asked for, and reads no aliases (hbone-controlplane 2.7).
        """
        for name, again in self._unanswered.items():
            for resource in collection.find(name):
                if again or self._held.get(resource.name) != resource.version:
                    self._hold(resource, resources)
            if name not in collection.resources:
                removed[name] = None
                self._held.pop(name, None)
        self._unanswered.clear()

    def _candidates(self, collection: Collection) -> Iterable[str]:
        """Names that may have to be sent: those that changed, or at first all that there can be."""
        forgotten, self._forgotten = self._forgotten, set()
        if self._seen is not None:
            return forgotten if self._seen is collection else forgotten | collection.changes_since(self._seen)
        if self.is_wildcard:
            return self._held.keys() | collection.resources.keys()
        found = [*self._held, *(one.name for one in collection.on_node(self._node))]
        for name in self._asked:
            found += [one.name for one in collection.find(name)]
        return found + self._served_by(collection, self._held)

    def _served_by(self, collection: Collection, services: Iterable[str]) -> list[str]:
        """What stands behind these services: with a service on demand come its workloads (2.7)."""
        if self.is_wildcard:
            return []
        return [resource.name for service in services for resource in collection.behind(service)]

    def _wants(self, resource: Resource) -> bool:
        if self.is_wildcard or resource.name in self._held or resource.name in self._asked:
            return True
        if resource.node and resource.node == self._node:
            return True
        return any(alias in self._asked for alias in resource.aliases) or any(
            service in self._held for service in resource.behind
        )

    def _hold(self, resource: Resource, resources: dict[str, Resource]) -> None:
        self._held[resource.name] = resource.version
        resources[resource.name] = resource
