"""Places for questions, and greedy sources."""

from __future__ import annotations

import pytest

from ztunnel_py.dns_shares import Shares


@pytest.mark.parametrize("greedy", [1, 2, 3, 10, 100])
def test_whoever_comes_next_finds_more_than_the_greedy_have(greedy: int) -> None:
    shares = Shares(1024)
    held = [0] * greedy
    for _ in range(1024):
        held = [count + shares.take(source) for source, count in enumerate(held)]
    newcomer = sum(shares.take("newcomer") for _ in range(1024))
    assert sum(held) + newcomer <= 1024
    assert max(held) - min(held) <= 1
    assert max(held) == pytest.approx(1024 / (greedy + 2), abs=2)
    assert newcomer == pytest.approx((1024 - sum(held)) / 3, abs=2)


def test_what_is_given_back_is_free_again() -> None:
    shares = Shares(4)
    assert [shares.take("a"), shares.take("a"), shares.take("b"), shares.take("b")] == [True, True, True, False]
    shares.give_back("a")
    shares.give_back("a")
    assert [shares.take("b"), shares.take("b")] == [True, False]
    shares.give_back("b")
    shares.give_back("b")
    assert not shares._held


def test_no_places() -> None:
    assert not Shares(0).take("anybody")
