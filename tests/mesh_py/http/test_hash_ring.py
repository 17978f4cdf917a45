"""Places on the ring."""

from __future__ import annotations

from collections import Counter

import pytest

from mesh_py.http.hash_ring import MOST_PLACES, HashRing


def shares(weights: dict[str, int], keys: int = 4000) -> Counter[str]:
    ring = HashRing(weights)
    return Counter(ring.find(str(key), set(weights)) for key in range(keys))


def test_shares_follow_weights() -> None:
    seen = shares({"a": 1, "b": 3})
    assert 0.15 < seen["a"] / 4000 < 0.35


def test_every_endpoint_has_a_place() -> None:
    assert set(shares({str(number): 1 for number in range(50)}, 20_000)) == {str(number) for number in range(50)}
    heavy = {"a": 1_000_000, "b": 1}
    assert HashRing(heavy).find("x", {"b"}) == "b"


def test_rings_have_a_largest_size() -> None:
    ring = HashRing({str(number): 1 for number in range(3000)})
    assert len(ring._hashes) <= MOST_PLACES + 3000


def test_only_wanted_ones_are_found() -> None:
    ring = HashRing({"a": 1, "b": 1, "c": 1})
    assert {ring.find(str(key), {"b"}) for key in range(100)} == {"b"}
    with pytest.raises(ValueError, match="none of the wanted"):
        ring.find("x", {"z"})
