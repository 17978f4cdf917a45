"""Conversations on a delta stream: what is asked, what is answered, what is not sent (hbone-controlplane 2.3-2.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from istiod_py import subscription
from istiod_py.nonces import MOST_REMEMBERED, Reply
from istiod_py.snapshot import NOTHING, Collection, Resource
from istiod_py.subscription import MOST_NAMES, NAME_COST, DeltaRequest, DeltaSubscription, TooManyNamesError

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE = Resource("shop/cart.svc", b"service", ("/10.96.0.1",))
CART = Resource("c//Pod/shop/cart", b"cart 1", ("/10.0.0.1",), "node-a", (SERVICE.name,))
CART_2 = Resource(CART.name, b"cart 2", CART.aliases, "node-a", (SERVICE.name,))
PAY = Resource("c//Pod/shop/pay", b"pay 1", ("/10.0.0.2",), "node-b", (SERVICE.name,))
LONE = Resource("c//Pod/shop/lone", b"lone", ("/10.0.0.3",), "node-b")
MESH = Collection([SERVICE, CART, PAY, LONE])
ALL = {SERVICE.name, CART.name, PAY.name, LONE.name}


class Stream:
    """A client of one type: what it says, and the names of what it is sent."""

    def __init__(self, node: str = "") -> None:
        self.subscription = DeltaSubscription(node)
        self.collection = NOTHING

    def says(
        self,
        *subscribe: str,
        unsubscribe: tuple[str, ...] = (),
        has: Mapping[str, str] | None = None,
        nonce: str = "",
        refusal: str | None = None,
    ) -> Reply:
        return self.subscription.receive(DeltaRequest(subscribe, unsubscribe, has or {}, nonce, refusal))

    def gets(self, collection: Collection | None = None) -> tuple[set[str], set[str]] | None:
        """Names sent and names removed, or None when nothing is sent."""
        self.collection = self.collection if collection is None else collection
        delta = self.subscription.take(self.collection)
        if delta is None:
            return None
        self.subscription.nonces.next()
        return {one.name for one in delta.resources}, set(delta.removed)


def on_demand(node: str = "", has: Mapping[str, str] | None = None) -> Stream:
    stream = Stream(node)
    stream.says("*", unsubscribe=("*",), has=has)
    return stream


def wildcard(collection: Collection = MESH) -> Stream:
    stream = Stream()
    stream.says()
    assert stream.gets(collection) == (set(collection.resources), set())
    return stream


# Everything


def test_no_names_at_first_mean_everything() -> None:
    stream = Stream()
    assert stream.says() is Reply.FIRST
    assert stream.gets(MESH) == (ALL, set())
    assert stream.gets(MESH) is None


def test_the_first_request_is_answered_though_there_is_nothing() -> None:
    stream = Stream()
    stream.says()
    assert stream.gets(NOTHING) == (set(), set())
    assert stream.gets(NOTHING) is None


def test_an_acknowledgement_gets_no_answer() -> None:
    stream = wildcard()
    assert stream.says(nonce="1") is Reply.ACK
    assert stream.gets(MESH) is None
    assert stream.subscription.nonces.acknowledged == "1"


def test_a_star_is_everything_too() -> None:
    stream = Stream()
    stream.says("*")
    assert stream.gets(MESH) == (ALL, set())


def test_only_what_changed_is_sent() -> None:
    stream = wildcard()
    after = Collection([SERVICE, CART_2, PAY, Resource("new", b"new")])
    assert stream.gets(after) == ({CART.name, "new"}, {LONE.name})
    assert stream.gets(Collection(after.resources.values())) is None


def test_a_stream_that_missed_states_gets_the_difference_at_once() -> None:
    slow, quick = wildcard(), wildcard()
    states = [Collection([SERVICE, CART_2]), Collection([SERVICE, CART_2, PAY]), Collection([SERVICE, CART, PAY])]
    for state in states:
        quick.gets(state)
    assert slow.gets(states[-1]) == (set(), {LONE.name})


def test_after_a_reconnect_equal_versions_are_skipped_and_vanished_names_removed() -> None:
    stream = Stream()
    stream.says(has={CART.name: CART.version, PAY.name: "older", LONE.name: "", "gone": "1"})
    assert stream.gets(MESH) == ({PAY.name, LONE.name, SERVICE.name}, {"gone"})


def test_after_a_reconnect_with_everything_the_answer_is_empty_and_given() -> None:
    stream = Stream()
    stream.says(has={one.name: one.version for one in MESH.resources.values()})
    assert stream.gets(MESH) == (set(), set())


# Refusals


def test_refused_content_is_not_sent_again_until_it_changes() -> None:
    stream = wildcard()
    assert stream.says(nonce="1", refusal=f"{CART.name}: no such protocol") is Reply.NACK
    assert stream.gets(MESH) is None
    assert stream.gets(Collection(MESH.resources.values())) is None
    assert stream.gets(Collection([SERVICE, CART_2, PAY, LONE])) == ({CART.name}, set())


def test_a_refusal_needs_no_text() -> None:
    stream = wildcard()
    assert stream.says(nonce="1", refusal="") is Reply.NACK
    assert stream.subscription.nonces.refused == "1"


def test_a_refused_resource_is_sent_after_a_reconnect_for_the_client_does_not_name_it() -> None:
    stream = Stream()
    stream.says(has={one.name: one.version for one in (SERVICE, PAY, LONE)})
    assert stream.gets(MESH) == ({CART.name}, set())


@pytest.mark.parametrize("nonce", ["0", "3", "elsewhere"])
def test_a_stale_nonce_is_dropped(nonce: str) -> None:
    stream = wildcard()
    assert stream.says(nonce=nonce, refusal="bad") is Reply.STALE
    assert stream.subscription.nonces.refused == ""
    assert stream.gets(MESH) is None


def test_an_answer_is_acknowledged_once() -> None:
    stream = wildcard()
    assert stream.says(nonce="1") is Reply.ACK
    assert stream.says(nonce="1") is Reply.STALE


def test_a_stale_request_still_subscribes() -> None:
    stream = on_demand()
    stream.gets(MESH)
    assert stream.says(LONE.name, nonce="stale") is Reply.STALE
    assert stream.gets() == ({LONE.name}, set())


def test_a_client_that_never_answers_costs_little() -> None:
    stream = wildcard()
    for count in range(2 * MOST_REMEMBERED):
        stream.gets(Collection([Resource("a", str(count).encode())]))
    assert stream.says(nonce="2") is Reply.STALE
    assert stream.says(nonce=str(2 * MOST_REMEMBERED + 1)) is Reply.ACK


# On demand


def test_a_star_given_and_taken_means_nothing_yet() -> None:
    stream = on_demand()
    assert stream.gets(MESH) == (set(), set())
    assert stream.gets(Collection([CART_2])) is None


def test_the_workloads_of_the_own_node_come_unasked() -> None:
    stream = on_demand("node-a")
    assert stream.gets(MESH) == ({CART.name}, set())
    assert stream.gets(Collection([CART_2, PAY])) == ({CART.name}, set())
    assert stream.gets(Collection([PAY])) == (set(), {CART.name})


def test_a_workload_that_comes_to_the_node_is_sent() -> None:
    stream = on_demand("node-a")
    assert stream.gets(Collection([PAY])) == (set(), set())
    assert stream.gets(MESH) == ({CART.name}, set())


def test_a_name_asked_for_is_answered_under_that_name() -> None:
    stream = on_demand()
    stream.gets(MESH)
    assert stream.says(LONE.name) is Reply.UNPROMPTED
    assert stream.gets() == ({LONE.name}, set())


def test_an_address_asked_for_comes_by_its_true_name_and_wakes_whoever_waits_for_the_alias() -> None:
    stream = on_demand()
    stream.gets(MESH)
    stream.says("/10.0.0.3")
    assert stream.gets() == ({LONE.name}, {"/10.0.0.3"})


def test_what_is_not_there_is_said_to_be_removed() -> None:
    stream = on_demand()
    stream.gets(MESH)
    stream.says("/10.0.0.77", "shop/nobody")
    assert stream.gets() == (set(), {"/10.0.0.77", "shop/nobody"})


def test_what_was_asked_for_in_vain_is_sent_when_it_comes() -> None:
    stream = on_demand()
    stream.gets(NOTHING)
    stream.says("/10.0.0.3")
    assert stream.gets() == (set(), {"/10.0.0.3"})
    assert stream.gets(MESH) == ({LONE.name}, set())


def test_asking_again_is_answered_again() -> None:
    stream = on_demand()
    stream.gets(MESH)
    for _ in range(2):
        stream.says("/10.0.0.3")
        assert stream.gets() == ({LONE.name}, {"/10.0.0.3"})


def test_asking_again_at_once_after_a_reconnect_is_answered_although_the_version_is_the_same() -> None:
    stream = on_demand(has={LONE.name: LONE.version})
    stream.says("/10.0.0.3")
    assert stream.gets(MESH) == ({LONE.name}, {"/10.0.0.3"})


def test_with_a_service_come_its_workloads() -> None:
    stream = on_demand()
    stream.gets(MESH)
    stream.says("/10.96.0.1")
    assert stream.gets() == ({SERVICE.name, CART.name, PAY.name}, {"/10.96.0.1"})
    added = Resource("c//Pod/shop/cart-2", b"x", ("/10.0.0.9",), "node-b", (SERVICE.name,))
    assert stream.gets(Collection([*MESH.resources.values(), added])) == ({added.name}, set())


def test_with_a_service_that_comes_late_come_its_workloads() -> None:
    stream = on_demand()
    stream.gets(Collection([CART, PAY]))
    stream.says(SERVICE.name)
    assert stream.gets() == (set(), {SERVICE.name})
    assert stream.gets(MESH) == ({SERVICE.name, CART.name, PAY.name}, set())


def test_a_workload_that_leaves_its_service_is_kept_up_to_date() -> None:
    stream = on_demand()
    stream.gets(MESH)
    stream.says(SERVICE.name)
    stream.gets()
    alone = Resource(PAY.name, b"pay alone", PAY.aliases, "node-b")
    assert stream.gets(Collection([SERVICE, CART, alone])) == ({PAY.name}, set())


def test_what_was_kept_over_a_reconnect_counts_as_asked_for() -> None:
    stream = on_demand(has={LONE.name: LONE.version, "gone": "1"})
    assert stream.gets(MESH) == (set(), {"gone"})
    altered = Resource(LONE.name, b"lone 2", LONE.aliases, "node-b")
    assert stream.gets(Collection([altered])) == ({LONE.name}, set())


def test_unsubscribing_ends_the_updates_without_a_word() -> None:
    stream = on_demand()
    stream.gets(MESH)
    stream.says("/10.0.0.3", CART.name)
    stream.gets()
    stream.says(unsubscribe=("/10.0.0.3",))
    assert stream.gets(Collection([CART_2])) == ({CART.name}, set())


def test_unsubscribing_one_name_of_two_keeps_the_resource() -> None:
    stream = on_demand()
    stream.gets(MESH)
    stream.says("/10.0.0.3", LONE.name)
    stream.gets()
    stream.says(unsubscribe=("/10.0.0.3",))
    assert stream.gets(NOTHING) == (set(), {LONE.name})


def test_from_everything_to_some() -> None:
    stream = wildcard()
    stream.says(LONE.name, unsubscribe=("*",))
    assert stream.gets(MESH) == ({LONE.name}, set())
    assert stream.gets(Collection([CART_2])) == (set(), {LONE.name})


def test_from_some_to_everything() -> None:
    stream = on_demand()
    stream.gets(MESH)
    stream.says(LONE.name)
    stream.gets()
    stream.says("*")
    assert stream.gets() == (ALL - {LONE.name}, set())


def test_what_somebody_begins_anew_with_is_sent_again() -> None:
    stream = on_demand()
    stream.says(LONE.name)
    stream.gets(MESH)
    stream.subscription.send_again([LONE.name, CART.name])
    assert stream.gets() == ({LONE.name}, set())  # the other was never asked for
    stream.subscription.send_again([CART.name])
    assert stream.gets() is None


def test_names_are_limited() -> None:
    stream = on_demand()
    stream.says(*(f"/10.{number}" for number in range(MOST_NAMES)))
    with pytest.raises(TooManyNamesError, match="65536 names"):
        stream.says("/one/more")


def test_what_names_cost() -> None:
    stream = on_demand()
    stream.says("/10.1", "/10.22", "/10.22")
    assert stream.subscription.cost == len("/10.1/10.22") + 2 * NAME_COST
    stream.says(unsubscribe=("/10.22", "/10.9"))
    assert stream.subscription.cost == len("/10.1") + NAME_COST


def test_what_is_said_to_be_kept_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription, "MOST_KEPT", 2)
    with pytest.raises(TooManyNamesError, match="come back without any"):
        Stream().says(has={"a": "1", "b": "1", "c": "1"})
