"""Who may have how many questions answered at the same time [pure]."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable


class Shares:
    """Places that nobody can fill alone: a source may have half as many as are still free.

    One greedy source ends with a third of all; each further one leaves a smaller share to all of them, and always
    twice that share to whoever comes next.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._held: Counter[Hashable] = Counter()

    def take(self, source: Hashable) -> bool:
        """Whether the source may have one more; it then has it until it is given back."""
        if self._held[source] * 2 >= self._most - self._taken:
            return False
        self._held[source] += 1
        self._taken += 1
        return True

    def give_back(self, source: Hashable) -> None:
        """One of the source's is free again."""
        self._taken -= 1
        self._held[source] -= 1
        if not self._held[source]:
            del self._held[source]
