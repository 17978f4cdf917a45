"""A cache across states of the mesh: what was made for one is used for the next while its source is equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

Value = TypeVar("Value")


class StateCache:
    """Values by key, each beside what it was made from. Two states' worth at most."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[object, object]] = {}
        self._before: dict[Hashable, tuple[object, object]] = {}

    def __len__(self) -> int:
        return len(self._kept) + len(self._before)

    def next_state(self) -> None:
        """Begin another state: what the last one did not ask for is dropped."""
        self._before, self._kept = self._kept, {}

    def get(self, key: Hashable, source: object, make: Callable[[], Value]) -> Value:
        """The value of `key` made from an equal `source`, or a new one. Nobody may change it."""
        kept = self._kept.get(key) or self._before.get(key)
        if kept is None or kept[0] != source:
            kept = (source, make())
        self._kept[key] = kept
        value: Value = kept[1]  # type: ignore[assignment]  # what make() of this key gave
        return value
