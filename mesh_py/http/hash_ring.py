"""Consistent hashing: equal keys go to equal endpoints, and when one leaves only its keys move [pure]."""

from __future__ import annotations

from bisect import bisect_left
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

LEAST_PLACES = 1024
"""Of a ring (Envoy's minimum): with more, shares come closer to weights."""
MOST_PLACES = 16_384


class HashRing:
    """Endpoints on a ring, each at as many places as its weight asks for (Ketama)."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        """A ring of these addresses; weights are positive."""
        total = sum(weights.values())
        size = min(max(LEAST_PLACES, len(weights) * 16), MOST_PLACES)
        places = [
            (_hash(f"{address}_{number}"), address)
            for address, weight in weights.items()
            for number in range(max(1, round(size * weight / total)))
        ]
        places.sort()
        self._hashes = [place for place, _ in places]
        self._addresses = [address for _, address in places]

    def find(self, key: str, wanted: Set[str]) -> str:
        """The first address of `wanted` (not empty, all on the ring) at or behind the key's place."""
        size = len(self._addresses)
        index = bisect_left(self._hashes, _hash(key)) % size
        for _ in range(size):
            address = self._addresses[index]
            if address in wanted:
                return address
            index = (index + 1) % size
        raise ValueError("none of the wanted addresses is on the ring")


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big")
