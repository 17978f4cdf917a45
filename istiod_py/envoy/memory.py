"""What was computed for one state of the mesh and holds for the next, since nothing it was made from has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

Value = TypeVar("Value")


class Memory:
    """Values by key, each beside what it was made from. Two states' worth at most."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[object, object]] = {}
        self._before: dict[Hashable, tuple[object, object]] = {}

    def __len__(self) -> int:
        return len(self._kept) + len(self._before)

    def next_state(self) -> None:
        """Another state begins: what the last one did not ask for is forgotten."""
        self._before, self._kept = self._kept, {}

    def recall(self, key: Hashable, source: object, make: Callable[[], Value]) -> Value:
        """The value of `key` made from an equal `source`, or a new one. Nobody may change it."""
        kept = self._kept.get(key) or self._before.get(key)
        if kept is None or kept[0] != source:
            kept = (source, make())
        self._kept[key] = kept
        value: Value = kept[1]  # type: ignore[assignment]  # what make() of this key gave
        return value
