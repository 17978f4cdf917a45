"""What holds from one state to the next."""

from __future__ import annotations

from istiod_py.envoy.state_cache import StateCache


def new() -> list[str]:
    return []


def test_what_was_made_from_the_same_is_not_made_again() -> None:
    cache = StateCache()
    first = cache.get("a", (1, 2), new)
    assert cache.get("a", (1, 2), new) is first
    assert cache.get("a", (1, 3), new) is not first
    assert cache.get("b", (1, 2), new) is not first


def test_it_lasts_while_every_state_asks() -> None:
    cache = StateCache()
    first = cache.get("a", 1, new)
    for _ in range(3):
        cache.next_state()
        assert cache.get("a", 1, new) is first
    cache.next_state()
    cache.next_state()
    assert len(cache) == 0
    assert cache.get("a", 1, new) is not first
