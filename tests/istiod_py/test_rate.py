"""How often somebody may."""

from __future__ import annotations

from istiod_py.rate import MOST_CALLERS, Rate, RateLimit

RATE = Rate(per_second=2, burst=3)


def test_a_burst_and_then_a_pace() -> None:
    limit = RateLimit(RATE)
    assert [limit.allows("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert [limit.allows("a", 0.5) for _ in range(2)] == [True, False]
    assert [limit.allows("a", 1000.0) for _ in range(4)] == [True, True, True, False]


def test_refusals_cost_nothing() -> None:
    limit = RateLimit(Rate(per_second=1, burst=1))
    assert limit.allows("a", 0.0)
    assert not any(limit.allows("a", 0.1 * tick) for tick in range(1, 10))
    assert limit.allows("a", 1.0)


def test_each_has_its_own() -> None:
    limit = RateLimit(Rate(per_second=1, burst=1))
    assert limit.allows("a", 0.0)
    assert limit.allows("b", 0.0)


def test_of_many_only_the_latest_are_remembered() -> None:
    limit = RateLimit(Rate(per_second=1, burst=1))
    assert all(limit.allows(str(number), 0.0) for number in range(MOST_CALLERS + 1))
    assert not limit.allows("1", 0.0)
    assert limit.allows("0", 0.0)
