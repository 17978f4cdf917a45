"""The order in which certificates are fetched."""

from __future__ import annotations

import datetime

from hypothesis import given
from hypothesis import strategies as st

from hbone_py.identity import SpiffeId
from mesh_py.identity.fetch_queue import FetchQueue, Priority

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
NOW, SOON, LATER = (START + datetime.timedelta(seconds=seconds) for seconds in (0, 10, 20))
REAL_TIME, WARMUP, BACKGROUND = Priority.REAL_TIME, Priority.WARMUP, Priority.BACKGROUND


def who(name: str) -> SpiffeId:
    return SpiffeId("cluster.local", "shop", name)


def queue_of(*wishes: tuple[str, Priority, datetime.datetime]) -> FetchQueue:
    queue = FetchQueue()
    for name, priority, due in wishes:
        queue.want(who(name), priority, due)
    return queue


def taken(queue: FetchQueue, now: datetime.datetime) -> list[str]:
    order = []
    while (identity := queue.take(now)) is not None:
        order.append(identity.service_account)
    return order


def test_nothing_is_asked_for():
    assert FetchQueue().take(NOW) is None
    assert FetchQueue().next_due() is None


def test_the_most_urgent_goes_first_and_then_who_has_waited_longest():
    queue = queue_of(
        ("renewed", BACKGROUND, NOW), ("new", WARMUP, SOON), ("older", WARMUP, NOW), ("waiting", REAL_TIME, SOON)
    )
    assert taken(queue, LATER) == ["waiting", "older", "new", "renewed"]
    assert len(queue) == 0


def test_nobody_goes_before_it_is_due():
    queue = queue_of(("a", BACKGROUND, SOON), ("b", REAL_TIME, LATER))
    assert taken(queue, NOW) == []
    assert queue.next_due() == SOON
    assert taken(queue, SOON) == ["a"]
    assert queue.next_due() == LATER
    assert taken(queue, LATER) == ["b"]


def test_a_wish_is_raised_and_never_lowered():
    queue = queue_of(("a", BACKGROUND, LATER), ("b", WARMUP, NOW))
    queue.want(who("a"), REAL_TIME, NOW)
    queue.want(who("a"), BACKGROUND, LATER)
    assert len(queue) == 2
    assert taken(queue, NOW) == ["a", "b"]
    assert queue.next_due() is None


def test_a_wish_that_was_taken_back():
    queue = queue_of(("a", REAL_TIME, NOW), ("b", BACKGROUND, SOON))
    queue.discard(who("a"))
    queue.discard(who("unknown"))
    assert queue.next_due() == SOON
    assert taken(queue, LATER) == ["b"]


def test_what_was_due_and_not_taken_stays_due():
    queue = queue_of(("a", REAL_TIME, NOW), ("b", WARMUP, NOW), ("c", WARMUP, SOON), ("d", BACKGROUND, LATER))
    assert queue.take(SOON) == who("a")
    assert queue.next_due() == NOW
    queue.discard(who("b"))
    assert queue.next_due() == SOON
    assert taken(queue, SOON) == ["c"]
    assert queue.next_due() == LATER


NAMES = st.sampled_from("abcde")
WISHES = st.lists(st.tuples(NAMES, st.sampled_from(Priority), st.integers(0, 20)), max_size=30)


@given(WISHES, st.integers(0, 20))
def test_it_is_what_a_sorted_list_would_be(wishes, seconds):
    """Against the plain form: keep the strongest wish of each, take the due ones in order."""
    queue = FetchQueue()
    plain: dict[str, tuple[Priority, datetime.datetime]] = {}
    now = START + datetime.timedelta(seconds=seconds)
    for name, priority, after in wishes:
        due = START + datetime.timedelta(seconds=after)
        queue.want(who(name), priority, due)
        before = plain.get(name, (priority, due))
        plain[name] = (min(before[0], priority), min(before[1], due))
    order = taken(queue, now)
    due_now = {name: wish for name, wish in plain.items() if wish[1] <= now}
    assert sorted(order) == sorted(due_now)
    assert [due_now[name] for name in order] == sorted(due_now.values())
    later = [due for name, (_, due) in plain.items() if name not in due_now]
    assert queue.next_due() == min(later, default=None)
