"""Conversations on a state-of-the-world stream."""

from __future__ import annotations

import pytest

from istiod_py.nonces import Reply
from istiod_py.snapshot import NOTHING, Collection, Resource
from istiod_py.sotw import StateRequest, StateSubscription
from istiod_py.subscription import MOST_NAMES, NAME_COST, TooManyNamesError

A, B = Resource("a", b"1"), Resource("b", b"1", ("alias-of-b",))
A_2 = Resource("a", b"2")
BOTH = Collection([A, B])


class Stream:
    """A client of one type: what it says, and the names of what it is sent."""

    def __init__(self, *, has_wildcard: bool = True) -> None:
        self.subscription = StateSubscription(has_wildcard=has_wildcard)

    def says(self, *names: str, nonce: str = "", refusal: str | None = None) -> Reply:
        return self.subscription.receive(StateRequest(names, nonce, refusal))

    def gets(self, collection: Collection) -> set[str] | None:
        state = self.subscription.take(collection)
        if state is None:
            return None
        self.subscription.nonces.next()
        return {one.name for one in state.resources}


def test_listeners_and_clusters_without_names_are_everything() -> None:
    stream = Stream()
    assert stream.says() is Reply.FIRST
    assert stream.gets(BOTH) == {"a", "b"}
    assert stream.says(nonce="1") is Reply.ACK
    assert stream.gets(BOTH) is None


def test_every_answer_is_the_whole_state() -> None:
    stream = Stream()
    stream.says()
    stream.gets(BOTH)
    assert stream.gets(Collection([A_2, B])) == {"a", "b"}
    assert stream.gets(Collection([A_2, Resource("b", b"1")])) is None  # the same content
    assert stream.gets(Collection([A_2])) == {"a"}


def test_endpoints_without_names_are_nothing() -> None:
    stream = Stream(has_wildcard=False)
    stream.says()
    assert stream.gets(BOTH) == set()


def test_names_get_what_there_is_of_them() -> None:
    stream = Stream(has_wildcard=False)
    stream.says("a", "nobody")
    assert stream.gets(BOTH) == {"a"}
    assert stream.gets(Collection([A])) is None  # b was never asked for
    assert stream.gets(Collection([A_2, Resource("nobody", b"now somebody")])) == {"a", "nobody"}


def test_the_first_request_is_answered_though_there_is_nothing() -> None:
    stream = Stream()
    stream.says("a")
    assert stream.gets(NOTHING) == set()
    assert stream.gets(NOTHING) is None


def test_other_names_with_an_acknowledgement_are_answered() -> None:
    stream = Stream(has_wildcard=False)
    stream.says("a")
    stream.gets(BOTH)
    assert stream.says("b", "a", nonce="1") is Reply.ACK
    assert stream.gets(BOTH) == {"a", "b"}
    assert stream.says("a", "b", nonce="2") is Reply.ACK  # the same names, in another order
    assert stream.gets(BOTH) is None


def test_a_refused_state_is_not_sent_again_until_it_changes() -> None:
    stream = Stream()
    stream.says()
    stream.gets(BOTH)
    assert stream.says(nonce="1", refusal="") is Reply.NACK
    assert stream.gets(Collection([A, B])) is None
    assert stream.gets(Collection([A_2, B])) == {"a", "b"}


def test_a_stale_request_is_dropped_whole() -> None:
    stream = Stream(has_wildcard=False)
    stream.says("a")
    stream.gets(BOTH)
    assert stream.says("b", nonce="7") is Reply.STALE
    assert stream.subscription.asked == {"a"}
    assert stream.gets(BOTH) is None


def test_whoever_has_named_something_means_nothing_by_no_names() -> None:
    stream = Stream()
    stream.says("a")
    stream.gets(BOTH)
    stream.says(nonce="1")
    assert stream.gets(BOTH) == set()


def test_a_star_is_everything() -> None:
    stream = Stream(has_wildcard=False)
    stream.says("*")
    assert stream.gets(BOTH) == {"a", "b"}
    assert stream.subscription.held == 2


def test_an_alias_asked_for_brings_the_resource() -> None:
    stream = Stream(has_wildcard=False)
    stream.says("alias-of-b")
    assert stream.gets(BOTH) == {"b"}


def test_what_somebody_begins_anew_with_is_sent_again() -> None:
    stream = Stream(has_wildcard=False)
    stream.says("a")
    stream.gets(BOTH)
    stream.subscription.send_again(["b"])
    assert stream.gets(BOTH) is None
    stream.subscription.send_again(["a"])
    assert stream.gets(BOTH) == {"a"}


def test_names_are_limited() -> None:
    with pytest.raises(TooManyNamesError):
        Stream().says(*map(str, range(MOST_NAMES + 1)))


def test_a_name_of_endless_length_is_refused() -> None:
    with pytest.raises(TooManyNamesError, match="at most 2048"):
        Stream().says("n" * 2049)


def test_what_names_cost() -> None:
    stream = Stream()
    stream.says("a", "bb", "bb")
    assert stream.subscription.cost == len("abb") + 2 * NAME_COST
    stream.says("a")
    assert stream.subscription.cost == len("a") + NAME_COST
