"""Any conversation, any states: what a client holds is in the end what it should hold.

The client is the real ztunnel's: it keeps what it is sent and forgets what is removed, and after a reconnect it names
the versions that it has kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from istiod_py.snapshot import Collection, Resource
from istiod_py.sotw import StateRequest, StateSubscription
from istiod_py.subscription import DeltaRequest, DeltaSubscription

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("a", "b", "c", "d")
SERVICES = ("s", "t")
IPS = ("/1", "/2")


def workload(name: str, tag: int, aliases: tuple[str, ...], node: str, behind: tuple[str, ...]) -> Resource:
    """Addresses, node and services are part of what is said of a workload."""
    return Resource(name, repr((tag, aliases, node, behind)).encode(), aliases, node, behind)


resources = st.builds(
    workload,
    name=st.sampled_from(NAMES),
    tag=st.sampled_from((1, 2)),
    aliases=st.lists(st.sampled_from(IPS), max_size=2, unique=True).map(tuple),
    node=st.sampled_from(("", "here", "there")),
    behind=st.lists(st.sampled_from(SERVICES), max_size=2, unique=True).map(tuple),
)
services = st.builds(Resource, name=st.sampled_from(SERVICES), body=st.sampled_from((b"1", b"2")))
states = st.lists(st.one_of(resources, services), max_size=6).map(Collection)
names = st.sampled_from((*NAMES, *SERVICES, *IPS, "nobody"))

Step = tuple[str, object]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("state"), states),
        st.tuples(st.just("ask"), names),
        st.tuples(st.just("drop"), names),
        st.tuples(st.just("reconnect"), st.booleans()),
        st.tuples(st.just("refuse"), st.just(None)),
    ),
    max_size=12,
)


class Client:
    """Keeps what it is sent, by name."""

    def __init__(self, opening: DeltaRequest) -> None:
        self.kept: dict[str, Resource] = {}
        self.asked: set[str] = set()
        self.heard: set[str] = set()
        """Names that the last answer spoke of."""
        self._opening = opening
        self.subscription = DeltaSubscription("here")
        self.subscription.receive(opening)

    def says(self, **request: object) -> None:
        self.subscription.receive(DeltaRequest(**request))  # type: ignore[arg-type]

    def looks(self, state: Collection) -> None:
        """Take what there is to take."""
        delta = self.subscription.take(state)
        self.heard = set()
        if delta is None:
            return
        for resource in delta.resources:
            self.kept[resource.name] = resource
        for name in delta.removed:
            self.kept.pop(name, None)
        self.heard = {one.name for one in delta.resources} | set(delta.removed)
        self.says(nonce=self.subscription.nonces.next())

    def reconnects(self, *, with_versions: bool) -> None:
        """A new stream; what was asked for is asked for again, as far as the client remembers."""
        versions = {name: one.version for name, one in self.kept.items()} if with_versions else {}
        if not with_versions:
            self.kept.clear()
        self.asked.clear()
        self.subscription = DeltaSubscription("here")
        self.subscription.receive(DeltaRequest(self._opening.subscribe, self._opening.unsubscribe, versions))


def play(client: Client, moves: list[Step], check: Callable[[Collection], None]) -> None:
    """Every move, and a look and a check after each."""
    state = Collection()
    client.looks(state)
    for kind, value in moves:
        match kind, value:
            case "state", Collection() as state:
                pass
            case "ask", str() as name:
                client.asked.add(name)
                client.says(subscribe=(name,))
            case "drop", str() as name:
                client.asked.discard(name)
                client.says(unsubscribe=(name,))
                asked_still = {one.name for other in client.asked for one in state.find(other)}
                for gone in {one.name for one in state.find(name)} - asked_still:
                    client.kept.pop(gone, None)
            case "reconnect", bool() as with_versions:
                client.reconnects(with_versions=with_versions)
            case "refuse", _:
                client.says(nonce="no such", refusal="")
        client.looks(state)
        if kind == "ask":
            assert value in client.heard, "whoever waits for the name must wake"
        check(state)


@given(steps)
def test_a_client_of_everything_has_everything(moves: list[Step]) -> None:
    client = Client(DeltaRequest())

    def check(state: Collection) -> None:
        assert {name: one.version for name, one in client.kept.items()} == {
            name: one.version for name, one in state.resources.items()
        }

    play(client, moves, check)


@given(steps)
def test_a_client_on_demand_has_what_it_asked_for_and_nothing_stale(moves: list[Step]) -> None:
    client = Client(DeltaRequest(("*",), ("*",)))

    def check(state: Collection) -> None:
        for name, kept in client.kept.items():
            assert name in state.resources, "what is gone was removed"
            assert kept.version == state.resources[name].version, "what is kept is up to date"
        wanted = {one.name for name in client.asked for one in state.find(name)}
        wanted |= {one.name for one in state.on_node("here")}
        wanted |= {one.name for service in client.kept for one in state.behind(service)}
        assert wanted <= client.kept.keys(), "all that was asked for is there, what serves it, and the own node"

    play(client, moves, check)


@given(st.lists(st.tuples(states, st.lists(names, max_size=3), st.booleans()), max_size=8))
def test_a_state_of_the_world_client_has_just_what_it_names(turns: list[tuple[Collection, list[str], bool]]) -> None:
    subscription = StateSubscription(has_wildcard=False)
    kept: set[tuple[str, str]] = set()
    for state, wanted, refuses in turns:
        refusal = "" if refuses else None
        subscription.receive(StateRequest(tuple(wanted), subscription.nonces.sent, refusal))
        if (answer := subscription.take(state)) is not None:
            kept = {(one.name, one.version) for one in answer.resources}
            subscription.nonces.next()
        assert kept == {(one.name, one.version) for name in subscription.asked for one in state.find(name)}
