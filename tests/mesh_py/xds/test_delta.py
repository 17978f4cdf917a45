"""Conversations of a delta stream: what is asked first, what is answered, what is remembered

Source: hbone-controlplane 2.3 to 2.5.
"""

from __future__ import annotations

from mesh_py.xds.delta import LONGEST_REASON, MOST_NAMED, DeltaState, Interest, Request, Resource, Response
from mesh_py.xds.types import ADDRESS, AUTHORIZATION


def node_proxy() -> DeltaState:
    return DeltaState([Interest(ADDRESS), Interest(AUTHORIZATION)])


def on_demand_proxy() -> DeltaState:
    return DeltaState([Interest(ADDRESS, on_demand=True), Interest(AUTHORIZATION)])


def addresses(nonce: str, *names: str, removed: tuple[str, ...] = (), version: str = "1") -> Response:
    return Response(ADDRESS, nonce, [Resource(name, b"", version) for name in names], removed)


# The opening.


def test_everything_is_asked_for_by_naming_nothing() -> None:
    assert node_proxy().open() == [Request(ADDRESS, is_first=True), Request(AUTHORIZATION, is_first=True)]


def test_on_demand_is_asked_for_by_giving_up_the_wildcard() -> None:
    assert on_demand_proxy().open() == [
        Request(ADDRESS, subscribe=("*",), unsubscribe=("*",), is_first=True),
        Request(AUTHORIZATION, is_first=True),
    ]


# Answers.


def test_a_response_is_acknowledged_by_its_nonce_alone() -> None:
    assert node_proxy().answer(addresses("n1", "a"), {}) == Request(ADDRESS, nonce="n1")


def test_a_response_in_parts_bad_is_refused_by_name_and_reason() -> None:
    state = node_proxy()
    answer = state.answer(addresses("n1", "a", "b", "c"), {"b": "no address", "c": "no name"})
    assert answer == Request(ADDRESS, nonce="n1", error="b: no address; c: no name")
    assert state.held(ADDRESS) == {"a": "1"}


def test_a_refusal_does_not_grow_without_bound() -> None:
    rejected = {f"r{number}": "bad" for number in range(MOST_NAMED + 7)}
    error = node_proxy().answer(addresses("n", *rejected), rejected).error
    assert error is not None
    assert error.endswith(f"r{MOST_NAMED - 1}: bad; and 7 more")


def test_a_refusal_does_not_grow_with_the_names_and_words_of_the_server() -> None:
    rejected = {"n" * 10_000: "bad", "a": "b" * 10_000}
    error = node_proxy().answer(addresses("n", *rejected), rejected).error
    assert error is not None
    assert "nnn...: bad; a: bbb" in error
    assert len(error) < 2 * LONGEST_REASON


def test_a_type_nobody_asked_for_is_acknowledged() -> None:
    state = node_proxy()
    assert not state.knows("type.googleapis.com/x.Y")
    assert state.answer(Response("type.googleapis.com/x.Y", "n9"), {}) == Request("type.googleapis.com/x.Y", nonce="n9")


def test_a_name_both_given_and_removed_is_removed() -> None:
    state = node_proxy()
    state.answer(addresses("n1", "a", "b", removed=("b",)), {})
    assert state.held(ADDRESS) == {"a": "1"}


def test_the_removal_of_what_nobody_had_is_no_fault() -> None:
    state = node_proxy()
    assert state.answer(addresses("n1", removed=("ghost",)), {}) == Request(ADDRESS, nonce="n1")


# A new stream.


def test_a_new_stream_tells_what_is_held() -> None:
    state = node_proxy()
    state.answer(addresses("n1", "a", "b"), {})
    state.answer(addresses("n2", "b", version="2"), {})
    state.answer(Response(AUTHORIZATION, "n3", [Resource("ns/p", b"")]), {})
    assert state.open() == [
        Request(ADDRESS, versions={"a": "1", "b": "2"}, is_first=True),
        Request(AUTHORIZATION, versions={"ns/p": ""}, is_first=True),
    ]


def test_what_was_removed_or_refused_is_not_told() -> None:
    state = node_proxy()
    state.answer(addresses("n1", "a", "b", "c"), {"b": "bad"})
    state.answer(addresses("n2", removed=("c",)), {})
    assert state.open()[0].versions == {"a": "1"}


def test_a_version_that_was_refused_leaves_the_one_before() -> None:
    state = node_proxy()
    state.answer(addresses("n1", "a"), {})
    state.answer(addresses("n2", "a", version="2"), {"a": "bad"})
    assert state.open()[0].versions == {"a": "1"}


def test_requests_are_snapshots() -> None:
    state = node_proxy()
    state.answer(addresses("n1", "a"), {})
    [first, _] = state.open()
    state.answer(addresses("n2", "b"), {})
    assert first.versions == {"a": "1"}


def test_a_new_stream_on_demand_asks_again_for_what_is_held_and_waited_for() -> None:
    state = on_demand_proxy()
    state.answer(addresses("n1", "uid-a"), {})
    first = state.open({ADDRESS: ["/10.0.0.9"]})[0]
    assert first.subscribe == ("*", "uid-a", "/10.0.0.9")
    assert first.unsubscribe == ("*",)
    assert first.versions == {"uid-a": "1"}


def test_asking_by_name() -> None:
    state = on_demand_proxy()
    assert state.subscribe(ADDRESS, ["/10.0.0.9"]) == Request(ADDRESS, subscribe=("/10.0.0.9",))
    assert state.unsubscribe(ADDRESS, ["/10.0.0.9"]) == Request(ADDRESS, unsubscribe=("/10.0.0.9",))


# Readiness.


def test_ready_when_each_type_was_acknowledged_once() -> None:
    state = node_proxy()
    assert state.waiting_for() == (ADDRESS, AUTHORIZATION)
    state.answer(Response(ADDRESS, "n1"), {})
    assert state.waiting_for() == (AUTHORIZATION,)
    state.answer(Response(AUTHORIZATION, "n2"), {})
    assert state.waiting_for() == ()


def test_a_refusal_does_not_make_ready_and_does_not_take_it_back() -> None:
    state = node_proxy()
    state.answer(Response(AUTHORIZATION, "n1"), {})
    state.answer(addresses("n2", "a"), {"a": "bad"})
    assert state.waiting_for() == (ADDRESS,)
    state.answer(addresses("n3"), {})
    state.answer(addresses("n4", "a"), {"a": "bad"})
    assert state.waiting_for() == ()


def test_a_type_on_demand_is_not_waited_for() -> None:
    state = on_demand_proxy()
    assert state.waiting_for() == (AUTHORIZATION,)
